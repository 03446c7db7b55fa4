//! Why a client's TLS handshake came to nothing, in a word for logs and counters.

use crate::net::Socket;
use std::io;
use thiserror::Error;
use tokio_rustls::rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

/// A TLS handshake that came to nothing.
#[derive(Debug, Error)]
#[error("{source}")]
pub struct HandshakeFailure {
    /// Why.
    pub reason: Reason,
    /// The name that the client asked for, if it got that far.
    pub server_name: Option<String>,
    /// What the connection says.
    #[source]
    pub source: io::Error,
    /// What is left of the connection. An alert may be on its way: closing it with unread input would
    /// send a reset, and a reset can overtake the alert.
    pub socket: Option<Socket>,
}

/// Why a TLS handshake comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The connection ended: also what port scans and checks of balancers look like.
    Lost,
    /// What came is no TLS.
    NotTls,
    /// The client's newest version is too old.
    Version,
    /// No cipher suite, group or signature in common.
    NothingInCommon,
    /// The client speaks none of the protocols behind TLS (RFC 7301).
    Protocol,
    /// The client asked for a name that no certificate has, or for none.
    UnknownName,
    /// The client showed no certificate.
    NoCertificate,
    /// Its certificate is of nobody who is trusted.
    UnknownAuthority,
    /// Its certificate is not valid now.
    CertificateExpired,
    /// Its certificate is revoked.
    Revoked,
    /// Its issuer has no revocation list.
    RevocationUnknown,
    /// The list of its issuer cannot be used.
    RevocationList,
    /// Something else is wrong with its certificate.
    BadCertificate,
    /// The client ended it: most often it does not trust the gateway's certificate.
    ClientRefused,
    /// The client breaks the protocol.
    Violation,
}

impl Reason {
    /// One word for logs and counters.
    pub fn label(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::NotTls => "not_tls",
            Self::Version => "version",
            Self::NothingInCommon => "nothing_in_common",
            Self::Protocol => "protocol",
            Self::UnknownName => "unknown_server_name",
            Self::NoCertificate => "no_certificate",
            Self::UnknownAuthority => "unknown_authority",
            Self::CertificateExpired => "certificate_expired",
            Self::Revoked => "certificate_revoked",
            Self::RevocationUnknown => "revocation_unknown",
            Self::RevocationList => "revocation_list_unusable",
            Self::BadCertificate => "bad_certificate",
            Self::ClientRefused => "client_refused",
            Self::Violation => "violation",
        }
    }

    fn of(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(problem) => Self::of_certificate(problem),
            Error::InvalidCertRevocationList(_) => Self::RevocationList,
            Error::PeerIncompatible(problem) => Self::of_incompatible(problem),
            Error::NoApplicationProtocol => Self::Protocol,
            Error::AlertReceived(_) => Self::ClientRefused,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            _ => Self::Violation,
        }
    }

    fn of_certificate(problem: &CertificateError) -> Self {
        use CertificateError as Problem;
        match problem {
            Problem::Expired
            | Problem::ExpiredContext { .. }
            | Problem::NotValidYet
            | Problem::NotValidYetContext { .. } => Self::CertificateExpired,
            Problem::Revoked => Self::Revoked,
            Problem::UnknownIssuer => Self::UnknownAuthority,
            Problem::UnknownRevocationStatus => Self::RevocationUnknown,
            _ => Self::BadCertificate,
        }
    }

    fn of_incompatible(problem: &PeerIncompatible) -> Self {
        use PeerIncompatible as Problem;
        match problem {
            Problem::ServerTlsVersionIsDisabledByOurConfig
            | Problem::SupportedVersionsExtensionRequired
            | Problem::Tls12NotOffered
            | Problem::Tls12NotOfferedOrEnabled
            // Which versions before 1.2 do not have.
            | Problem::SignatureAlgorithmsExtensionRequired => Self::Version,
            _ => Self::NothingInCommon,
        }
    }
}

impl HandshakeFailure {
    /// Of what the TLS library says.
    pub(super) fn new(source: io::Error, server_name: Option<String>) -> Self {
        let known = source.get_ref().and_then(|inner| inner.downcast_ref());
        Self {
            reason: known.map_or(Reason::Lost, Reason::of),
            server_name,
            source,
            socket: None,
        }
    }

    /// Of a client that asked for `server_name`, which no certificate has.
    pub(super) fn unknown_name(server_name: Option<String>) -> Self {
        let text = match server_name {
            Some(_) => "no certificate has the name that the client asks for",
            None => "the client asks for no name",
        };
        Self {
            reason: Reason::UnknownName,
            server_name,
            source: io::Error::other(text),
            socket: None,
        }
    }

    /// With what is left of the connection.
    pub(super) fn on(self, socket: impl Into<Option<Socket>>) -> Self {
        Self {
            socket: socket.into(),
            ..self
        }
    }
}

impl From<io::Error> for HandshakeFailure {
    fn from(source: io::Error) -> Self {
        Self::new(source, None)
    }
}
