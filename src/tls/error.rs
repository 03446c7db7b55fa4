//! What can be wrong with certificates, keys and roots, in words that say what to do.

use std::io;
use std::path::PathBuf;
use thiserror::Error;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem;

/// Why TLS settings cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read or does not hold what it should.
    #[error("`{}`: {problem}", .file.display())]
    File {
        /// As configured.
        file: PathBuf,
        /// What is wrong in it.
        problem: FileProblem,
    },
    /// The key is another certificate's.
    #[error(
        "the key `{}` does not belong to the certificate `{}`: give the key that the certificate was issued for, and the leaf certificate first",
        .key.display(), .cert.display()
    )]
    WrongKey {
        /// File of the chain.
        cert: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// No certificate at all was configured.
    #[error("no certificate is configured: a TLS listener needs at least one")]
    NoCertificate,
    /// The system's trusted roots cannot be found.
    #[error(
        "the system has no trusted root certificates: install them (`ca-certificates`), set SSL_CERT_FILE, or name a `ca` for the upstream{}", detail(.problems)
    )]
    NoSystemRoots {
        /// What went wrong while looking for them.
        problems: Vec<String>,
    },
    /// `server_name` cannot be a name in a certificate.
    #[error("`{name}` is neither a DNS name nor an IP address")]
    ServerName {
        /// As configured.
        name: String,
    },
    /// rustls refuses the settings as a whole.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// What is wrong in one file.
#[derive(Debug, Error)]
pub enum FileProblem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is no well-formed PEM.
    #[error("is not valid PEM, or was caught half written: {0}")]
    Malformed(pem::Error),
    /// It holds no certificate.
    #[error("holds no certificate: a PEM block `BEGIN CERTIFICATE` is needed")]
    NoCertificate,
    /// It holds no key that can be read.
    #[error(
        "holds no private key: a PEM block `BEGIN PRIVATE KEY`, `BEGIN RSA PRIVATE KEY` or `BEGIN EC PRIVATE KEY` is needed, without a passphrase"
    )]
    NoKey,
    /// A certificate in it cannot be used.
    #[error("holds a certificate that cannot be used: {0}")]
    Certificate(String),
    /// It holds no revocation list.
    #[error("holds no revocation list: a PEM block `BEGIN X509 CRL` or its DER form is needed")]
    NoRevocationList,
    /// A revocation list in it cannot be used.
    #[error("holds a revocation list that cannot be used: {0}")]
    RevocationList(String),
    /// The key in it is of no kind that is known.
    #[error("holds a key that cannot be used: {0}")]
    Key(rustls::Error),
}

impl FileProblem {
    /// Blames `file`.
    pub(super) fn of(self, file: impl Into<PathBuf>) -> TlsError {
        TlsError::File {
            file: file.into(),
            problem: self,
        }
    }

    /// Sorts an error of the PEM reader; `missing` is what it means when nothing of the kind is there.
    pub(super) fn from_pem(error: pem::Error, missing: Self) -> Self {
        match error {
            pem::Error::Io(error) => Self::Unreadable(error),
            pem::Error::NoItemsFound => missing,
            error => Self::Malformed(error),
        }
    }
}

fn detail(problems: &[String]) -> String {
    match problems {
        [] => String::new(),
        problems => format!(" ({})", problems.join("; ")),
    }
}
