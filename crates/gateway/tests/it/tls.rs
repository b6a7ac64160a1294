//! Encrypted on both sides, or refused: the listener's own certificate, and
//! upstreams that nobody vouches for.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::*;
use provost_gateway::{Builtins, Gateway, Listen, ListenError, TlsFiles};
use provost_store::{Locations, Store};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A gateway that does not listen yet, and a place for files.
fn gateway() -> (Gateway, TempDir) {
    let place = tempfile::tempdir().unwrap();
    let locations = Locations {
        data: place.path().join("data"),
        config: place.path().join("config"),
    };
    let store = Store::open(&locations).unwrap();
    (
        Gateway::start(store, gate::settings(), Builtins::new()).unwrap(),
        place,
    )
}

fn listen(address: &str) -> Listen {
    Listen {
        address: address.parse().unwrap(),
        tls: None,
        behind_proxy: false,
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
    }
}

/// A certificate for this machine, and where its files are.
pub(crate) fn certificate(place: &Path) -> (rcgen::CertifiedKey<rcgen::KeyPair>, TlsFiles) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        cert: place.join("cert.pem"),
        key: place.join("key.pem"),
    };
    std::fs::write(&files.cert, own.cert.pem()).unwrap();
    std::fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
    (own, files)
}

#[tokio::test]
async fn the_listener_speaks_tls_and_nothing_else() {
    let (gateway, place) = gateway();
    let (own, files) = certificate(place.path());
    let with_tls = Listen {
        tls: Some(files),
        ..listen("127.0.0.1:0")
    };
    let address = gateway.listen(&with_tls).unwrap();
    let request =
        "POST /mcp/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer).await);
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(!plain(address, request).await.starts_with("HTTP/1.1"));
}

/// What a request without TLS brings back.
async fn plain(address: SocketAddr, request: &str) -> String {
    let request = request.as_bytes().to_vec();
    let answer = tokio::task::spawn_blocking(move || {
        provost_testkit::tcp::exchange(address, &request, Duration::from_secs(2)).unwrap()
    });
    String::from_utf8_lossy(&answer.await.unwrap()).into_owned()
}

#[tokio::test]
async fn another_address_than_loopback_needs_tls_or_a_proxy() {
    let (gateway, place) = gateway();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = gateway.listen(&listen(address));
        assert!(
            matches!(refused, Err(ListenError::Unprotected(_))),
            "{refused:?}"
        );
    }
    let files = TlsFiles {
        cert: place.path().join("no"),
        key: place.path().join("no"),
    };
    let refused = gateway.listen(&Listen {
        tls: Some(files),
        ..listen("0.0.0.0:0")
    });
    assert!(
        matches!(refused, Err(ListenError::Certificate { .. })),
        "{refused:?}"
    );
    let behind = Listen {
        behind_proxy: true,
        ..listen("0.0.0.0:0")
    };
    let address = gateway.listen(&behind).unwrap();
    assert_eq!(
        gateway.listen(&listen("127.0.0.1:0")).unwrap(),
        address,
        "once is enough"
    );
}

#[tokio::test]
async fn an_address_in_use_is_said() {
    let (gateway, _place) = gateway();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = gateway.listen(&listen(&taken.local_addr().unwrap().to_string()));
    assert!(
        matches!(refused, Err(ListenError::Bind { .. })),
        "{refused:?}"
    );
}
