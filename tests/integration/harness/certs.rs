//! A throw-away certificate authority.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

/// Both versions that the gateway speaks.
pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Signs certificates that only its own test trusts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key.
pub struct Certified {
    serial: u64,
    pub cert: String,
    pub key: String,
}

impl Authority {
    /// No two have the same name, as no two authorities should.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("authority {}", fresh());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Its own certificate, for a `ca` key.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for `names`.
    pub fn issue(&self, names: &[&str]) -> Certified {
        self.issue_until(4000, names)
    }

    /// The same, valid to the beginning of a year.
    pub fn issue_until(&self, year: i32, names: &[&str]) -> Certified {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let serial = fresh();
        params.serial_number = Some(SerialNumber::from(serial));
        Certified {
            serial,
            cert: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes `STEM.pem` and `STEM.key` for `names` into `folder`.
    pub fn write(&self, folder: &Path, stem: &str, names: &[&str]) {
        self.issue(names).write(folder, stem);
    }

    /// A list that revokes `revoked`, the newest of this authority, out of date from a year on.
    pub fn revoke_until(&self, year: i32, revoked: &[&Certified]) -> CertificateRevocationList {
        let entry = |certified: &&Certified| RevokedCertParams {
            serial_number: SerialNumber::from(certified.serial),
            revocation_time: date_time_ymd(2001, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2001, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(fresh()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap()
    }

    /// The same, PEM, up to date.
    pub fn revoke(&self, revoked: &[&Certified]) -> String {
        self.revoke_until(4000, revoked).pem().unwrap()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        roots.add(own).unwrap();
        roots
    }

    /// The TLS of an upstream called `name`.
    pub fn acceptor(&self, name: &str) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.server_config(name, None)))
    }

    /// The same for clients that have a certificate of `clients`.
    pub fn acceptor_for(&self, name: &str, clients: &Self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.server_config(name, Some(clients))))
    }

    /// A server called `name`, if need be for clients of another authority alone.
    pub fn server_config(&self, name: &str, clients: Option<&Self>) -> ServerConfig {
        let own = self.issue(&[name]);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let roots = Arc::new(clients.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let (chain, key) = own.der();
        builder.with_single_cert(chain, key).unwrap()
    }

    /// A client that trusts nobody else, and shows `own`.
    pub fn client_config(
        &self,
        own: Option<&Certified>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots());
        match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let (chain, key) = own.der();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }
    }

    /// A client's TLS that trusts nobody else.
    pub async fn connect(
        &self,
        stream: TcpStream,
        name: &str,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let config = Arc::new(self.client_config(None, &VERSIONS));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(config).connect(name, stream).await
    }
}

impl Certified {
    /// Writes `STEM.pem` and `STEM.key` into `folder`.
    pub fn write(&self, folder: &Path, stem: &str) {
        std::fs::write(folder.join(format!("{stem}.key")), &self.key).unwrap();
        std::fs::write(folder.join(format!("{stem}.pem")), &self.cert).unwrap();
    }

    fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = vec![CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()];
        (
            chain,
            PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap(),
        )
    }
}

/// A number that was not there before.
fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
