//! Servers: add, set, list, show, remove.

mod checks;
mod transport;
mod url_secret;

use provost_store::{NewServer, Server, ServerChange, Store, Transport as Stored, Unreadable};
use serde::{Deserialize, Serialize};

use crate::{Actor, Administration, Failure, Outcome, Page, Paging, WireSecret};
pub use transport::Transport;

use checks::{check_headers, check_sealed, check_url};

/// Servers that are parts of the daemon: there whenever somebody wants them.
const BUILT_IN: [&str; 2] = ["fleet", "native"];

/// Names with secret values, as they arrive.
type Pairs = Vec<(String, WireSecret)>;

/// Registers a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerAdd {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub transport: Transport,
    /// Headers of every request; kept sealed.
    pub headers: Pairs,
    /// Parts of the URL's query; kept sealed.
    pub query: Pairs,
    /// Variables of its process; kept sealed.
    pub environment: Pairs,
}

/// Changes a server: what is `None` or not named stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSet {
    /// Its name.
    pub name: String,
    /// Where it is now.
    pub transport: Option<Transport>,
    /// Headers to add or replace.
    pub headers: Pairs,
    /// Parts of the query to add or replace.
    pub query: Pairs,
    /// Variables to add or replace.
    pub environment: Pairs,
    /// Names of headers, parts of the query and variables to forget.
    pub unset: Vec<String>,
}

/// All servers, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerList {
    /// Which part.
    #[serde(default)]
    pub page: Paging,
}

/// One server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerShow {
    /// Its name.
    pub name: String,
}

/// Removes a server with its policies; its grants are revoked. The answer is what it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerRemove {
    /// Its name.
    pub name: String,
}

/// A server as administration sees it; secrets by name only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How it is reached, the values of a query masked; nothing when that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Names of its headers.
    pub headers: Vec<String>,
    /// Names of sealed parts of its query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// Names of its variables.
    pub environment: Vec<String>,
    /// Names of its policies.
    pub policies: Vec<String>,
    /// How many grants open it.
    pub grants: usize,
    /// What of it cannot be read: while there is anything, its calls are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// What deserves a look: a secret in clear text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

pub(crate) fn add(wish: ServerAdd, to: &Administration<'_>, who: &Actor) -> Outcome<ServerView> {
    check_sealed(
        &wish.transport,
        &wish.headers,
        &wish.query,
        &wish.environment,
    )?;
    let server = NewServer {
        name: wish.name,
        transport: stored(wish.transport)?,
        headers: opened(wish.headers),
        query: opened(wish.query),
        env: opened(wish.environment),
        description: None,
    };
    let server = to.store.add_server(&who.recorded(), server);
    view(to.store, &server?)
}

pub(crate) fn set(wish: ServerSet, to: &Administration<'_>, who: &Actor) -> Outcome<ServerView> {
    let name = &wish.name;
    let server = to.store.server(name)?;
    let known_place = server.transport.as_ref().map(shown);
    let Some(transport) = wish.transport.clone().or(known_place) else {
        return Err(Failure::refused(format!(
            "the address or command of server `{name}` cannot be read"
        ))
        .hint("give it again: `--url URL`, or `-- CMD ARGS…` for a child process"));
    };
    check_sealed(&transport, &wish.headers, &wish.query, &wish.environment)?;
    check_unset(&server, &wish.unset)?;
    // What belongs to the other kind of server does not stay behind unseen.
    let is_http = matches!(transport, Transport::Http { .. });
    if is_http == matches!(server.transport, Some(Stored::Http { .. })) {
        check_unreadable(&server, &wish)?;
    }
    let kept = |fits: bool, old, new| match fits {
        true => merged(old, new, &wish.unset),
        false => Vec::new(),
    };
    let change = ServerChange {
        headers: Some(kept(is_http, server.headers, wish.headers)),
        query: Some(kept(is_http, server.query, wish.query)),
        env: Some(kept(!is_http, server.env, wish.environment)),
        transport: Some(stored(transport)?),
        description: None,
    };
    let server = to.store.set_server(&who.recorded(), name, change);
    view(to.store, &server?)
}

pub(crate) fn list(
    wish: ServerList,
    to: &Administration<'_>,
    _: &Actor,
) -> Outcome<Page<ServerView>> {
    let servers = to.store.servers()?;
    let page = wish.page.cut(
        servers,
        |server| server.name.to_string(),
        |cursor| Some(cursor.to_owned()),
        |server| server.name.to_string(),
    )?;
    page.try_map(|server| view(to.store, &server))
}

pub(crate) fn show(wish: ServerShow, to: &Administration<'_>, _: &Actor) -> Outcome<ServerView> {
    view(to.store, &to.store.server(&wish.name)?)
}

pub(crate) fn remove(
    wish: ServerRemove,
    to: &Administration<'_>,
    who: &Actor,
) -> Outcome<ServerView> {
    let server = view(to.store, &to.store.server(&wish.name)?)?;
    let removed = to.store.remove_server(&who.recorded(), &wish.name);
    removed?;
    Ok(server)
}

/// Only what is there can be forgotten.
fn check_unset(server: &Server, unset: &[String]) -> Outcome {
    let open = server
        .headers
        .iter()
        .chain(&server.query)
        .chain(&server.env)
        .map(|(name, _)| name);
    let closed = server.unreadable.iter().filter_map(|what| match what {
        Unreadable::Sealed { name, .. } => Some(name),
        Unreadable::Transport { .. } | Unreadable::Differs => None,
    });
    let known: Vec<_> = open.chain(closed).collect();
    match unset.iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(unknown) => Err(Failure::not_found(format!(
            "server `{}` has no header, query or variable `{unknown}`",
            server.name
        ))
        .hint(format!("`provost server show {}` lists them", server.name))),
    }
}

