//! Which certificate is shown for which name (RFC 6066 §3).
//!
//! The first certificate of the list serves clients that send no name or an unknown one. Several
//! may be good for one name, as ECDSA beside RSA for old clients: the first that the client can
//! verify is shown.

use super::certificate::Certificate;
use super::error::TlsError;
use super::expiry::Expiry;
use crate::config::CertificateFiles;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::sign::CertifiedKey;

/// All certificates of a listener, as they were at one moment.
#[derive(Debug)]
pub(super) struct Certificates {
    all: Vec<Certificate>,
    /// Indices into `all`, in its order. Keys are lower case, wildcards with their `*.`.
    by_name: HashMap<String, Vec<usize>>,
}

impl Certificates {
    /// Reads every file; one that is wrong is an error for all.
    pub(super) fn load(files: &[CertificateFiles]) -> Result<Self, TlsError> {
        let all = files
            .iter()
            .map(Certificate::load)
            .collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, certificate) in all.iter().enumerate() {
            for name in &certificate.names {
                by_name.entry(name.clone()).or_default().push(index);
            }
        }
        Ok(Self { all, by_name })
    }

    /// The one to show to a client that sent `name` and can verify `schemes`.
    pub(super) fn choose(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut candidates = self.candidates(name).map(|certificate| &certificate.key);
        let first = candidates.next()?;
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let chosen = match fits(&first) {
            true => first,
            false => candidates.find(fits).unwrap_or(first),
        };
        Some(Arc::clone(chosen))
    }

    /// Whether what is shown for `name` is good for `host` too.
    pub(super) fn covers(&self, name: Option<&str>, host: &str) -> bool {
        self.candidates(name)
            .any(|certificate| certificate.covers(host))
    }

    /// Whether a client that asks for `name` is shown a certificate which has it.
    pub(super) fn know(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.indices(&normal(name)).is_some())
    }

    /// When each of them ends.
    pub(super) fn expiries(&self) -> Vec<Expiry> {
        self.all
            .iter()
            .map(|certificate| certificate.expiry.clone())
            .collect()
    }

    /// Every name that any of them is good for, each once.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.by_name.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Those for the exact name, else for its wildcard, else the default.
    fn candidates(&self, name: Option<&str>) -> impl Iterator<Item = &Certificate> {
        let found = name.and_then(|name| self.indices(&normal(name)));
        let indices = found.map_or(&[0][..], Vec::as_slice);
        indices.iter().filter_map(|&index| self.all.get(index))
    }

    fn indices(&self, name: &str) -> Option<&Vec<usize>> {
        self.by_name.get(name).or_else(|| {
            let (_, suffix) = name.split_once('.')?;
            self.by_name.get(&format!("*.{suffix}"))
        })
    }
}

/// RFC 6066 §3 has no dot behind a name; some send it all the same.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
