//! Servers.

use provost_store::{Actor, NewServer, Server, ServerChange, Store, Transport as Stored};

use super::change_failure;
use crate::admin::{Response, ServerView, Transport, WireSecret};
use crate::failure::{Failure, Outcome};

/// Names with secret values, as they arrive.
type Pairs = Vec<(String, WireSecret)>;

/// What to change of a server.
pub(super) struct Change {
    pub(super) transport: Option<Transport>,
    pub(super) headers: Pairs,
    pub(super) environment: Pairs,
    pub(super) unset: Vec<String>,
}

pub(super) fn add(
    store: &Store,
    who: &Actor,
    name: String,
    transport: Transport,
    headers: Pairs,
    environment: Pairs,
) -> Outcome<Response> {
    check_pairs(&transport, &headers, &environment)?;
    let server = NewServer {
        name,
        transport: stored(transport)?,
        headers: opened(headers),
        env: opened(environment),
        description: None,
    };
    let server = store.add_server(who, server).map_err(change_failure)?;
    view(store, &server).map(Response::Server)
}

pub(super) fn set(store: &Store, who: &Actor, name: &str, change: Change) -> Outcome<Response> {
    let server = store.server(name).map_err(change_failure)?;
    let transport = change.transport.unwrap_or_else(|| shown(&server.transport));
    check_pairs(&transport, &change.headers, &change.environment)?;
    let known = |name: &String| {
        server
            .headers
            .iter()
            .chain(&server.env)
            .any(|(key, _)| key == name)
    };
    if let Some(unknown) = change.unset.iter().find(|name| !known(name)) {
        return Err(Failure::not_found(format!(
            "server `{name}` has no header or variable `{unknown}`"
        ))
        .hint(format!("`provost server show {name}` lists them")));
    }
    // What belongs to the other kind of server does not stay behind unseen.
    let is_http = matches!(transport, Transport::Http { .. });
    let headers = if is_http {
        merged(server.headers, change.headers, &change.unset)
    } else {
        Vec::new()
    };
    let env = if is_http {
        Vec::new()
    } else {
        merged(server.env, change.environment, &change.unset)
    };
    let change = ServerChange {
        headers: Some(headers),
        env: Some(env),
        transport: Some(stored(transport)?),
        description: None,
    };
    let server = store
        .set_server(who, name, change)
        .map_err(change_failure)?;
    view(store, &server).map(Response::Server)
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
        transport: shown(&server.transport),
        headers: keys(&server.headers),
        environment: keys(&server.env),
        policies: policies
            .iter()
            .map(|policy| policy.name.to_string())
            .collect(),
        grants: grants
            .iter()
            .filter(|grant| grant.revoked.is_none())
            .count(),
    })
}

fn shown(transport: &Stored) -> Transport {
    match transport {
        Stored::Http { url } => Transport::Http { url: url.clone() },
        Stored::Stdio {
            command,
            args,
            cwd,
            shared,
        } => Transport::Stdio {
            command: std::iter::once(command).chain(args).cloned().collect(),
            directory: cwd.clone(),
            shared: *shared,
        },
    }
}

/// An HTTP upstream that `run` brings, checked like a registered one.
pub(crate) fn stored_http(url: String, headers: &[(String, WireSecret)]) -> Outcome<Stored> {
    let transport = Transport::Http { url };
    check_pairs(&transport, headers, &[])?;
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
            shared,
        } => {
            let mut words = command.into_iter();
            let Some(command) = words.next().filter(|command| !command.is_empty()) else {
                return Err(Failure::usage("the command of the server is empty"));
            };
            Ok(Stored::Stdio {
                command,
                args: words.collect(),
                cwd: directory,
                shared,
            })
        }
    }
}

fn check_url(url: &str) -> Outcome {
    let refuse = |why: &str| {
        Failure::usage(format!(
            "`{}` cannot be the address of a server",
            without_userinfo(url)
        ))
        .because(why)
        .hint("for example `https://mcp.example.com/mcp`; credentials go into `--header`")
    };
    let parsed: hyper::Uri = url.parse().map_err(|_| refuse("it is no URL"))?;
    match parsed.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(refuse("it begins with neither `http://` nor `https://`")),
    }
    let authority = parsed
        .authority()
        .ok_or_else(|| refuse("it names no host"))?;
    if authority.host().is_empty() {
        return Err(refuse("it names no host"));
    }
    if authority.as_str().contains('@') {
        return Err(refuse("it carries credentials"));
    }
    if url.contains('#') {
        return Err(refuse("it has a fragment"));
    }
    Ok(())
}

/// The URL as it may be repeated: what stands before an `@` can be a password.
fn without_userinfo(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

fn check_pairs(
    transport: &Transport,
    headers: &[(String, WireSecret)],
    environment: &[(String, WireSecret)],
) -> Outcome {
    match transport {
        Transport::Http { .. } if !environment.is_empty() => {
            return Err(Failure::usage("an HTTP server has no environment").hint("use `--header`"));
        }
        Transport::Stdio { .. } if !headers.is_empty() => {
            return Err(Failure::usage("a child process gets no headers").hint("use `--env`"));
        }
        Transport::Http { .. } | Transport::Stdio { .. } => {}
    }
    for (name, value) in headers {
        check_header(name, value)?;
    }
    for (name, value) in environment {
        if name.contains(['=', '\0']) || value.0.expose().contains('\0') {
            return Err(Failure::usage(format!("variable `{name}` cannot be set"))
                .because("its name or value has a character that no environment takes"));
        }
    }
    Ok(())
}

/// Headers that belong to the protocol or to the connection are not for people to set.
fn check_header(name: &str, value: &WireSecret) -> Outcome {
    let refuse =
        |why: &str| Err(Failure::usage(format!("header `{name}` cannot be sent")).because(why));
    const OURS: [&str; 12] = [
        "host",
        "content-length",
        "content-type",
        "accept",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "mcp-session-id",
        "mcp-protocol-version",
        "last-event-id",
    ];
    if hyper::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return refuse("that is no name of a header");
    }
    if OURS.contains(&name.to_ascii_lowercase().as_str()) {
        return refuse("Provost sets it itself");
    }
    if hyper::header::HeaderValue::from_str(value.0.expose()).is_err() {
        return refuse("its value has characters that no header takes, such as a line feed");
    }
    Ok(())
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
    fn addresses_are_checked_and_credentials_not_repeated() {
        assert!(check_url("https://mcp.example.com/mcp?x=1").is_ok());
        assert!(check_url("http://127.0.0.1:3000/mcp").is_ok());
        for bad in [
            "",
            "example.com",
            "ftp://a/b",
            "file:///etc",
            "http://",
            "http://a/#b",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        let failure = check_url("https://me:hunter2@example.com/").unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }

    #[test]
    fn headers_of_the_connection_are_refused() {
        let value = WireSecret(provost_store::Secret::new("x"));
        assert!(check_header("Authorization", &value).is_ok());
        for bad in ["Host", "mcp-session-id", "a b", ""] {
            assert!(check_header(bad, &value).is_err(), "{bad}");
        }
        assert!(check_header("X", &WireSecret(provost_store::Secret::new("a\r\nb: c"))).is_err());
    }

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
