//! Which hosts and origins a request may name: the guard against web pages that
//! reach a loopback address through a name of their own.

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{StatusCode, Uri};

use crate::host::settings::Listen;
use crate::host::unidentified::Reason;

/// Names under which the listener may be addressed.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
}

// === impl Guard ===

impl Guard {
    /// The loopback names, the listener's own address, and what the operator allowed.
    pub(crate) fn new(listen: &Listen) -> Self {
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"]
            .map(str::to_owned)
            .into();
        let ip = listen.address.ip();
        if !ip.is_unspecified() {
            hosts.push(if ip.is_ipv6() {
                format!("[{ip}]")
            } else {
                ip.to_string()
            });
        }
        hosts.extend(
            listen
                .allowed_hosts
                .iter()
                .map(|host| host.to_ascii_lowercase()),
        );
        Self {
            hosts,
            origins: listen.allowed_origins.clone(),
        }
    }

    /// Checks a request's host and origin; an error says with which status it is
    /// refused, and why.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), (StatusCode, Reason)> {
        let host = self.host(uri, headers);
        let host = host.map_err(|status| (status, Reason::Host))?;
        let origin = self.origin(headers, host);
        origin.map_err(|status| (status, Reason::Origin))
    }

    /// The host that is named, if it is one of ours.
    fn host<'r>(&self, uri: &'r Uri, headers: &'r HeaderMap) -> Result<&'r str, StatusCode> {
        let host = one(headers, &header::HOST)?;
        // HTTP/2 says it in the target, HTTP/1 in the header; both must agree.
        let authority = uri.authority().map(|authority| authority.as_str());
        let host = match (host, authority) {
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
                return Err(StatusCode::BAD_REQUEST);
            }
            (Some(host), _) => host,
            (None, Some(authority)) => authority,
            (None, None) => return Err(StatusCode::BAD_REQUEST),
        };
        let name = host_name(host).ok_or(StatusCode::FORBIDDEN)?;
        if !self
            .hosts
            .iter()
            .any(|allowed| name.eq_ignore_ascii_case(allowed))
        {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(host)
    }

    fn origin(&self, headers: &HeaderMap, host: &str) -> Result<(), StatusCode> {
        match one(headers, &header::ORIGIN)? {
            None => Ok(()),
            Some(origin) if self.origins.iter().any(|allowed| allowed == origin) => Ok(()),
            // A page that this very host and port serves.
            Some(origin) if same_origin(origin, host) => Ok(()),
            Some(_) => Err(StatusCode::FORBIDDEN),
        }
    }
}

/// The value of a header that may stand there once.
fn one<'h>(
    headers: &'h HeaderMap,
    name: &header::HeaderName,
) -> Result<Option<&'h str>, StatusCode> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::to_str);
    match (first, values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        (Some(_), _) => Err(StatusCode::BAD_REQUEST),
    }
}

/// The name without its port; nothing for what is no plain host and port.
fn host_name(host: &str) -> Option<&str> {
    let after = host.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = match host.get(after..)?.find(':') {
        Some(colon) => (host.get(..after + colon)?, host.get(after + colon + 1..)?),
        None => (host, "0"),
    };
    let plain = !name.is_empty() && !name.contains(['@', '/', '\\', ' ', '%']);
    (plain && port.parse::<u16>().is_ok()).then_some(name)
}

fn same_origin(origin: &str, host: &str) -> bool {
    let after = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    after.is_some_and(|after| after.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests;
