//! TLS with the gateway as its server.

use super::certificates::Certificates;
use super::client_auth::ClientAuth;
use super::client_certificate::ClientCertificate;
use super::error::TlsError;
use super::expiry::Expiry;
use super::followed::{Followed, Material};
use super::handshake_failure::HandshakeFailure;
use super::hello::{Hello, broken};
use super::{ALPN, provider};
use crate::config::{ListenerTls, TlsVersion};
use crate::net::{Secure, Socket};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio_rustls::rustls::crypto::aws_lc_rs::Ticketer;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, UnbufferedServerConnection};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{CommonState, Error, ServerConfig, SupportedProtocolVersion};

/// The TLS of one listener.
#[derive(Debug)]
pub struct ServerTls {
    is_strict: bool,
    identity: Followed<Identity>,
}

/// A connection on which hands were shaken.
#[derive(Debug)]
pub struct Secured {
    /// What is said on it, in the clear.
    pub stream: Secure<Socket>,
    /// The name that the client asked for (RFC 6066 §3).
    pub server_name: Option<String>,
    /// What the client showed, where it is asked for one.
    pub certificate: Option<Box<ClientCertificate>>,
}

/// What is shown to clients, and what they are to show.
#[derive(Debug)]
struct Identity {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    clients: Option<ClientAuth>,
    expiries: Vec<Expiry>,
}

/// `unrecognized_name`, fatal, as a record before any encryption (RFC 6066 §3, RFC 8446 §6).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

impl ServerTls {
    /// Reads certificates, keys, and what clients' certificates are checked by.
    pub fn load(settings: &ListenerTls) -> Result<Self, TlsError> {
        Ok(Self {
            is_strict: settings.strict_sni,
            identity: Followed::load(settings.clone())?,
        })
    }

    /// Shakes hands. There is no deadline in here; dropping the future closes the socket.
    pub async fn accept(&self, mut socket: Socket) -> Result<Secured, HandshakeFailure> {
        let Hello { server_name, bytes } = match Hello::read_from(&mut socket).await {
            Ok(hello) => hello,
            Err(error) => return Err(HandshakeFailure::from(error).on(socket)),
        };
        let identity = self.identity.kept();
        if self.is_strict && !identity.certificates.know(server_name.as_deref()) {
            // Who has hung up needs no alert.
            let _ = socket.write_all(&UNRECOGNIZED_NAME).await;
            return Err(HandshakeFailure::unknown_name(server_name).on(socket));
        }
        let failed =
            |error, socket| Err(HandshakeFailure::new(error, server_name.clone()).on(socket));
        let connection = match UnbufferedServerConnection::new(Arc::clone(&identity.config)) {
            Ok(connection) => connection,
            Err(error) => return failed(broken(error), socket),
        };
        let mut stream = Secure::server(socket, connection, bytes);
        if let Err(error) = stream.handshake().await {
            return failed(error, stream.into_inner());
        }
        // By what holds now: the files may have changed while the client took its time.
        if let Err(error) = self.identity.kept().check_resumed(stream.get_ref().1) {
            return failed(broken(error), stream.into_inner());
        }
        let shown = ClientCertificate::shown(stream.get_ref().1);
        Ok(Secured {
            stream,
            server_name,
            certificate: shown.map(Box::new),
        })
    }

    /// DNS names of all certificates, wildcards with their `*.`, each once.
    pub fn names(&self) -> Vec<String> {
        self.identity.now().certificates.names()
    }

    /// Whether the certificate that a client is shown which asks for `server_name` is good for
    /// `host` too; lower case, without port.
    pub fn covers(&self, server_name: Option<&str>, host: &str) -> bool {
        let identity = self.identity.now();
        identity.certificates.covers(server_name, host)
    }

    /// Until when certificates, clients' authorities and revocation lists are good.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.identity.now().expiries.clone()
    }

    /// Follows the files, and tells once a day what expires; never ends. What cannot be used is
    /// logged, and what is in use stays. Of each client's certificate that is on a revocation list
    /// now and was on none before, the id is `revoked`. Dropping the future ends the following.
    pub async fn follow(&self, revoked: &(dyn Fn(&str) + Send + Sync)) {
        let changed = |before: &Identity, now: &Identity| {
            let ids = |identity: &Identity| {
                identity
                    .clients
                    .iter()
                    .flat_map(ClientAuth::revoked)
                    .collect()
            };
            let (before, now): (HashSet<Box<str>>, HashSet<Box<str>>) = (ids(before), ids(now));
            now.difference(&before).for_each(|id| revoked(id));
        };
        self.identity.follow(&changed).await;
    }

    #[cfg(test)]
    pub(super) async fn reload(&self) -> Result<(), TlsError> {
        self.identity.reload().await
    }
}

impl Material for Identity {
    type Settings = ListenerTls;

    fn load(settings: &ListenerTls, before: Option<&Self>) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::load(&settings.certificates)?);
        let clients = settings
            .clients
            .as_ref()
            .map(ClientAuth::load)
            .transpose()?;
        let mut config = server_config(settings, &certificates, clients.as_ref())?;
        if let Some(before) = before.filter(|before| before.decides_as(clients.as_ref())) {
            // A renewed certificate is no reason to forget who was here.
            config.ticketer = Arc::clone(&before.config.ticketer);
            config.session_storage = Arc::clone(&before.config.session_storage);
        }
        let mut expiries = certificates.expiries();
        expiries.extend(clients.iter().flat_map(|clients| clients.expiries.clone()));
        Ok(Self {
            config: Arc::new(config),
            certificates,
            clients,
            expiries,
        })
    }

    fn files(settings: &ListenerTls) -> Vec<PathBuf> {
        let pairs = settings.certificates.iter();
        let mut files: Vec<PathBuf> = pairs
            .flat_map(|files| [files.cert.clone(), files.key.clone()])
            .collect();
        if let Some(clients) = &settings.clients {
            files.push(clients.ca.clone());
            files.extend_from_slice(&clients.crl);
        }
        files
    }

    fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }
}

impl Identity {
    fn check_resumed(&self, connection: &CommonState) -> Result<(), Error> {
        match &self.clients {
            Some(clients) => clients.check_resumed(connection),
            None => Ok(()),
        }
    }

    /// Whether a client that was let in then would be let in by `clients` too.
    fn decides_as(&self, clients: Option<&ClientAuth>) -> bool {
        match (&self.clients, clients) {
            (Some(before), Some(now)) => before.decides_as(now),
            (None, None) => true,
            _ => false,
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

/// One ticket for TLS 1.3 instead of two: it costs the gateway time, and a client that comes back
/// needs one. Its keys change every six hours and serve for twice that. Early data is off: an
/// upgrade must not be replayable. Renegotiation does not exist in rustls.
fn server_config(
    settings: &ListenerTls,
    certificates: &Arc<Certificates>,
    clients: Option<&ClientAuth>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(settings.min_version))
        .map_err(TlsError::Setup)?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(&clients.verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(certificates) as _);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.ignore_client_order = true;
    config.send_tls13_tickets = 1;
    config.ticketer = Ticketer::new().map_err(TlsError::Setup)?;
    config.max_early_data_size = 0;
    Ok(config)
}

fn versions(oldest: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    match oldest {
        TlsVersion::V1_2 => vec![&TLS13, &TLS12],
        TlsVersion::V1_3 => vec![&TLS13],
    }
}
