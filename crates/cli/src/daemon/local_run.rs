//! What stands behind `provost run`: a server, a policy and a grant of its own, kept in the
//! store under a name made of policy path and command, so that counters survive restarts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use provost_admin::{WireSecret, change_failure, store_failure, stored_http};
use provost_store::{
    Actor, Attachment, ChangeError, Grant, NewGrant, NewServer, Processes, Secret, ServerChange,
    ServerId, Store, Transport,
};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::serve::{ChildOverride, StdioAgent};
use crate::bridge::{RunHello, RunUpstream};
use crate::failure::{Failure, Outcome};

/// Labels of what a run keeps in the store.
const POLICY: &str = "policy";
const GRANT: &str = "run";

/// The runs that are connected now: which policy each may change.
#[derive(Default)]
pub(crate) struct LocalRuns {
    /// From the key of a run to its server. A std mutex: never held across an await.
    servers: Mutex<HashMap<String, (ServerId, String)>>,
    /// Two runs of the same policy and command must not both create what is missing.
    creating: Mutex<()>,
}

/// What an upstream comes to: transport, headers, and the agent's own child process.
type Parts = (Transport, Vec<(String, Secret)>, Option<ChildOverride>);

/// A run that has begun.
pub(super) struct Begun {
    pub(super) agent: StdioAgent,
    pub(super) run: String,
    pub(super) version: u32,
}

/// Brings the store in line with what a run hands over.
pub(super) fn begin(store: &Store, runs: &LocalRuns, hello: RunHello) -> Outcome<Begun> {
    let _one_at_a_time = runs.creating.lock().unwrap_or_else(PoisonError::into_inner);
    let who = Actor::new("run");
    let name = server_name(&hello.policy_path, &hello.upstream);
    let (transport, headers, child) = parts(hello.upstream)?;
    // Before anything is changed: what a person has decided about this run stays.
    let known = known_grant(store, &name)?;
    let server = match store.server(&name) {
        Ok(found)
            if found.transport.as_ref() == Some(&transport)
                && found.headers == headers
                && found.unreadable.is_empty() =>
        {
            found
        }
        Ok(_) => {
            let change = ServerChange {
                transport: Some(transport),
                headers: Some(headers),
                ..ServerChange::default()
            };
            store
                .set_server(&who, &name, change)
                .map_err(change_failure)?
        }
        Err(ChangeError::NoServer { .. }) => {
            let description = Some(format!(
                "provost run --policy {}",
                hello.policy_path.display()
            ));
            let server = NewServer {
                name: name.clone(),
                transport,
                headers,
                query: Vec::new(),
                env: Vec::new(),
                description,
            };
            store.add_server(&who, server).map_err(change_failure)?
        }
        Err(error) => return Err(change_failure(error)),
    };
    store
        .note_run(&server.id)
        .map_err(|error| store_failure(&error))?;
    let put = store
        .put_policy(&who, &name, POLICY, &hello.policy, None)
        .map_err(change_failure)?;
    let grant = match known {
        Some(grant) => grant,
        None => mint(store, &who, &name)?,
    };
    let run = random_key()?;
    runs.connected()
        .insert(run.clone(), (server.id.clone(), name));
    let agent = StdioAgent {
        grant: grant.id.clone(),
        server: server.id,
        child,
    };
    Ok(Begun {
        agent,
        run,
        version: put.current.version,
    })
}

/// The grant of a run that was here before, if its policy is the one that is enforced. A run whose
/// grant a person has revoked, or given another policy, is refused.
fn known_grant(store: &Store, server: &str) -> Outcome<Option<Arc<Grant>>> {
    let grants = match store.grants(Some(server)) {
        Ok(grants) => grants,
        Err(ChangeError::NoServer { .. }) => return Ok(None),
        Err(error) => return Err(change_failure(error)),
    };
    let ours = || grants.iter().filter(|found| found.grant.label == *GRANT);
    let Some(live) = ours().find(|found| found.revoked.is_none()) else {
        return match ours().next() {
            None => Ok(None),
            Some(_) => Err(Failure::refused("this run was revoked")
                .because(format!(
                    "grant `{GRANT}` on server `{server}`, which stands for this policy file and command, was revoked, and stays so"
                ))
                .hint(format!(
                    "to allow it again: `provost grant mint {server} --label {GRANT} --policy {POLICY}`"
                ))),
        };
    };
    let refused = |why: String| {
        Err(
            Failure::refused("the policy of this run is not the one that is enforced")
                .because(why)
                .hint(format!(
                    "to enforce the file again: `provost policy attach {GRANT} {POLICY} --server {server}`"
                )),
        )
    };
    match &live.grant.policy {
        Some(policy) if policy.name == *POLICY => Ok(Some(Arc::clone(&live.grant))),
        Some(other) => refused(format!(
            "somebody attached policy `{}` to grant `{GRANT}` on server `{server}`",
            other.name
        )),
        None => refused(format!(
            "somebody took the policy off grant `{GRANT}` on server `{server}`"
        )),
    }
}

/// The local grant, with the policy of the run enforced.
fn mint(store: &Store, who: &Actor, server: &str) -> Outcome<Arc<Grant>> {
    let wish = NewGrant {
        server: server.to_owned(),
        label: GRANT.to_owned(),
        attachment: Attachment {
            policy: Some(POLICY.to_owned()),
            shadow: None,
        },
        ..NewGrant::default()
    };
    // The token is kept sealed and shown to nobody: this grant works over the agent socket.
    Ok(store.mint_grant(who, wish).map_err(change_failure)?.grant)
}

