//! What a client's certificate says of who shows it (RFC 5280 §4.2.1.6).

use super::certificate::read_certificates;
use super::error::{FileProblem, TlsError};
use super::revocation::RevocationList;
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_rustls::rustls::CommonState;
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::num_bigint::BigUint;
use x509_parser::prelude::{CertificateRevocationList, FromDer, GeneralName, X509Certificate};

/// A certificate that was shown, and is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its issuer and its serial number, by which it can be revoked.
    pub id: Box<str>,
    /// The common name of its subject.
    pub subject_cn: Option<String>,
    /// Host names among the subject's alternative names, as written.
    pub san_dns: Vec<String>,
    /// URIs among them.
    pub san_uri: Vec<String>,
    /// Seconds since 1970.
    not_after: i64,
}

impl ClientCertificate {
    /// Of the one that was shown on `connection`. One that cannot be read is none: it has let nobody in.
    pub(super) fn shown(connection: &CommonState) -> Option<Self> {
        Self::of(connection.peer_certificates()?.first()?)
    }

    /// The first of a PEM file.
    pub fn read(file: &Path) -> Result<Self, TlsError> {
        let certificates = read_certificates(file)?;
        let first = certificates.first().and_then(Self::of);
        first.ok_or_else(|| FileProblem::NoCertificate.of(file))
    }

    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let dns = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        };
        let uri = |name: &GeneralName<'_>| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        };
        let mut common_names = parsed.subject().iter_common_name();
        Some(Self {
            id: id(parsed.issuer().as_raw(), &parsed.tbs_certificate.serial),
            subject_cn: common_names
                .next()
                .and_then(|name| name.as_str().ok())
                .map(str::to_owned),
            san_dns: names.iter().filter_map(dns).collect(),
            san_uri: names.iter().filter_map(uri).collect(),
            not_after: parsed.validity().not_after.timestamp(),
        })
    }

    /// For how long it is still good, by the wall clock: what is signed is dated by it.
    pub fn is_good_for(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let end = Duration::from_secs(self.not_after.try_into().unwrap_or_default());
        end.saturating_sub(now.unwrap_or_default())
    }
}

/// The certificates on `lists`.
pub(super) fn revoked(lists: &[RevocationList]) -> impl Iterator<Item = Box<str>> {
    lists.iter().flat_map(|list| {
        let Ok((_, parsed)) = CertificateRevocationList::from_der(&list.der) else {
            return Vec::new();
        };
        let issuer = parsed.issuer().as_raw();
        let entries = parsed.iter_revoked_certificates();
        entries
            .map(|entry| id(issuer, &entry.user_certificate))
            .collect()
    })
}

/// The serial number is the issuer's own, so it takes both.
fn id(issuer: &[u8], serial: &BigUint) -> Box<str> {
    let mut id = String::new();
    for byte in &digest(&SHA256, issuer).as_ref()[..8] {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    format!("{id}:{}", serial.to_str_radix(16)).into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};

    /// One of a subject with these names, good for years.
    pub(crate) fn client_certificate(cn: &str, dns: &[&str], uris: &[&str]) -> ClientCertificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, cn);
        params.serial_number = Some(SerialNumber::from(0x0102));
        let ia5 = |name: &&str| Ia5String::try_from(*name).unwrap();
        let dns = dns.iter().map(ia5).map(SanType::DnsName);
        let uris = uris.iter().map(ia5).map(SanType::URI);
        params.subject_alt_names = dns.chain(uris).collect();
        let key = KeyPair::generate().unwrap();
        ClientCertificate::of(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn a_certificate_says_whose_it_is() {
        let shown = client_certificate("ann", &["A.example"], &["spiffe://a/b"]);
        assert_eq!(shown.subject_cn.as_deref(), Some("ann"));
        assert_eq!(shown.san_dns, ["A.example"]);
        assert_eq!(shown.san_uri, ["spiffe://a/b"]);
        assert!(shown.id.ends_with(":102"), "{}", shown.id);
        assert!(shown.is_good_for() > Duration::from_secs(3600));
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
        assert_eq!(ClientCertificate::of(&garbage), None);
    }
}
