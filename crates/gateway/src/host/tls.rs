//! TLS on both sides: to upstreams with the machine's own roots, and for the
//! listener with the operator's certificate.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::warn;

use crate::host::settings::TlsFiles;

/// TLS towards upstreams; reads the machine's roots when first needed.
#[derive(Default)]
pub(crate) struct Connector(OnceLock<Option<TlsConnector>>);

impl Connector {
    /// The connector, if the machine or the operator has any certificate roots.
    pub(crate) fn get(&self, own: Option<&Path>) -> Option<TlsConnector> {
        self.0.get_or_init(|| connector(own)).clone()
    }
}

/// A certificate or a key that cannot be used.
pub(crate) struct BadFile {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

fn connector(own: Option<&Path>) -> Option<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        warn!(%error, "Some certificate roots of this machine cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    if let Some(path) = own {
        match CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(certificates) => {
                roots.add_parsable_certificates(certificates);
            }
            Err(error) => {
                warn!(path = %path.display(), %error, "The certificates for servers cannot be read (`upstream_ca`)");
            }
        }
    }
    if roots.is_empty() {
        return None;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // In this order: one connection for many calls is better than many.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(TlsConnector::from(Arc::new(config)))
}

/// TLS for the listener.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, BadFile> {
    let bad = |path: &Path, reason: String| BadFile {
        path: path.to_owned(),
        reason,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| bad(&files.cert, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| bad(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&files.cert, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(&files.cert, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