fn parts(upstream: RunUpstream) -> Outcome<Parts> {
    match upstream {
        RunUpstream::Http { url, headers } => {
            let transport = stored_http(url, &headers)?;
            Ok((
                transport,
                headers
                    .into_iter()
                    .map(|(name, WireSecret(value))| (name, value))
                    .collect(),
                None,
            ))
        }
        RunUpstream::Child(child) => {
            let mut words = child.command.iter().cloned();
            let Some(command) = words.next() else {
                return Err(Failure::usage("the command is empty"));
            };
            let transport = Transport::Stdio {
                command,
                args: words.collect(),
                // Each agent brings its own directory; here it would only differ from run to run.
                cwd: None,
                processes: Processes::Session,
            };
            // The environment goes to the child only; it is not kept.
            let child = ChildOverride {
                command: child.command,
                directory: child.directory,
                environment: child.environment,
            };
            Ok((transport, Vec::new(), Some(child)))
        }
    }
}

/// A name that is the same for the same policy path and the same upstream with the same headers:
/// two runs with different credentials must not share a server.
fn server_name(policy: &Path, upstream: &RunUpstream) -> String {
    let (word, parts): (&str, Vec<Vec<u8>>) = match upstream {
        RunUpstream::Child(child) => {
            let command = child.command.first().map_or("", String::as_str);
            let word = Path::new(command)
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            let words = child.command.iter();
            (word, words.map(|word| word.clone().into_bytes()).collect())
        }
        RunUpstream::Http { url, headers } => ("http", http_parts(url, headers)),
    };
    let mut hash = Sha256::new();
    hash.update(policy.as_os_str().as_encoded_bytes());
    for part in parts {
        // Lengths keep ["a b"] and ["a", "b"] apart.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digest: String = hash
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let word: String = word
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(20)
        .collect::<String>()
        .to_ascii_lowercase();
    if word.is_empty() {
        format!("run-{digest}")
    } else {
        format!("run-{word}-{digest}")
    }
}

/// What tells one endpoint from another. Of a header's value only a hash takes part; the order and
/// the case of the headers' names say nothing.
fn http_parts(url: &str, headers: &[(String, WireSecret)]) -> Vec<Vec<u8>> {
    let mut hashed: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            let value = Sha256::digest(value.0.expose());
            (name.to_ascii_lowercase().into_bytes(), value.to_vec())
        })
        .collect();
    hashed.sort();
    let headers = hashed.into_iter().flat_map(|(name, value)| [name, value]);
    std::iter::once(url.as_bytes().to_vec())
        .chain(headers)
        .collect()
}

fn random_key() -> Outcome<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::internal("the system gave no random numbers").because(error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

// === impl LocalRuns ===

impl LocalRuns {
    /// Puts a new version of a run's policy; an invalid text changes nothing.
    pub(super) fn change_policy(&self, store: &Store, run: &str, text: &str) -> Outcome<u32> {
        let server = self.connected().get(run).map(|(_, name)| name.clone());
        let server =
            server.ok_or_else(|| Failure::not_found("this run is not connected any more"))?;
        // A server that was removed meanwhile is an error of `put_policy`.
        let put = store
            .put_policy(&Actor::new("run"), &server, POLICY, text, None)
            .map_err(change_failure)?;
        Ok(put.current.version)
    }

    /// Forgets a run whose connection has ended.
    pub(super) fn forget(&self, store: &Store, run: &str) {
        let forgotten = self.connected().remove(run);
        if let Some((server, name)) = forgotten
            && let Err(error) = store.note_run(&server)
        {
            warn!(server.name = %name, %error, "When this run was last used could not be noted");
        }
    }

    /// Clears what nobody has run for long; what is connected now stays.
    pub(super) fn clear(&self, store: &Store) -> Outcome<Vec<String>> {
        let _none_begins = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use: Vec<_> = self
            .connected()
            .values()
            .map(|(id, _)| id.clone())
            .collect();
        store
            .clear_runs(&Actor::new("upkeep"), &in_use)
            .map_err(change_failure)
    }

    fn connected(&self) -> MutexGuard<'_, HashMap<String, (ServerId, String)>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Child;

    fn child(command: &[&str]) -> RunUpstream {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        RunUpstream::Child(Child {
            command,
            directory: "/".into(),
            environment: Vec::new(),
        })
    }

    #[test]
    fn the_name_depends_on_policy_path_and_command_only() {
        let name = |policy: &str, command: &[&str]| server_name(Path::new(policy), &child(command));
        assert_eq!(name("/p", &["npx", "a"]), name("/p", &["npx", "a"]));
        assert_ne!(name("/p", &["npx", "a"]), name("/q", &["npx", "a"]));
        assert_ne!(name("/p", &["npx", "a b"]), name("/p", &["npx", "a", "b"]));
    }

    #[test]
    fn runs_with_different_headers_have_servers_of_their_own() {
        let name = |headers: &[(&str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), WireSecret(Secret::new(*value))))
                .collect();
            let url = "https://mcp.example.com/mcp".to_owned();
            server_name(Path::new("/p"), &RunUpstream::Http { url, headers })
        };
        let alice = name(&[("Authorization", "alice"), ("x-a", "1")]);
        assert_eq!(alice, name(&[("X-A", "1"), ("authorization", "alice")]));
        assert_ne!(alice, name(&[("Authorization", "bob"), ("x-a", "1")]));
        assert_ne!(alice, name(&[]));
    }

    #[test]
    fn the_name_is_one_the_store_takes() {
        for command in ["/usr/bin/My Server.py", "npx", "日本", ""] {
            let name = server_name(Path::new("/p"), &child(&[command]));
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
        }
    }
}
