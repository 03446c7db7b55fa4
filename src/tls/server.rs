//! TLS with the gateway as its server.
//!
//! Certificates are behind one atomic pointer: a reload swaps all of them at once, sessions that
//! are established don't notice, and a file that is wrong changes nothing.

use super::certificates::Certificates;
use super::error::TlsError;
use super::{ALPN, provider};
use crate::config::{CertificateFiles, ListenerTls};
use crate::follow::Follower;
use crate::net::Socket;
use arc_swap::ArcSwap;
use std::io;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::Ticketer;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

/// The TLS of one listener.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    files: Vec<CertificateFiles>,
    /// Asynchronous, since it is held while waiting for a change.
    follower: Mutex<Follower>,
}

/// What is shown now.
#[derive(Debug)]
struct Current(ArcSwap<Certificates>);

impl ServerTls {
    /// Reads the certificates and keys.
    pub fn load(settings: &ListenerTls) -> Result<Self, TlsError> {
        let files = settings.certificates.clone();
        // Before the first read, so that a change in between is seen.
        let follower = Follower::new(paths(&files));
        let certificates = Certificates::load(&files)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(certificates)));
        Ok(Self {
            config: Arc::new(server_config(Arc::clone(&current))?),
            current,
            files,
            follower: Mutex::new(follower),
        })
    }

    /// Shakes hands. There is no deadline in here; dropping the future closes the socket.
    pub async fn accept(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        acceptor.accept(socket).await
    }

    /// DNS names of all certificates, wildcards with their `*.`, each once.
    pub fn names(&self) -> Vec<String> {
        self.current.0.load().names()
    }

    /// Whether the certificate that a client is shown which asks for `server_name` is good for
    /// `host` too; lower case, without port.
    pub fn covers(&self, server_name: Option<&str>, host: &str) -> bool {
        self.current.0.load().covers(server_name, host)
    }

    /// Follows the files and never ends. What cannot be used is logged and the certificates in use
    /// stay. Dropping the future ends the following.
    pub async fn follow(&self) {
        let mut follower = self.follower.lock().await;
        loop {
            follower.changed().await;
            match self.reload().await {
                Ok(()) => tracing::info!(names = ?self.names(), "certificates reloaded"),
                Err(error) => {
                    tracing::warn!(%error, "new certificates cannot be used, the old ones stay");
                }
            }
        }
    }

    pub(super) async fn reload(&self) -> Result<(), TlsError> {
        let files = self.files.clone();
        // Reading is short, but a network file system may make it long.
        let loaded = spawn_blocking(move || Certificates::load(&files)).await;
        match loaded {
            Ok(certificates) => self.current.0.store(Arc::new(certificates?)),
            // The runtime is ending; nobody is left who would be shown anything.
            Err(error) => tracing::debug!(%error, "certificates were not read"),
        }
        Ok(())
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.0.load();
        certificates.choose(hello.server_name(), hello.signature_schemes())
    }
}

/// One ticket for TLS 1.3 instead of two: it costs the gateway time, and a client that comes back
/// needs one. Early data is off: an upgrade must not be replayable.
fn server_config(current: Arc<Current>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.ignore_client_order = true;
    config.send_tls13_tickets = 1;
    config.ticketer = Ticketer::new().map_err(TlsError::Setup)?;
    config.max_early_data_size = 0;
    Ok(config)
}

fn paths(files: &[CertificateFiles]) -> Vec<std::path::PathBuf> {
    files
        .iter()
        .flat_map(|files| [files.cert.clone(), files.key.clone()])
        .collect()
}
