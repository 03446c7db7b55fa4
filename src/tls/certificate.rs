//! One certificate chain with its key, read from two PEM files and checked against each other.

use super::error::{FileProblem, TlsError};
use super::expiry::Expiry;
use super::provider;
use crate::config::CertificateFiles;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::Error;
use tokio_rustls::rustls::InconsistentKeys;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

/// A chain that can be shown, and the names it is good for.
#[derive(Debug)]
pub(super) struct Certificate {
    /// Chain and key.
    pub(super) key: Arc<CertifiedKey>,
    /// DNS names of the leaf, lower case, `*.` included.
    pub(super) names: Vec<String>,
    /// When the chain ends.
    pub(super) expiry: Expiry,
}

impl Certificate {
    /// Reads both files and checks that they belong together.
    pub(super) fn load(files: &CertificateFiles) -> Result<Self, TlsError> {
        let chain = read_certificates(&files.cert)?;
        let blame = |problem: FileProblem| problem.of(&files.cert);
        let names = dns_names(&chain).map_err(blame)?;
        let expiry = Expiry::of_chain(&files.cert, &chain, &names).map_err(blame)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| FileProblem::from_pem(error, FileProblem::NoKey).of(&files.key))?;
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| FileProblem::Key(error).of(&files.key))?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Self {
                key: Arc::new(key),
                names,
                expiry,
            }),
            Err(_) => Err(TlsError::WrongKey {
                cert: files.cert.clone(),
                key: files.key.clone(),
            }),
        }
    }

    /// Whether it is good for `host`: a lower-case name without port.
    pub(super) fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| matches(name, host))
    }
}

/// All certificates of a PEM file, at least one, in its order.
pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let blame = |error| FileProblem::from_pem(error, FileProblem::NoCertificate).of(file);
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(blame)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(blame)?;
    if certificates.is_empty() {
        return Err(FileProblem::NoCertificate.of(file));
    }
    Ok(certificates)
}

/// The DNS names that the leaf, the first of the chain, is good for.
fn dns_names(chain: &[CertificateDer<'_>]) -> Result<Vec<String>, FileProblem> {
    let leaf = chain.first().ok_or(FileProblem::NoCertificate)?;
    let leaf = EndEntityCert::try_from(leaf)
        .map_err(|error| FileProblem::Certificate(error.to_string()))?;
    Ok(leaf
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect())
}

/// A wildcard stands for exactly one label (RFC 9525 §6.3).
fn matches(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(suffix) => host.split_once('.').is_some_and(|(_, rest)| rest == suffix),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_wildcard_is_exactly_one_label() {
        let cases = [
            ("chat.example.com", "chat.example.com", true),
            ("chat.example.com", "example.com", false),
            ("*.example.com", "chat.example.com", true),
            ("*.example.com", "a.chat.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", "evilexample.com", false),
        ];
        for (name, host, expected) in cases {
            assert_eq!(matches(name, host), expected, "{name} for {host}");
        }
    }
}
