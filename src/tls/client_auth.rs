//! Certificates of clients (mTLS): whose are accepted, and which are revoked.

use super::certificate::read_certificates;
use super::error::{FileProblem, TlsError};
use super::expiry::Expiry;
use super::revocation::RevocationList;
use super::{provider, trust};
use crate::config::ClientCertificates;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{Error, HandshakeKind, ServerConnection};

/// How certificates of clients are checked.
#[derive(Debug)]
pub(super) struct ClientAuth {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    roots: Vec<CertificateDer<'static>>,
    lists: Vec<RevocationList>,
    pub(super) expiries: Vec<Expiry>,
}

impl ClientAuth {
    /// Reads roots and revocation lists.
    pub(super) fn load(settings: &ClientCertificates) -> Result<Self, TlsError> {
        let roots = read_certificates(&settings.ca)?;
        let lists = RevocationList::load(&settings.crl)?;
        let mut expiries = roots
            .iter()
            .map(|root| Expiry::of_authority(&settings.ca, root))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|problem| problem.of(&settings.ca))?;
        expiries.extend(lists.iter().map(|list| list.expiry.clone()));
        Ok(Self {
            verifier: verifier(settings, &roots, &lists)?,
            roots,
            lists,
            expiries,
        })
    }

    /// Whether the same certificates are accepted and revoked.
    pub(super) fn decides_as(&self, other: &Self) -> bool {
        self.roots == other.roots && self.lists == other.lists
    }

    /// A resumed handshake carries the certificate of the first one, and each gives a new ticket:
    /// without another look a client could go on by that for ever, though its certificate has
    /// expired or is revoked.
    pub(super) fn check_resumed(&self, connection: &ServerConnection) -> Result<(), Error> {
        if connection.handshake_kind() != Some(HandshakeKind::Resumed) {
            return Ok(());
        }
        match connection.peer_certificates() {
            Some([leaf, others @ ..]) => self
                .verifier
                .verify_client_cert(leaf, others, UnixTime::now())
                .map(drop),
            _ if self.verifier.client_auth_mandatory() => Err(Error::NoCertificatesPresented),
            _ => Ok(()),
        }
    }
}

/// An issuer without a list is unknown, and so refused, once there is any list; a list that is out
/// of date is better than none.
fn verifier(
    settings: &ClientCertificates,
    roots: &[CertificateDer<'static>],
    lists: &[RevocationList],
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(trust::roots(&settings.ca, roots)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .with_crls(lists.iter().map(|list| list.der.clone()))
        .only_check_end_entity_revocation();
    if !settings.is_required {
        builder = builder.allow_unauthenticated();
    }
    // The roots are there: what is left to fail is a revocation list.
    let blamed = settings.crl.first().unwrap_or(&settings.ca);
    builder
        .build()
        .map_err(|error| FileProblem::RevocationList(error.to_string()).of(blamed))
}