/// A sealed value that does not open must not be lost by the way: without its credential the
/// server would be called in another name.
fn check_unreadable(server: &Server, change: &ServerSet) -> Outcome {
    let given = change.headers.iter().chain(&change.query);
    let given = given.chain(&change.environment);
    let given: Vec<_> = given.map(|(name, _)| name).collect();
    for what in &server.unreadable {
        let Unreadable::Sealed { name, .. } = what else {
            continue;
        };
        if !change.unset.contains(name) && !given.contains(&name) {
            return Err(Failure::refused(format!(
                "server `{}` has a sealed value that can no longer be opened",
                server.name
            ))
            .because(what)
            .hint(format!(
                "give `{name}` again, or forget it with `--unset {name}`"
            )));
        }
    }
    Ok(())
}

fn view(store: &Store, server: &Server) -> Outcome<ServerView> {
    let name = server.name.as_str();
    let policies = store.policies(Some(name))?;
    let grants = store.grants(Some(name))?;
    let keys = |pairs: &[(String, provost_store::Secret)]| {
        pairs.iter().map(|(key, _)| key.clone()).collect()
    };
    Ok(ServerView {
        id: server.id.to_string(),
        name: name.to_owned(),
        description: server.description.clone(),
        transport: server.transport.as_ref().map(masked),
        headers: keys(&server.headers),
        query: keys(&server.query),
        environment: keys(&server.env),
        policies: policies
            .iter()
            .map(|policy| policy.name.to_string())
            .collect(),
        grants: grants
            .iter()
            .filter(|grant| grant.revoked.is_none())
            .count(),
        unreadable: server.unreadable.iter().map(ToString::to_string).collect(),
        warning: warning(server),
    })
}

/// Makes sure that a part of the daemon can have grants and policies, where `server` is
/// the name of one.
///
/// # Errors
///
/// The store refuses.
pub fn furnish(store: &Store, server: &str, who: &Actor) -> Outcome {
    match BUILT_IN.contains(&server) {
        true => store
            .furnish_builtin(&who.recorded(), server)
            .map(drop)
            .map_err(Failure::from),
        false => Ok(()),
    }
}

/// What is wrong with keeping a server like this.
pub(crate) fn warning(server: &Server) -> Option<String> {
    match &server.transport {
        Some(Stored::Http { url }) if url_secret::holds_secret(url) => Some(format!(
            "the query of its URL seems to hold a secret, which is kept in clear text; seal it: `provost server set {} --url URL-WITHOUT-IT --query NAME=@FILE`, or use `--header`",
            server.name
        )),
        Some(Stored::Http { .. } | Stored::Stdio { .. } | Stored::Builtin) | None => None,
    }
}

/// How a server is reached, as it may be shown.
fn masked(transport: &Stored) -> Transport {
    match shown(transport) {
        Transport::Http { url } => Transport::Http {
            url: url_secret::masked(&url),
        },
        other @ (Transport::Stdio { .. } | Transport::Builtin) => other,
    }
}

fn shown(transport: &Stored) -> Transport {
    match transport {
        Stored::Http { url } => Transport::Http { url: url.clone() },
        Stored::Stdio {
            command,
            args,
            cwd,
            processes,
        } => Transport::Stdio {
            command: std::iter::once(command).chain(args).cloned().collect(),
            directory: cwd.clone(),
            processes: *processes,
        },
        Stored::Builtin => Transport::Builtin,
    }
}

/// An HTTP upstream that `run` brings, checked like a registered one.
///
/// # Errors
///
/// Its address or a header cannot be one.
pub fn stored_http(url: String, headers: &[(String, WireSecret)]) -> Outcome<Stored> {
    let transport = Transport::Http { url };
    check_headers(headers)?;
    stored(transport)
}

fn stored(transport: Transport) -> Outcome<Stored> {
    match transport {
        Transport::Http { url } => {
            check_url(&url)?;
            Ok(Stored::Http { url })
        }
        Transport::Stdio {
            command,
            directory,
            processes,
        } => {
            let mut words = command.into_iter();
            let Some(command) = words.next().filter(|command| !command.is_empty()) else {
                return Err(Failure::usage("the command of the server is empty"));
            };
            Ok(Stored::Stdio {
                command,
                args: words.collect(),
                cwd: directory,
                processes,
            })
        }
        Transport::Builtin => Err(Failure::usage(
            "what is built in is there already: it is not registered",
        )),
    }
}

fn opened(pairs: Pairs) -> Vec<(String, provost_store::Secret)> {
    pairs
        .into_iter()
        .map(|(key, value)| (key, value.0))
        .collect()
}

fn merged(
    old: Vec<(String, provost_store::Secret)>,
    new: Pairs,
    unset: &[String],
) -> Vec<(String, provost_store::Secret)> {
    let replaced =
        |key: &str| new.iter().any(|(new, _)| new == key) || unset.iter().any(|name| name == key);
    let kept: Vec<_> = old.into_iter().filter(|(key, _)| !replaced(key)).collect();
    kept.into_iter().chain(opened(new.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_replaces_adds_and_forgets_by_name() {
        let pair = |key: &str, value: &str| (key.to_owned(), provost_store::Secret::new(value));
        let new = vec![(
            "B".to_owned(),
            WireSecret(provost_store::Secret::new("new")),
        )];
        let merged = merged(
            vec![pair("A", "1"), pair("B", "2"), pair("C", "3")],
            new,
            &["C".into()],
        );
        let merged: Vec<_> = merged
            .iter()
            .map(|(key, value)| (key.as_str(), value.expose()))
            .collect();
        assert_eq!(merged, [("A", "1"), ("B", "new")]);
    }
}
