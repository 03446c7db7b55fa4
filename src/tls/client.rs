//! TLS with the gateway as its client, towards `wss://` endpoints.

use super::certificate::{Certificate, read_certificates};
use super::error::TlsError;
use super::expiry::Expiry;
use super::followed::{Followed, Material};
use super::trust::{self, Trust};
use super::{ALPN, provider};
use crate::config::UpstreamTls;
use crate::net::{Secure, Socket};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::client::UnbufferedClientConnection;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The TLS of one upstream.
#[derive(Debug)]
pub struct ClientTls {
    credentials: Followed<Credentials>,
    server_name: Option<ServerName<'static>>,
}

/// Whom the gateway trusts, and what it shows of itself.
#[derive(Debug)]
struct Credentials {
    config: Arc<ClientConfig>,
    expiries: Vec<Expiry>,
}

impl ClientTls {
    /// Reads the roots to trust, and the gateway's own certificate if it has one.
    pub fn load(settings: &UpstreamTls) -> Result<Self, TlsError> {
        let server_name = settings
            .server_name
            .as_ref()
            .map(|name| parse_name(name))
            .transpose()?;
        Ok(Self {
            credentials: Followed::load(settings.clone())?,
            server_name,
        })
    }

    /// Shakes hands with the endpoint at `host`, a name or an IP literal without brackets, which
    /// its certificate must be good for unless the settings name another. There is no deadline in
    /// here; dropping the future closes the socket.
    pub async fn connect(&self, socket: Socket, host: &str) -> io::Result<Secure<Socket>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => parse_name(host)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        let config = Arc::clone(&self.credentials.now().config);
        let connection = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = Secure::client(socket, connection);
        stream.handshake().await?;
        Ok(stream)
    }

    /// Until when the configured roots and the gateway's own certificate are good.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.credentials.now().expiries.clone()
    }

    /// Follows the files, and tells once a day what expires; never ends. What cannot be used is
    /// logged, and what is in use stays. Dropping the future ends the following.
    pub async fn follow(&self) {
        self.credentials.follow(&|_, _| ()).await;
    }
}

impl Material for Credentials {
    type Settings = UpstreamTls;

    fn load(settings: &UpstreamTls, _: Option<&Self>) -> Result<Self, TlsError> {
        let mut expiries = Vec::new();
        let (roots, pinned) = match &settings.ca {
            Some(file) => trusted(file, &mut expiries)?,
            None => (system_roots()?, Vec::new()),
        };
        let trust = Trust::new(roots, pinned)
            .map_err(|error| TlsError::Setup(rustls::Error::General(error.to_string())))?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust));
        let mut config = match &settings.client {
            Some(files) => {
                let own = Certificate::load(files)?;
                expiries.push(own.expiry);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.key)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            expiries,
        })
    }

    fn files(settings: &UpstreamTls) -> Vec<PathBuf> {
        let own = settings.client.iter();
        let own = own.flat_map(|files| [files.cert.clone(), files.key.clone()]);
        settings.ca.iter().cloned().chain(own).collect()
    }

    fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName {
        name: name.to_owned(),
    })
}

/// The roots of a file, and the same as certificates that may be an endpoint's own.
fn trusted(
    file: &Path,
    expiries: &mut Vec<Expiry>,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let certificates = read_certificates(file)?;
    for certificate in &certificates {
        let expiry = Expiry::of_authority(file, certificate);
        expiries.push(expiry.map_err(|problem| problem.of(file))?);
    }
    Ok((trust::roots(file, &certificates)?, certificates))
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
