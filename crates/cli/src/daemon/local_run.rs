//! What stands behind `provost run`: a server, a policy and a grant of its own, kept in the
//! store under a name made of policy path and command, so that counters survive restarts.

mod name;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use provost_admin::{Trouble, WireSecret, stored_http};
use provost_gateway::{ChildOverride, StdioAgent};
use provost_store::{
    Actor, Attachment, ChangeError, Grant, GrantId, NewGrant, NewServer, PolicyVersion, Processes,
    Secret, ServerChange, ServerId, Store, Transport,
};
use tracing::warn;

use self::name::{digest, policy_label, word};
use crate::bridge::{RunHello, RunUpstream};
use crate::failure::{Failure, Outcome};

/// The label of a run's grant.
pub(crate) const GRANT: &str = "run";
/// What the store says a run's server is; its policy's path follows.
const DESCRIPTION: &str = "provost run --policy ";

/// The runs that are connected now: which policy each may change.
#[derive(Default)]
pub(crate) struct LocalRuns {
    /// From the key of a run to what it is. A std mutex: never held across an await.
    servers: Mutex<HashMap<String, Connected>>,
    /// Two runs of the same policy and command must not both create what is missing.
    creating: Mutex<()>,
}

/// A run that is connected.
struct Connected {
    since: Instant,
    id: ServerId,
    grant: GrantId,
    name: String,
    /// The label of its policy.
    policy: String,
    /// What its policy file and command come to.
    digest: String,
    /// Why its policy file cannot be used as it is now.
    refused: Option<String>,
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
    let digest = digest(&hello.policy_path, &hello.upstream);
    let name = match hello.name {
        Some(name) => runs.take_name(store, name, &digest)?,
        None => format!("run-{}{digest}", word(&hello.upstream)),
    };
    let policy = policy_label(&hello.policy_path);
    let (transport, headers, child) = parts(hello.upstream)?;
    // Before anything is changed: what a person has decided about this run stays.
    let known = known_grant(store, &name, &policy)?;
    let description = format!("{DESCRIPTION}{}", hello.policy_path.display());
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
            store.set_server(&who, &name, change)?
        }
        Err(ChangeError::NoServer { .. }) => {
            let server = NewServer {
                name: name.clone(),
                transport,
                headers,
                query: Vec::new(),
                env: Vec::new(),
                description: Some(description.clone()),
            };
            store.add_server(&who, server)?
        }
        Err(error) => return Err(Failure::from(error)),
    };
    store.note_run(&server.id)?;
    let put = store.put_policy(&who, &name, &policy, &hello.policy, None)?;
    let grant = match known {
        Some(grant) => attach(store, &who, grant, &policy)?,
        None => mint(store, &who, &name, &policy)?,
    };
    if server.description.as_ref() != Some(&description) {
        // Last of all: by this the next start knows which policy is the run's own.
        let change = ServerChange {
            description: Some(Some(description)),
            ..ServerChange::default()
        };
        store.set_server(&who, &name, change)?;
    }
    let run = random_key()?;
    let connected = Connected {
        since: Instant::now(),
        id: server.id.clone(),
        grant: grant.id.clone(),
        name,
        policy,
        digest,
        refused: hello.refused,
    };
    runs.connected().insert(run.clone(), connected);
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

/// The grant of a run that was here before, if its policy, or that of the file it was started with
/// before, is the one that is enforced. A run whose grant a person has revoked, or given another
/// policy, is refused.
fn known_grant(store: &Store, server: &str, policy: &str) -> Outcome<Option<Arc<Grant>>> {
    let grants = match store.grants(Some(server)) {
        Ok(grants) => grants,
        Err(ChangeError::NoServer { .. }) => return Ok(None),
        Err(error) => return Err(Failure::from(error)),
    };
    let ours = || grants.iter().filter(|found| found.grant.label == *GRANT);
    let Some(live) = ours().find(|found| found.revoked.is_none()) else {
        return match ours().next() {
            None => Ok(None),
            Some(_) => Err(Failure::refused("this run was revoked")
                .because(format!(
                    "grant `{GRANT}` on server `{server}`, which belongs to this policy file and command, was revoked"
                ))
                .hint(format!(
                    "to allow it again: `provost grant mint {server} --label {GRANT} --policy {policy}`"
                ))),
        };
    };
    let refused = |why: String| {
        let known = store.policies(Some(server))?;
        let again = match known.iter().any(|known| known.name == *policy) {
            true => format!(
                "to enforce the file again: `provost policy attach {GRANT} {policy} --server {server}`"
            ),
            false => format!("to start over: `provost server remove {server}`"),
        };
        Err(
            Failure::refused("another policy than this file is enforced for this run")
                .because(why)
                .hint(again),
        )
    };
    let before = store.server(server)?.description;
    let before = before.as_deref().unwrap_or_default();
    let before = before
        .strip_prefix(DESCRIPTION)
        .map(|path| policy_label(Path::new(path)));
    match &live.grant.policy {
        Some(attached) if attached.name == *policy => Ok(Some(Arc::clone(&live.grant))),
        // Another file under the same name: the run's own doing.
        Some(attached) if before.is_some_and(|before| attached.name == *before) => {
            Ok(Some(Arc::clone(&live.grant)))
        }
        Some(other) => refused(format!(
            "somebody attached policy `{}` to grant `{GRANT}` on server `{server}`",
            other.name
        )),
        None => refused(format!(
            "somebody detached the policy from grant `{GRANT}` on server `{server}`"
        )),
    }
}

