use std::net::{Ipv4Addr, SocketAddr};

use super::*;

fn guard() -> Guard {
    Guard::new(&Listen {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 7300)),
        tls: None,
        behind_proxy: false,
        allowed_hosts: vec!["gate.example".into()],
        allowed_origins: vec!["https://app.example".into()],
    })
}

fn check(headers: &[(&str, &str)]) -> u16 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: header::HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    match guard().check(&Uri::from_static("/mcp/x"), &map) {
        Ok(()) => 200,
        Err((status, _)) => status.as_u16(),
    }
}

#[test]
fn hosts_and_origins_are_compared_exactly() {
    let rows: [(&[(&str, &str)], u16); 18] = [
        (&[("host", "127.0.0.1:7300")], 200),
        (&[("host", "LOCALHOST:1")], 200),
        (&[("host", "[::1]:7300")], 200),
        (&[("host", "gate.example")], 200),
        (&[("host", "evil.example")], 403),
        (&[("host", "localhost.")], 403),
        (&[("host", "user@localhost")], 403),
        (&[("host", "localhost:port")], 403),
        (&[("host", "localhost.evil.example")], 403),
        (&[("host", "a"), ("host", "b")], 400),
        (&[], 400),
        (
            &[
                ("host", "localhost:7300"),
                ("origin", "http://localhost:7300"),
            ],
            200,
        ),
        (
            &[
                ("host", "localhost:7300"),
                ("origin", "http://localhost:7301"),
            ],
            403,
        ),
        (
            &[
                ("host", "localhost:7300"),
                ("origin", "https://app.example"),
            ],
            200,
        ),
        (
            &[
                ("host", "localhost:7300"),
                ("origin", "http://evil.example"),
            ],
            403,
        ),
        (&[("host", "localhost:7300"), ("origin", "null")], 403),
        (
            &[
                ("host", "localhost:7300"),
                ("origin", "http://localhost.evil.example"),
            ],
            403,
        ),
        (
            &[
                ("host", "localhost:7300"),
                ("origin", "http://127.0.0.1.evil.example"),
            ],
            403,
        ),
    ];
    for (headers, status) in rows {
        assert_eq!(check(headers), status, "{headers:?}");
    }
}
