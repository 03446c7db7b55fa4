//! `kind = "client_cert"`: whom a certificate names that TLS has found good.

use super::proof::{Check, Fault, Lifetime, Proof};
use crate::admission::Identity;
use crate::config::{self, CertificateName};
use crate::tls::ClientCertificate;
use std::sync::Arc;
use tokio::time::Instant;

/// Longer names are none.
const NAME_BYTES_MAX: usize = 1024;
/// The close code of a session whose certificate has expired.
const EXPIRED: u16 = 3000;

/// One `[auth.*]` of this kind.
#[derive(Debug)]
pub(super) struct ClientCert {
    settings: config::ClientCert,
}

impl ClientCert {
    pub(super) fn new(settings: &config::ClientCert) -> Self {
        Self {
            settings: settings.clone(),
        }
    }

    pub(super) fn check(&self, method: &Arc<str>, shown: Option<&ClientCertificate>) -> Check {
        let Some(certificate) = shown else {
            return Check::Absent;
        };
        let names = self.names(certificate);
        let Some(first) = names.first() else {
            return Check::wrong("the certificate has no name of that kind");
        };
        let is_allowed = |name: &&&String| match &self.settings.allow {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(name)),
            None => true,
        };
        let Some(name) = names.iter().find(is_allowed) else {
            let name = first.escape_debug();
            return Check::Denied(Fault(format!("`{name}` is not allowed").into()));
        };
        match Identity::new(method.clone(), name.as_str()) {
            Some(identity) => Check::Admitted(Box::new(self.proof(identity, certificate))),
            None => Check::wrong("the certificate's name holds a control character"),
        }
    }

    fn names<'c>(&self, certificate: &'c ClientCertificate) -> Vec<&'c String> {
        let names = match self.settings.identity {
            CertificateName::SanUri => certificate.san_uri.as_slice(),
            CertificateName::SanDns => certificate.san_dns.as_slice(),
            CertificateName::SubjectCn => certificate.subject_cn.as_slice(),
        };
        let is_one = |name: &&String| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        names.iter().filter(is_one).collect()
    }

    fn proof(&self, identity: Identity, certificate: &ClientCertificate) -> Proof {
        let lifetime = self.settings.expire_session.then(|| Lifetime {
            ends: Instant::now() + certificate.is_good_for(),
            code: EXPIRED,
        });
        Proof {
            lifetime,
            token_id: Some(certificate.id.clone()),
            ..Proof::of(identity)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NamePattern;
    use crate::tls::client_certificate;

    fn method(identity: CertificateName, allow: Option<&str>) -> ClientCert {
        let prefix = |prefix: &str| vec![NamePattern::Prefix(prefix.to_owned())];
        ClientCert::new(&config::ClientCert {
            identity,
            allow: allow.map(prefix),
            expire_session: true,
        })
    }

    #[test]
    fn the_name_that_is_asked_for_and_allowed_is_the_identity() {
        use CertificateName::{SanDns, SanUri, SubjectCn};
        let shown = client_certificate(
            "ann",
            &["a.example", "b.example"],
            &["spiffe://other/x", "spiffe://prod/chat/web"],
        );
        let name: Arc<str> = "mesh".into();
        for (identity, allow, expected) in [
            (SubjectCn, None, Ok("mesh:ann")),
            (SanDns, None, Ok("mesh:a.example")),
            (SanDns, Some("b"), Ok("mesh:b.example")),
            (
                SanUri,
                Some("spiffe://prod/chat/"),
                Ok("mesh:spiffe://prod/chat/web"),
            ),
            (
                SanUri,
                Some("spiffe://prod/mail/"),
                Err("`spiffe://other/x` is not allowed"),
            ),
        ] {
            let told = match method(identity, allow).check(&name, Some(&shown)) {
                Check::Admitted(proof) => Ok(proof.identity.to_string()),
                Check::Denied(fault) => Err(fault.to_string()),
                other => panic!("{other:?}"),
            };
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(told, expected, "{identity:?} {allow:?}");
        }
    }

    #[test]
    fn no_certificate_is_none_and_one_without_the_name_is_wrong() {
        let name: Arc<str> = "mesh".into();
        let mesh = method(CertificateName::SanUri, None);
        assert_eq!(mesh.check(&name, None), Check::Absent);
        let shown = client_certificate("ann", &["a.example"], &[]);
        let check = mesh.check(&name, Some(&shown));
        assert!(matches!(check, Check::Wrong(_)), "{check:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_with_its_certificate() {
        let shown = client_certificate("ann", &[], &[]);
        let mesh = method(CertificateName::SubjectCn, None);
        let Check::Admitted(proof) = mesh.check(&"mesh".into(), Some(&shown)) else {
            panic!("not admitted");
        };
        assert_eq!(proof.token_id.as_ref(), Some(&shown.id));
        let left = proof.lifetime.unwrap().ends - Instant::now();
        let apart = left.abs_diff(shown.is_good_for());
        assert!(apart < std::time::Duration::from_secs(60), "{apart:?}");
    }
}
