//! What cannot be the address, a header or a variable of a server.

use super::transport::Transport;
use super::url_secret;
use crate::{Failure, Outcome, WireSecret};

pub(super) fn check_url(url: &str) -> Outcome {
    let refuse = |why: &str| {
        Failure::usage(format!(
            "`{}` cannot be the address of a server",
            url_secret::masked(&without_userinfo(url))
        ))
        .because(why)
        .hint("for example `https://mcp.example.com/mcp`; credentials go into `--header`")
    };
    let parsed: hyper::Uri = url.parse().map_err(|_| refuse("it is not a URL"))?;
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

/// Refuses what this kind of server cannot be given.
pub(super) fn check_sealed(
    transport: &Transport,
    headers: &[(String, WireSecret)],
    query: &[(String, WireSecret)],
    environment: &[(String, WireSecret)],
) -> Outcome {
    match transport {
        Transport::Http { .. } if !environment.is_empty() => {
            return Err(Failure::usage("an HTTP server has no environment").hint("use `--header`"));
        }
        Transport::Stdio { .. } if !headers.is_empty() => {
            return Err(Failure::usage("a child process gets no headers").hint("use `--env`"));
        }
        Transport::Stdio { .. } if !query.is_empty() => {
            return Err(Failure::usage("a child process has no URL").hint("use `--env`"));
        }
        Transport::Http { .. } | Transport::Stdio { .. } | Transport::Builtin => {}
    }
    check_headers(headers)?;
    for (name, value) in environment {
        if name.contains(['=', '\0']) || value.0.expose().contains('\0') {
            return Err(
                Failure::usage(format!("variable `{name}` cannot be set")).because(
                    "its name or value has a character that is not allowed in the environment",
                ),
            );
        }
    }
    Ok(())
}

pub(super) fn check_headers(headers: &[(String, WireSecret)]) -> Outcome {
    headers
        .iter()
        .try_for_each(|(name, value)| check_header(name, value))
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
        return refuse("it is not a valid name of a header");
    }
    if OURS.contains(&name.to_ascii_lowercase().as_str()) {
        return refuse("Provost sets it itself");
    }
    if hyper::header::HeaderValue::from_str(value.0.expose()).is_err() {
        return refuse(
            "its value has characters that are not allowed in a header, such as a line feed",
        );
    }
    Ok(())
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
}
