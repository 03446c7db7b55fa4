//! TLS with the gateway as its client, towards `wss://` endpoints.

use super::certificate::read_certificates;
use super::error::{FileProblem, TlsError};
use super::trust::Trust;
use super::{ALPN, provider};
use crate::config::UpstreamTls;
use crate::net::Socket;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The TLS of one upstream.
#[derive(Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Reads the roots to trust.
    pub fn load(settings: &UpstreamTls) -> Result<Self, TlsError> {
        let (roots, pinned) = match &settings.ca {
            Some(file) => roots_of(file)?,
            None => (system_roots()?, Vec::new()),
        };
        let trust = Trust::new(roots, pinned)
            .map_err(|error| TlsError::Setup(rustls::Error::General(error.to_string())))?;
        let server_name = settings
            .server_name
            .as_ref()
            .map(|name| parse_name(name))
            .transpose()?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            server_name,
        })
    }

    /// Shakes hands with the endpoint at `host`, a name or an IP literal without brackets, which
    /// its certificate must be good for unless the settings name another. There is no deadline in
    /// here; dropping the future closes the socket.
    pub async fn connect(&self, socket: Socket, host: &str) -> io::Result<TlsStream<Socket>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => parse_name(host)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, socket).await
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName {
        name: name.to_owned(),
    })
}

/// The roots of a file, and the same as certificates that may be an endpoint's own. One that cannot
/// be a root is an error: it was put there on purpose.
fn roots_of(file: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let mut roots = RootCertStore::empty();
    let certificates = read_certificates(file)?;
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| FileProblem::Certificate(error.to_string()).of(file))?;
    }
    Ok((roots, certificates))
}

/// Systems carry roots that nobody can read any more; those are passed over.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(TlsError::NoSystemRoots {
            problems: found.errors.iter().map(ToString::to_string).collect(),
        });
    }
    Ok(roots)
}
