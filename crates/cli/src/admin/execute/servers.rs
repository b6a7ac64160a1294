//! Servers.

mod checks;

use provost_store::{
    Actor, NewServer, Server, ServerChange, Store, Transport as Stored, Unreadable,
};

use super::{change_failure, url_secret};
use crate::admin::{Response, ServerView, Transport, WireSecret};
use crate::failure::{Failure, Outcome};
use checks::{check_headers, check_url};

/// Names with secret values, as they arrive.
type Pairs = Vec<(String, WireSecret)>;

/// What a server gets along with its requests, or its process with its start; kept sealed.
pub(super) struct Sealed {
    pub(super) headers: Pairs,
    pub(super) query: Pairs,
    pub(super) environment: Pairs,
}

/// What to change of a server.
pub(super) struct Change {
    pub(super) transport: Option<Transport>,
    pub(super) sealed: Sealed,
    pub(super) unset: Vec<String>,
}

pub(super) fn add(
    store: &Store,
    who: &Actor,
    name: String,
    transport: Transport,
    sealed: Sealed,
) -> Outcome<Response> {
    sealed.check(&transport)?;
    let server = NewServer {
        name,
        transport: stored(transport)?,
        headers: opened(sealed.headers),
        query: opened(sealed.query),
        env: opened(sealed.environment),
        description: None,
    };
    let server = store.add_server(who, server).map_err(change_failure)?;
    view(store, &server).map(Response::Server)
}

pub(super) fn set(store: &Store, who: &Actor, name: &str, change: Change) -> Outcome<Response> {
    let server = store.server(name).map_err(change_failure)?;
    let known_place = server.transport.as_ref().map(shown);
    let Some(transport) = change.transport.clone().or(known_place) else {
        return Err(
            Failure::refused(format!("how server `{name}` is reached cannot be read"))
                .hint("say it anew: `--url URL`, or `-- CMD ARGS…` for a child process"),
        );
    };
    change.sealed.check(&transport)?;
    check_unset(&server, &change.unset)?;
    // What belongs to the other kind of server does not stay behind unseen.
    let is_http = matches!(transport, Transport::Http { .. });
    if is_http == matches!(server.transport, Some(Stored::Http { .. })) {
        check_unreadable(&server, &change)?;
    }
    let Sealed {
        headers,
        query,
        environment,
    } = change.sealed;
    let kept = |fits: bool, old, new| match fits {
        true => merged(old, new, &change.unset),
        false => Vec::new(),
    };
    let change = ServerChange {
        headers: Some(kept(is_http, server.headers, headers)),
        query: Some(kept(is_http, server.query, query)),
        env: Some(kept(!is_http, server.env, environment)),
        transport: Some(stored(transport)?),
        description: None,
    };
    let server = store
        .set_server(who, name, change)
        .map_err(change_failure)?;
    view(store, &server).map(Response::Server)
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
fn check_unreadable(server: &Server, change: &Change) -> Outcome {
    let Sealed {
        headers,
        query,
        environment,
    } = &change.sealed;
    let given = headers.iter().chain(query).chain(environment);
    let given: Vec<_> = given.map(|(name, _)| name).collect();
    for what in &server.unreadable {
        let Unreadable::Sealed { name, .. } = what else {
            continue;
        };
        if !change.unset.contains(name) && !given.contains(&name) {
            return Err(Failure::refused(format!(
                "server `{}` has a value that is lost",
                server.name
            ))
            .because(what)
            .hint(format!(
                "give `{name}` anew, or forget it with `--unset {name}`"
            )));
        }
    }
    Ok(())
}

pub(super) fn list(store: &Store) -> Outcome<Response> {
    let servers = store
        .servers()
        .map_err(|error| crate::admin::store_failure(&error))?;
    servers
        .iter()
        .map(|server| view(store, server))
        .collect::<Outcome<_>>()
        .map(Response::Servers)
}

pub(super) fn show(store: &Store, name: &str) -> Outcome<Response> {
    view(store, &store.server(name).map_err(change_failure)?).map(Response::Server)
}

pub(super) fn remove(store: &Store, who: &Actor, name: &str) -> Outcome<Response> {
    let server = view(store, &store.server(name).map_err(change_failure)?)?;
    store.remove_server(who, name).map_err(change_failure)?;
    Ok(Response::Server(server))
}

fn view(store: &Store, server: &Server) -> Outcome<ServerView> {
    let name = server.name.as_str();
    let policies = store.policies(Some(name)).map_err(change_failure)?;
    let grants = store.grants(Some(name)).map_err(change_failure)?;
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

/// What is wrong with keeping a server like this.
pub(super) fn warning(server: &Server) -> Option<String> {
    match &server.transport {
        Some(Stored::Http { url }) if url_secret::holds_secret(url) => Some(format!(
            "the query of its URL seems to hold a secret, which is kept in clear text; seal it: `provost server set {} --url URL-WITHOUT-IT --query NAME=@FILE`, or use `--header`",
            server.name
        )),
        Some(Stored::Http { .. } | Stored::Stdio { .. }) | None => None,
    }
}

/// How a server is reached, as it may be shown.
fn masked(transport: &Stored) -> Transport {
    match shown(transport) {
        Transport::Http { url } => Transport::Http {
            url: url_secret::masked(&url),
        },
        stdio @ Transport::Stdio { .. } => stdio,
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
    }
}

/// An HTTP upstream that `run` brings, checked like a registered one.
pub(crate) fn stored_http(url: String, headers: &[(String, WireSecret)]) -> Outcome<Stored> {
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
