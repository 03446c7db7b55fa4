//! Both roles against each other over real sockets, with throw-away certificates.

use super::*;
use crate::config::{CertificateFiles, ListenerTls, UpstreamTls};
use crate::net::{Secure, Socket, attached};
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{CipherSuite, HandshakeKind, SignatureScheme};

/// A folder of certificates, each its own root.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes `label.pem` and `label.key`.
    fn issue(&self, label: &str, names: &[&str]) -> CertificateFiles {
        self.issue_with(label, names, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    fn issue_with(
        &self,
        label: &str,
        names: &[&str],
        algorithm: &'static SignatureAlgorithm,
    ) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate_for(algorithm).unwrap();
        let cert = CertificateParams::new(names).unwrap();
        let cert = cert.self_signed(&key).unwrap();
        let files = CertificateFiles {
            cert: self.path(&format!("{label}.pem")),
            key: self.path(&format!("{label}.key")),
        };
        std::fs::write(&files.cert, cert.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

fn server(certificates: &[CertificateFiles]) -> ServerTls {
    load(certificates).unwrap()
}

fn load(certificates: &[CertificateFiles]) -> Result<ServerTls, TlsError> {
    ServerTls::load(&ListenerTls::with(certificates.to_vec()))
}

fn client(ca: &Path, server_name: Option<&str>) -> ClientTls {
    ClientTls::load(&UpstreamTls {
        ca: Some(ca.to_owned()),
        server_name: server_name.map(str::to_owned),
        client: None,
    })
    .unwrap()
}

/// Shakes hands over a real connection.
async fn meet(
    server: &ServerTls,
    client: &ClientTls,
    host: &str,
) -> (
    Result<Secure<Socket>, HandshakeFailure>,
    io::Result<Secure<Socket>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, (far, _)) = (near.unwrap(), far.unwrap());
    let (secured, stream) = tokio::join!(
        server.accept(attached(far.into_std().unwrap())),
        client.connect(attached(near.into_std().unwrap()), host)
    );
    (secured.map(|secured| secured.stream), stream)
}

/// The certificate that a client sees which trusts `ca` and asks for `host`.
async fn shown(server: &ServerTls, ca: &Path, host: &str) -> CertificateDer<'static> {
    let (_, stream) = meet(server, &client(ca, None), host).await;
    let stream = stream.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].clone().into_owned()
}

fn der(files: &CertificateFiles) -> CertificateDer<'static> {
    certificate::read_certificates(&files.cert)
        .unwrap()
        .remove(0)
}

#[tokio::test]
async fn bytes_cross_both_ways_with_the_cheapest_cipher_and_http_1() {
    let authority = Authority::new();
    let files = authority.issue("one", &["one.test"]);
    let (far, near) = meet(
        &server(std::slice::from_ref(&files)),
        &client(&files.cert, None),
        "one.test",
    )
    .await;
    let (mut far, mut near) = (far.unwrap(), near.unwrap());
    near.write_all(b"ping").await.unwrap();
    let mut word = [0; 4];
    far.read_exact(&mut word).await.unwrap();
    far.write_all(&word).await.unwrap();
    near.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ping");

    let connection = far.get_ref().1;
    assert_eq!(connection.alpn_protocol(), Some(ALPN));
    let suite = connection.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, CipherSuite::TLS13_AES_128_GCM_SHA256);
}

#[tokio::test]
async fn the_name_that_is_asked_for_chooses_the_certificate() {
    let authority = Authority::new();
    let one = authority.issue("one", &["one.test", "*.wild.test"]);
    let two = authority.issue("two", &["two.test", "exact.wild.test"]);
    let server = server(&[one.clone(), two.clone()]);
    let cases = [
        ("one.test", &one),
        ("two.test", &two),
        ("any.wild.test", &one),
        ("exact.wild.test", &two),
    ];
    for (name, expected) in cases {
        let seen = shown(&server, &expected.cert, name).await;
        assert_eq!(seen, der(expected), "{name}");
    }
    assert_eq!(
        server.names(),
        ["*.wild.test", "exact.wild.test", "one.test", "two.test"]
    );
}

#[tokio::test]
async fn an_unknown_name_is_shown_the_first_certificate() {
    let authority = Authority::new();
    let one = authority.issue("one", &["one.test"]);
    let two = authority.issue("two", &["two.test"]);
    let (_, stream) = meet(
        &server(&[one.clone(), two]),
        &client(&one.cert, None),
        "unknown.test",
    )
    .await;
    // Trusted, but good for another name: the first was shown.
    let error = stream.unwrap_err().to_string();
    assert!(error.contains("one.test"), "{error}");
}

#[test]
fn what_is_shown_covers_its_own_names_alone() {
    let authority = Authority::new();
    let one = authority.issue("one", &["one.test"]);
    let two = authority.issue("two", &["two.test", "*.two.test"]);
    let server = server(&[one, two]);
    let cases = [
        (Some("one.test"), "one.test", true),
        (Some("one.test"), "two.test", false),
        (Some("a.two.test"), "b.two.test", true),
        (Some("a.two.test"), "two.test", true),
        (Some("two.test."), "two.test", true),
        (Some("TWO.test."), "one.test", false),
        (Some("unknown.test"), "one.test", true),
        (Some("unknown.test"), "unknown.test", false),
        (None, "one.test", true),
    ];
    for (sni, host, expected) in cases {
        assert_eq!(server.covers(sni, host), expected, "{sni:?} for {host}");
    }
}

