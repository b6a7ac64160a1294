//! `host_in`: a URL whose host is, or is below, one of the names.
//!
//! It looks at text only. What a name resolves to, and where a server
//! redirects to, cannot be seen from here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Answer, Asked, BadValue};
use crate::work::Work;

/// Hosts that are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hosts(Vec<Host>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

/// What comparing with a listed host costs.
const LISTED: usize = 4;

/// Schemes whose host is a host.
const SCHEMES: [&str; 11] = [
    "https",
    "http",
    "wss",
    "ws",
    "ftp",
    "ftps",
    "sftp",
    "ssh",
    "git",
    "git+https",
    "git+ssh",
];

// === impl Hosts ===

impl Hosts {
    pub(super) fn new(hosts: &[String]) -> Result<Self, BadValue> {
        hosts
            .iter()
            .map(|text| {
                // Without brackets too: here no port can follow.
                let listed = text.parse::<Ipv6Addr>().map(|address| Host::Address(address.into()));
                listed.or_else(|_| host(text)).map_err(|why| BadValue {
                    message: format!("the host `{}` {why}", text.escape_debug()),
                    hint: Some("hosts are names or addresses, such as `example.com`, which covers all below it"),
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn ask(&self, url: &str, work: &mut Work) -> Asked {
        work.spend(url.len() + LISTED * self.0.len())?;
        Ok(match url_host(url) {
            Err(why) => Answer::CannotTell(why),
            Ok(asked) if self.0.iter().any(|listed| asked.is_or_is_below(listed)) => Answer::Yes,
            Ok(asked) if asked.is_private() => Answer::CannotTell("leads to a private address"),
            Ok(_) => Answer::No,
        })
    }
}

// === impl Host ===

impl Host {
    fn is_or_is_below(&self, listed: &Self) -> bool {
        match (self, listed) {
            (Self::Address(asked), Self::Address(listed)) => asked == listed,
            (Self::Name(asked), Self::Name(listed)) => asked
                .strip_suffix(listed.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
            _ => false,
        }
    }

    fn is_private(&self) -> bool {
        match self {
            Self::Name(name) => ["localhost", "local", "internal", "localdomain"]
                .iter()
                .any(|own| {
                    name.strip_suffix(own)
                        .is_some_and(|b| b.is_empty() || b.ends_with('.'))
                }),
            Self::Address(IpAddr::V4(address)) => is_private_v4(*address),
            Self::Address(IpAddr::V6(address)) => is_private_v6(*address),
        }
    }
}

/// The host of a URL, if there is only one way to read it.
fn url_host(url: &str) -> Result<Host, &'static str> {
    // Readers disagree about all of these: some drop them, some do not.
    if url
        .chars()
        .any(|character| character.is_control() || character.is_whitespace())
    {
        return Err("has white space or a control character in it");
    }
    if url.contains('\\') {
        return Err("has a backslash in it");
    }
    let (scheme, rest) = url.split_once("://").ok_or("is not a URL")?;
    // Others run code, read files or mean something else by a host.
    if !SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err("has an unusual scheme");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("has a user name in it");
    }
    if authority.contains('%') {
        return Err("has an encoded host");
    }
    let (text, port) = match authority.rfind(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority
            .find(':')
            .map_or((authority, ""), |colon| authority.split_at(colon)),
    };
    if !port.is_empty() {
        let digits = port.strip_prefix(':').unwrap_or_default();
        if digits.is_empty()
            || digits.parse::<u16>().is_err()
            || !digits.bytes().all(|b| b.is_ascii_digit())
        {
            return Err("has an invalid port");
        }
    }
    host(text)
}

/// A host name or address, if there is only one way to read it.
fn host(text: &str) -> Result<Host, &'static str> {
    if let Some(inner) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let address = inner
            .parse::<Ipv6Addr>()
            .map_err(|_| "has an invalid address")?;
        return Ok(Host::Address(address.into()));
    }
    if !text.is_ascii() {
        return Err("has a host that is not plain ASCII");
    }
    let labels = || text.split('.');
    let valid = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if text.len() > 253 || !labels().all(valid) {
        return Err("has an invalid host");
    }
    // What ends like a number is an address to most readers, in any of its
    // spellings: `0x7f.1`, `017700000001`, `2130706433`.
    let last = labels().next_back().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X")
    {
        // This parser takes exactly four plain decimals without leading zeros.
        let address = text
            .parse::<Ipv4Addr>()
            .map_err(|_| "has an address in an unusual spelling")?;
        return Ok(Host::Address(address.into()));
    }
    // Encoded Unicode names look alike too; they count only as they are listed.
    Ok(Host::Name(text.to_ascii_lowercase()))
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a == 192 && b == 0 && c == 0)
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    // Only global unicast is public, less the ranges that carry an IPv4
    // address inside (6to4, Teredo) and the one for documentation.
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let carries_v4 = first == 0x2002 || (first == 0x2001 && second == 0);
    !global || carries_v4 || (first == 0x2001 && second == 0xdb8)
}
