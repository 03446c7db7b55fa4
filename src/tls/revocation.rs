//! Lists of revoked certificates (RFC 5280 §5), PEM or DER.

use super::error::{FileProblem, TlsError};
use super::expiry::{Expiring, Expiry};
use std::fs;
use std::path::{Path, PathBuf};
use tokio_rustls::rustls::pki_types::CertificateRevocationListDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use webpki::OwnedCertRevocationList;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

const VERSION_1: &str = "it is of version 1, which has no extensions; for version 2 the authority needs `crlnumber` and `crl_extensions` (openssl ca)";

/// One list. Its signature is checked where it is used, against the issuer of what is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RevocationList {
    pub(super) der: CertificateRevocationListDer<'static>,
    pub(super) expiry: Expiry,
}

impl RevocationList {
    /// All lists of all files, the newest first: of several that an issuer has given out, the first
    /// is looked at.
    pub(super) fn load(files: &[PathBuf]) -> Result<Vec<Self>, TlsError> {
        let mut lists = Vec::new();
        for file in files {
            lists.extend(read(file).map_err(|problem| problem.of(file))?);
        }
        lists.sort_by_key(|list| std::cmp::Reverse(list.expiry.not_before));
        Ok(lists)
    }

    fn new(file: &Path, der: CertificateRevocationListDer<'static>) -> Result<Self, FileProblem> {
        let unusable = FileProblem::RevocationList;
        let (_, parsed) = CertificateRevocationList::from_der(&der)
            .map_err(|error| unusable(error.to_string()))?;
        if parsed.version().is_none() {
            return Err(unusable(VERSION_1.to_owned()));
        }
        let end = parsed
            .next_update()
            .ok_or_else(|| unusable("it has no next update".to_owned()))?;
        // Whatever else is wanted by what looks things up in it.
        OwnedCertRevocationList::from_der(&der).map_err(|error| unusable(error.to_string()))?;
        let expiry = Expiry {
            what: Expiring::RevocationList,
            file: file.to_owned(),
            names: vec![parsed.issuer().to_string()],
            not_before: parsed.last_update().timestamp(),
            not_after: end.timestamp(),
        };
        Ok(Self { der, expiry })
    }
}

fn read(file: &Path) -> Result<Vec<RevocationList>, FileProblem> {
    let bytes = fs::read(file).map_err(FileProblem::Unreadable)?;
    let ders = match is_der(&bytes) {
        true => vec![CertificateRevocationListDer::from(bytes)],
        false => CertificateRevocationListDer::pem_slice_iter(&bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| FileProblem::from_pem(error, FileProblem::NoRevocationList))?,
    };
    if ders.is_empty() {
        return Err(FileProblem::NoRevocationList);
    }
    ders.into_iter()
        .map(|der| RevocationList::new(file, der))
        .collect()
}

/// A list begins with a SEQUENCE, whose tag is no letter of a PEM header.
fn is_der(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30) && bytes.get(1).is_some_and(|length| *length >= 0x80)
}