#[test]
fn of_two_certificates_for_a_name_the_first_that_the_client_can_verify_is_shown() {
    let authority = Authority::new();
    let ecdsa = authority.issue("ecdsa", &["one.test"]);
    let ed25519 = authority.issue_with("ed25519", &["one.test"], &rcgen::PKCS_ED25519);
    let certificates = [ecdsa.clone(), ed25519.clone()];
    let certificates = certificates::Certificates::load(&certificates).unwrap();
    let p256 = SignatureScheme::ECDSA_NISTP256_SHA256;
    let cases = [
        (vec![SignatureScheme::ED25519, p256], &ecdsa),
        (vec![SignatureScheme::ED25519], &ed25519),
        (vec![SignatureScheme::RSA_PSS_SHA256], &ecdsa),
    ];
    for (schemes, expected) in cases {
        let chosen = certificates.choose(Some("ONE.test"), &schemes).unwrap();
        assert_eq!(chosen.cert[0], der(expected), "{schemes:?}");
    }
}

#[tokio::test]
async fn a_wrong_root_and_a_wrong_name_are_refused() {
    let authority = Authority::new();
    let files = authority.issue("one", &["one.test"]);
    let other = authority.issue("other", &["one.test"]);
    let server = server(std::slice::from_ref(&files));
    let (_, stream) = meet(&server, &client(&other.cert, None), "one.test").await;
    assert_eq!(stream.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let (_, stream) = meet(&server, &client(&files.cert, None), "two.test").await;
    assert_eq!(stream.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn the_configured_server_name_goes_before_the_host() {
    let authority = Authority::new();
    let files = authority.issue("one", &["one.test"]);
    let client = client(&files.cert, Some("one.test"));
    let (_, stream) = meet(&server(&[files]), &client, "10.0.0.1").await;
    stream.unwrap();
}

#[tokio::test(start_paused = true)]
async fn changed_files_are_taken_and_broken_ones_are_not() {
    let authority = Authority::new();
    let files = authority.issue("one", &["one.test"]);
    let server = server(std::slice::from_ref(&files));
    let watch = async |until: fn(&ServerTls) -> bool| {
        // The clock runs only while everybody waits, so this is many looks at the files.
        let looks = async {
            while !until(&server) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = server.follow(&|_| ()) => unreachable!("following never ends"),
            () = looks => {}
            () = tokio::time::sleep(Duration::from_secs(3600)) => panic!("not followed"),
        }
    };

    authority.issue("one", &["two.test"]);
    watch(|server| server.names() == ["two.test"]).await;

    std::fs::write(&files.cert, "half a file").unwrap();
    let error = server.reload().await.unwrap_err();
    assert!(error.to_string().contains("one.pem"), "{error}");
    assert_eq!(server.names(), ["two.test"]);

    authority.issue("one", &["three.test"]);
    watch(|server| server.names() == ["three.test"]).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_no_reason_to_forget_clients() {
    let authority = Authority::new();
    let files = authority.issue("one", &["one.test"]);
    let server = server(std::slice::from_ref(&files));
    let client = client(&files.cert, None);
    let kind = async || {
        let (far, near) = meet(&server, &client, "one.test").await;
        let (mut far, mut near) = (far.unwrap(), near.unwrap());
        // The ticket comes with the first bytes.
        far.write_all(b"!").await.unwrap();
        near.read_exact(&mut [0]).await.unwrap();
        far.get_ref().1.handshake_kind()
    };
    assert_eq!(kind().await, Some(HandshakeKind::Full));
    assert_eq!(kind().await, Some(HandshakeKind::Resumed));
    authority.issue("one", &["one.test", "two.test"]);
    server.reload().await.unwrap();
    assert_eq!(server.names(), ["one.test", "two.test"]);
    assert_eq!(kind().await, Some(HandshakeKind::Resumed));
}

#[test]
fn errors_name_the_file_and_what_to_do() {
    let authority = Authority::new();
    let good = authority.issue("good", &["one.test"]);
    let other = authority.issue("other", &["one.test"]);
    let empty = authority.path("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let torn = authority.path("torn.pem");
    let whole = std::fs::read_to_string(&good.cert).unwrap();
    std::fs::write(&torn, &whole[..whole.len() / 2]).unwrap();

    let pair = |cert: &Path, key: &Path| CertificateFiles {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    let cases = [
        (
            pair(&good.cert, &other.key),
            "does not belong to the certificate",
        ),
        (pair(&empty, &good.key), "empty.pem`: holds no certificate"),
        (pair(&good.cert, &empty), "empty.pem`: holds no private key"),
        (
            pair(&good.cert, &good.cert),
            "good.pem`: holds no private key",
        ),
        (pair(&torn, &good.key), "torn.pem`: is not valid PEM"),
        (
            pair(&authority.path("none.pem"), &good.key),
            "none.pem`: cannot be read",
        ),
    ];
    for (files, expected) in cases {
        let error = load(&[files]).unwrap_err().to_string();
        assert!(error.contains(expected), "`{error}` lacks `{expected}`");
    }
    assert!(matches!(load(&[]), Err(TlsError::NoCertificate)));
}

#[test]
fn a_server_name_that_cannot_be_one_is_an_error() {
    let authority = Authority::new();
    let files = authority.issue("one", &["one.test"]);
    let error = ClientTls::load(&UpstreamTls {
        ca: Some(files.cert),
        server_name: Some("not a name".to_owned()),
        client: None,
    });
    assert!(matches!(error, Err(TlsError::ServerName { .. })));
}
