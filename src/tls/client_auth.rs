//! Certificates of clients (mTLS): whose are accepted, and which are revoked.

use super::certificate::read_certificates;
use super::client_certificate;
use super::error::{FileProblem, TlsError};
use super::expiry::Expiry;
use super::revocation::RevocationList;
use super::{provider, trust};
use crate::config::ClientCertificates;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{CommonState, Error, HandshakeKind};

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

    /// Ids of the certificates that are on a list.
    pub(super) fn revoked(&self) -> impl Iterator<Item = Box<str>> {
        client_certificate::revoked(&self.lists)
    }

    /// Whether the same certificates are accepted and revoked.
    pub(super) fn decides_as(&self, other: &Self) -> bool {
        self.roots == other.roots && self.lists == other.lists
    }

    /// A resumed handshake carries the certificate of the first one, and each gives a new ticket:
    /// without another look a client could go on by that for ever, though its certificate has
    /// expired or is revoked.
    pub(super) fn check_resumed(&self, connection: &CommonState) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
    };
    use std::fs;
    use tokio_rustls::rustls::crypto::aws_lc_rs::Ticketer;
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{
        CertificateError, ClientConfig, ClientConnection, RootCertStore, ServerConfig,
        ServerConnection,
    };

    /// An authority whose files lie in a folder, and one client of it.
    struct Scene {
        folder: tempfile::TempDir,
        issuer: Issuer<'static, KeyPair>,
        root: CertificateDer<'static>,
        client: CertificateDer<'static>,
        client_key: KeyPair,
    }

    const CLIENT: u64 = 7;

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let root = params.self_signed(&key).unwrap();
            fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();
            let issuer = Issuer::new(params, key);
            let client_key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["one.test".to_owned()]).unwrap();
            params.serial_number = Some(SerialNumber::from(CLIENT));
            let client = params.signed_by(&client_key, &issuer).unwrap();
            Self {
                root: root.der().clone(),
                client: client.der().clone(),
                folder,
                issuer,
                client_key,
            }
        }

        /// Writes a list given out in `year` that revokes these.
        fn list(&self, file: &str, year: i32, revoked: &[u64]) {
            let entry = |serial: &u64| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: date_time_ymd(year, 1, 1),
                reason_code: None,
                invalidity_date: None,
            };
            let params = CertificateRevocationListParams {
                this_update: date_time_ymd(year, 1, 1),
                next_update: date_time_ymd(4000, 1, 1),
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: revoked.iter().map(entry).collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            let list = params.signed_by(&self.issuer).unwrap().pem().unwrap();
            fs::write(self.folder.path().join(file), list).unwrap();
        }

        fn load(&self, lists: &[&str]) -> Result<ClientAuth, TlsError> {
            let path = |file: &&str| self.folder.path().join(file);
            ClientAuth::load(&ClientCertificates {
                ca: path(&"ca.pem"),
                is_required: true,
                crl: lists.iter().map(path).collect(),
            })
        }

        fn key(&self) -> PrivateKeyDer<'static> {
            PrivateKeyDer::try_from(self.client_key.serialize_der()).unwrap()
        }

        /// What the server has of a client's second handshake, after `auth` let it in twice.
        fn resumed(&self, auth: &ClientAuth) -> ServerConnection {
            let builder = ServerConfig::builder_with_provider(provider());
            let mut server = builder
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(Arc::clone(&auth.verifier))
                .with_single_cert(vec![self.client.clone()], self.key())
                .unwrap();
            server.ticketer = Ticketer::new().unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(self.root.clone()).unwrap();
            let builder = ClientConfig::builder_with_provider(provider());
            let client = builder
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![self.client.clone()], self.key())
                .unwrap();
            let (server, client) = (Arc::new(server), Arc::new(client));
            let first = shake_hands(&server, &client);
            assert_eq!(first.handshake_kind(), Some(HandshakeKind::Full));
            shake_hands(&server, &client)
        }
    }

    /// In memory, to the end of what both have to say.
    fn shake_hands(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> ServerConnection {
        let name = ServerName::try_from("one.test").unwrap();
        let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        while client.wants_write() || server.wants_write() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            let mut unread = &bytes[..];
            while !unread.is_empty() {
                server.read_tls(&mut unread).unwrap();
                server.process_new_packets().unwrap();
            }
            bytes.clear();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            let mut unread = &bytes[..];
            while !unread.is_empty() {
                client.read_tls(&mut unread).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        server
    }

    #[test]
    fn a_resumed_handshake_is_judged_by_what_holds_now() {
        let scene = Scene::new();
        scene.list("before", 2001, &[]);
        scene.list("after", 2002, &[CLIENT]);
        let (before, after) = (scene.load(&["before"]), scene.load(&["after"]));
        let (before, after) = (before.unwrap(), after.unwrap());
        let connection = scene.resumed(&before);
        assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Resumed));
        assert_eq!(before.check_resumed(&connection), Ok(()));
        let revoked = Error::InvalidCertificate(CertificateError::Revoked);
        assert_eq!(after.check_resumed(&connection), Err(revoked));
    }

    #[test]
    fn of_several_lists_of_an_issuer_the_newest_counts() {
        let scene = Scene::new();
        scene.list("old", 2001, &[]);
        scene.list("new", 2002, &[CLIENT]);
        for lists in [["old", "new"], ["new", "old"]] {
            let auth = scene.load(&lists).unwrap();
            let verdict = auth
                .verifier
                .verify_client_cert(&scene.client, &[], UnixTime::now());
            let revoked = Error::InvalidCertificate(CertificateError::Revoked);
            assert_eq!(verdict.unwrap_err(), revoked, "{lists:?}");
        }
    }

    #[test]
    fn only_what_changes_the_verdict_is_a_change() {
        let scene = Scene::new();
        scene.list("one", 2001, &[]);
        scene.list("two", 2001, &[CLIENT]);
        let load = |lists: &[&str]| scene.load(lists).unwrap();
        assert!(load(&["one"]).decides_as(&load(&["one"])));
        assert!(!load(&["one"]).decides_as(&load(&["two"])));
        assert!(!load(&["one"]).decides_as(&load(&[])));
        assert!(!load(&[]).decides_as(&Scene::new().load(&[]).unwrap()));
    }

    /// What `openssl ca -gencrl` makes without further settings.
    const VERSION_1: &[u8] = b"-----BEGIN X509 CRL-----
MIGTMDswCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCdjEXDTI2MTEyMTA4Mjg1N1oY
DzIwODEwODI0MDgyODU3WjAKBggqhkjOPQQDAgNIADBFAiEApbO7oDcS65kunt9/
p9lr0n3rExGQfUDHUCd1GpDKA6ACIHwf2BXTOSLJR901ld9GuI+ExAe8kUWM5xLA
dhLm1bTv
-----END X509 CRL-----
";

    #[test]
    fn a_file_without_a_usable_list_is_an_error_that_names_it() {
        let scene = Scene::new();
        scene.list("good", 2001, &[CLIENT]);
        let good = fs::read(scene.folder.path().join("good")).unwrap();
        let half = good[..good.len() / 2].to_vec();
        let other = fs::read(scene.folder.path().join("ca.pem")).unwrap();
        for (what, bytes, expected) in [
            ("empty", &b""[..], "holds no revocation list"),
            ("text", b"nothing", "holds no revocation list"),
            ("torn", &half, "is not valid PEM"),
            ("version 1", VERSION_1, "it is of version 1"),
            ("der", &[0x30, 0x82, 1, 1, 0], "cannot be used"),
            ("a certificate", &other, "holds no revocation list"),
        ] {
            fs::write(scene.folder.path().join("bad"), bytes).unwrap();
            let error = scene.load(&["good", "bad"]).unwrap_err().to_string();
            assert!(error.contains(expected), "{what}: {error}");
            assert!(error.contains("bad`"), "{what}: {error}");
        }
    }
}
