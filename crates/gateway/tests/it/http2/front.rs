//! A server over TLS that speaks what it is told to, in front of a fixture.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The server, and what it saw.
pub(super) struct Front {
    pub(super) port: u16,
    /// Its certificate, for those who are to trust it.
    pub(super) ca: PathBuf,
    seen: Arc<Seen>,
    /// Cancelled to close all connections there are.
    hang_up: Mutex<CancellationToken>,
    acceptor: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    versions: Mutex<Vec<Version>>,
    hang_up: Mutex<CancellationToken>,
}

/// A request that is being answered.
struct Open(Arc<Seen>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Front {
    /// Offers `protocols`, and takes so many streams on a connection.
    pub(super) async fn start(place: &Path, to: &str, protocols: &[&str], streams: u32) -> Front {
        let (own, files) = crate::tls::certificate(place);
        let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.unwrap())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let tls = TlsAcceptor::from(Arc::new(config));
        let to: SocketAddr = to
            .trim_start_matches("http://")
            .trim_end_matches("/mcp")
            .parse()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let sees = Arc::clone(&seen);
        let acceptor = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let hang_up = sees.hang_up.lock().unwrap().clone();
                let (tls, sees) = (tls.clone(), Arc::clone(&sees));
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(socket, tls, to, streams, sees) => {}
                        () = hang_up.cancelled() => {}
                    }
                });
            }
        });
        Front {
            port,
            ca: files.cert,
            seen,
            hang_up: Mutex::default(),
            acceptor,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}/mcp", self.port)
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// How many requests are being answered.
    pub(super) fn open(&self) -> usize {
        self.seen.open.load(Ordering::Relaxed)
    }

    /// The version of each request.
    pub(super) fn versions(&self) -> Vec<Version> {
        self.seen.versions.lock().unwrap().clone()
    }

    /// Closes all connections; new ones are taken.
    pub(super) fn hang_up(&self) {
        let _own = self.hang_up.lock().unwrap();
        let next = CancellationToken::new();
        std::mem::replace(&mut *self.seen.hang_up.lock().unwrap(), next).cancel();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn serve(socket: TcpStream, tls: TlsAcceptor, to: SocketAddr, streams: u32, seen: Arc<Seen>) {
    let Ok(stream) = tls.accept(socket).await else {
        return;
    };
    seen.connections.fetch_add(1, Ordering::Relaxed);
    let service = service_fn(move |request: Request<Incoming>| {
        seen.versions.lock().unwrap().push(request.version());
        seen.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&seen));
        async move {
            let response = forward(to, request).await;
            drop(open);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(streams);
    drop(
        builder
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

async fn forward(to: SocketAddr, mut request: Request<Incoming>) -> Response<Incoming> {
    let socket = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .unwrap();
    tokio::spawn(connection);
    *request.uri_mut() = "/mcp".parse().unwrap();
    *request.version_mut() = Version::HTTP_11;
    let host = to.to_string().parse().unwrap();
    request.headers_mut().insert("host", host);
    sender.send_request(request).await.unwrap()
}