/// The grant of a run with this policy enforced.
fn attach(store: &Store, who: &Actor, grant: Arc<Grant>, policy: &str) -> Outcome<Arc<Grant>> {
    let name = |policy: &Arc<PolicyVersion>| policy.name.to_string();
    if grant.policy.as_ref().map(name).as_deref() == Some(policy) {
        return Ok(grant);
    }
    let attachment = Attachment {
        policy: Some(policy.to_owned()),
        shadow: grant.shadow.as_ref().map(name),
    };
    store
        .attach_policy(who, &grant.id, attachment)
        .map_err(Failure::from)
}

/// The local grant, with the policy of the run enforced.
fn mint(store: &Store, who: &Actor, server: &str, policy: &str) -> Outcome<Arc<Grant>> {
    let wish = NewGrant {
        server: server.to_owned(),
        label: GRANT.to_owned(),
        attachment: Attachment {
            policy: Some(policy.to_owned()),
            shadow: None,
        },
        ..NewGrant::default()
    };
    // The token is kept sealed and shown to nobody: this grant works over the agent socket.
    Ok(store.mint_grant(who, wish)?.grant)
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
            let mut words = child.command.into_iter();
            let Some(command) = words.next() else {
                return Err(Failure::usage("the command is empty"));
            };
            let args: Vec<String> = words.collect();
            let environment = child.environment.iter();
            // The environment goes to the child only; it is not kept.
            let child = ChildOverride {
                command: OsString::from(&command),
                args: args.iter().map(OsString::from).collect(),
                directory: child.directory,
                environment: environment
                    .map(|(name, value)| (name.into(), value.0.expose().into()))
                    .collect(),
            };
            let transport = Transport::Stdio {
                command,
                args,
                // Each agent brings its own directory; here it would only differ from run to run.
                cwd: None,
                processes: Processes::Session,
            };
            Ok((transport, Vec::new(), Some(child)))
        }
    }
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
        let named = |run: &mut Connected| (run.name.clone(), run.policy.clone());
        let (server, policy) = self.of(run, named)?;
        // A server that was removed meanwhile is an error of `put_policy`.
        let put = store.put_policy(&Actor::new("run"), &server, &policy, text, None)?;
        self.of(run, |run| run.refused = None)?;
        Ok(put.current.version)
    }

    /// Notes why a run's policy file cannot be used as it is now.
    pub(super) fn policy_refused(&self, run: &str, why: String) -> Outcome {
        self.of(run, |run| run.refused = Some(why))
    }

    /// The policy files that cannot be used as they are now.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let connected = self.connected();
        let refused = connected.values().filter_map(|run| {
            Some(Trouble {
                broken: false,
                about: format!("run {}", run.name),
                message: run.refused.clone()?,
                hint: "mend the file: once it is saved it holds from the next call on".to_owned(),
            })
        });
        let mut troubles: Vec<_> = refused.collect();
        troubles.sort_by(|one, other| one.about.cmp(&other.about));
        troubles
    }

    /// The grant of a run, and since when it is connected.
    pub(super) fn grant(&self, run: &str) -> Outcome<(GrantId, Instant)> {
        self.of(run, |run| (run.grant.clone(), run.since))
    }

    fn of<T>(&self, run: &str, with: impl FnOnce(&mut Connected) -> T) -> Outcome<T> {
        let found = self.connected().get_mut(run).map(with);
        found.ok_or_else(|| Failure::not_found("this run is not connected any more"))
    }

    /// A name that a person gave: it must not be that of a registered server, nor of another run
    /// that is connected now.
    fn take_name(&self, store: &Store, name: String, digest: &str) -> Outcome<String> {
        let taken = |why: &str| {
            Err(Failure::conflict(format!("the name `{name}` is taken"))
                .because(why)
                .hint("choose another one with `--name`"))
        };
        let other = |run: &Connected| run.name == name && run.digest != digest;
        if self.connected().values().any(other) {
            return taken(
                "another `provost run` with another policy or command is connected under it",
            );
        }
        match store.server(&name) {
            Err(ChangeError::NoServer { .. }) => Ok(name),
            Err(error) => Err(Failure::from(error)),
            Ok(server) => {
                let description = server.description.as_deref().unwrap_or_default();
                match description.starts_with(DESCRIPTION) {
                    true => Ok(name),
                    false => taken(
                        "it is a registered server, which agents reach with `provost connect`",
                    ),
                }
            }
        }
    }

    /// Forgets a run whose connection has ended.
    pub(super) fn forget(&self, store: &Store, run: &str) {
        let forgotten = self.connected().remove(run);
        if let Some(run) = forgotten
            && let Err(error) = store.note_run(&run.id)
        {
            warn!(server.name = %run.name, %error, "The time at which this run was last used could not be saved");
        }
    }

    /// Clears what nobody has run for long; what is connected now stays.
    pub(super) fn clear(&self, store: &Store) -> Outcome<Vec<String>> {
        let _none_begins = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use: Vec<_> = self
            .connected()
            .values()
            .map(|run| run.id.clone())
            .collect();
        store
            .clear_runs(&Actor::new("upkeep"), &in_use)
            .map_err(Failure::from)
    }

    fn connected(&self) -> MutexGuard<'_, HashMap<String, Connected>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
