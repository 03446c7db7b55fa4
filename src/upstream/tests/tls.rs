//! Endpoints that are `wss://`.

use super::peer::{Behaviour, Peer, Resets, behave, read_head};
use super::*;
use crate::config::{CertificateFiles, ListenerTls};
use crate::net::{Secure, Socket, Stream, attached};
use crate::tls::{Secured, ServerTls};
use crate::upstream::PoolError;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::path::PathBuf;
use tokio::net::TcpListener;

/// An endpoint with a certificate of its own, which is its root too.
struct TlsPeer {
    address: SocketAddr,
    ca: PathBuf,
    _folder: tempfile::TempDir,
}

impl TlsPeer {
    async fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).unwrap();
        let files = CertificateFiles {
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        std::fs::write(&files.cert, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        let ca = files.cert.clone();
        let tls = ServerTls::load(&ListenerTls::with(vec![files]));
        let tls = tls.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                if let Ok(Secured { mut stream, .. }) =
                    tls.accept(attached(socket.into_std().unwrap())).await
                {
                    let request = read_head(&mut stream).await;
                    behave(&mut stream, Behaviour::Agrees, &request).await;
                }
            }
        });
        Self {
            address,
            ca,
            _folder: folder,
        }
    }
}

impl Resets for Secure<Socket> {
    fn reset(&self) {}
}

fn trusting(ca: &TlsPeer, server_name: Option<&str>, endpoints: &[SocketAddr]) -> Pool {
    let mut settings = settings(endpoints.iter().copied().map(wss).collect());
    settings.tls.ca = Some(ca.ca.clone());
    settings.tls.server_name = server_name.map(str::to_owned);
    pool(settings)
}

#[tokio::test]
async fn an_endpoint_with_a_trusted_certificate_is_a_leg() {
    let by_address = TlsPeer::named("127.0.0.1").await;
    let pool = trusting(&by_address, None, &[by_address.address]);
    let opened = pool.open(&ask()).await.unwrap();
    assert!(matches!(opened.stream, Stream::Tls(_)));

    let by_name = TlsPeer::named("chat.test").await;
    let pool = trusting(&by_name, Some("chat.test"), &[by_name.address]);
    pool.open(&ask()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_root_or_name_is_no_leg() {
    let peer = TlsPeer::named("127.0.0.1").await;
    let stranger = TlsPeer::named("127.0.0.1").await;
    for pool in [
        trusting(&stranger, None, &[peer.address]),
        trusting(&peer, Some("other.test"), &[peer.address]),
    ] {
        let error = pool.open(&ask()).await.unwrap_err();
        assert_eq!(error.label(), "tls_failed", "{error:?}");
    }
}

#[tokio::test]
async fn an_endpoint_without_tls_is_passed_over() {
    let plain = Peer::that(Behaviour::RefusesUnheard).await;
    let peer = TlsPeer::named("127.0.0.1").await;
    let pool = trusting(&peer, None, &[plain.address, peer.address]);
    assert_eq!(pool.open(&ask()).await.unwrap().attempts, 2);
}

#[tokio::test]
async fn an_endpoint_that_stays_silent_in_tls_is_passed_over_in_time() {
    let silent = Peer::that(Behaviour::AcceptsAndStaysSilent).await;
    let peer = TlsPeer::named("127.0.0.1").await;
    let pool = trusting(&peer, None, &[silent.address, peer.address]);
    assert_eq!(pool.open(&ask()).await.unwrap().attempts, 2);
    let pool = trusting(&peer, None, &[silent.address]);
    let error = pool.open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "tls_timeout");
}

#[test]
fn roots_that_cannot_be_read_are_an_error_of_the_pool() {
    let mut settings = settings(vec![wss("127.0.0.1:1".parse().unwrap())]);
    settings.tls.ca = Some("/nowhere/ca.pem".into());
    let error = Pool::new(Arc::new(settings.clone())).unwrap_err();
    assert!(matches!(error, PoolError::Tls { .. }));

    // Without an endpoint that needs them they are not read.
    settings.endpoints = vec![Endpoint {
        address: EndpointAddress::Echo,
        weight: 1,
    }];
    assert!(Pool::new(Arc::new(settings)).is_ok());
}
