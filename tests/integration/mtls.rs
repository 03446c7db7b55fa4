//! Certificates of clients: who enters, who is revoked, and that no ticket outlives a revocation
//! (RFC 8446 §4.4.2, RFC 5280 §5). And the gateway's own certificate towards upstreams.

use crate::harness::certs::{Certified, VERSIONS};
use crate::harness::gateway::LISTENER;
use crate::harness::visit::{visit, visit_until_refused};
use crate::harness::{Authority, Frame, Gateway, Handshake, Upstream, within};
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{AlertDescription, ClientConfig};

const NAME: &str = "a.example";

/// Who is there in each test.
struct Cast {
    /// Signs the gateway's certificate.
    public: Authority,
    /// Signs those of clients.
    devices: Authority,
    folder: TempDir,
}

impl Cast {
    fn new() -> Self {
        let cast = Self {
            public: Authority::new(),
            devices: Authority::new(),
            folder: TempDir::new().unwrap(),
        };
        cast.public.write(cast.folder.path(), "a", &[NAME]);
        cast.write("ca.pem", cast.devices.pem());
        cast
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// A gateway that asks for certificates, with more keys of `[listeners.tls]`.
    fn gateway(self, keys: &str) -> Scene {
        let gateway = Gateway::start_in(
            self.folder,
            &format!(
                "{LISTENER}
                [listeners.tls]
                certificates = [{{ cert = \"a.pem\", key = \"a.key\" }}]
                client_ca = \"ca.pem\"
                {keys}
                [[routes]]
                upstream = \"builtin:echo\""
            ),
        );
        Scene {
            gateway,
            public: self.public,
        }
    }
}

struct Scene {
    gateway: Gateway,
    public: Authority,
}

impl Scene {
    /// A client that shows `own`.
    fn client(&self, own: Option<&Certified>) -> Arc<ClientConfig> {
        Arc::new(self.public.client_config(own, &VERSIONS))
    }

    /// The status or the alert that a client gets which shows `own`.
    async fn tries(&self, own: Option<&Certified>) -> Result<u16, AlertDescription> {
        let visit = visit(&self.gateway, &self.client(own), NAME).await;
        visit.map(|visit| visit.status)
    }
}

#[tokio::test]
async fn only_who_has_a_certificate_of_the_named_authority_enters() {
    let (cast, stranger) = (Cast::new(), Authority::new());
    let device = cast.devices.issue(&["device-1"]);
    let expired = cast.devices.issue_until(2001, &["device-2"]);
    let foreign = stranger.issue(&["device-1"]);
    let scene = cast.gateway("");
    assert_eq!(scene.tries(Some(&device)).await, Ok(101));
    for (own, alert) in [
        (None, AlertDescription::CertificateRequired),
        (Some(&foreign), AlertDescription::UnknownCA),
        (Some(&expired), AlertDescription::CertificateExpired),
    ] {
        assert_eq!(scene.tries(own).await, Err(alert));
    }
}

#[tokio::test]
async fn where_a_certificate_is_optional_a_bad_one_is_still_refused() {
    let (cast, stranger) = (Cast::new(), Authority::new());
    let device = cast.devices.issue(&["device-1"]);
    let foreign = stranger.issue(&["device-1"]);
    let scene = cast.gateway("client_auth = \"optional\"");
    assert_eq!(scene.tries(None).await, Ok(101));
    assert_eq!(scene.tries(Some(&device)).await, Ok(101));
    let refused = scene.tries(Some(&foreign)).await;
    assert_eq!(refused, Err(AlertDescription::UnknownCA));
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_by_lists_in_pem_and_der() {
    for form in ["pem", "der"] {
        let cast = Cast::new();
        let (good, lost) = (cast.devices.issue(&["good"]), cast.devices.issue(&["lost"]));
        let list = cast.devices.revoke_until(4000, &[&lost]);
        match form {
            "pem" => cast.write("crl", list.pem().unwrap()),
            _ => cast.write("crl", list.der()),
        }
        let scene = cast.gateway("crl = \"crl\"");
        assert_eq!(scene.tries(Some(&good)).await, Ok(101), "{form}");
        let refused = scene.tries(Some(&lost)).await;
        assert_eq!(refused, Err(AlertDescription::CertificateRevoked), "{form}");
    }
}

#[tokio::test]
async fn a_list_that_is_out_of_date_is_used_on() {
    let cast = Cast::new();
    let (good, lost) = (cast.devices.issue(&["good"]), cast.devices.issue(&["lost"]));
    let list = cast.devices.revoke_until(2002, &[&lost]);
    cast.write("crl", list.pem().unwrap());
    let scene = cast.gateway("crl = \"crl\"");
    assert_eq!(scene.tries(Some(&good)).await, Ok(101));
    let refused = scene.tries(Some(&lost)).await;
    assert_eq!(refused, Err(AlertDescription::CertificateRevoked));
}

#[tokio::test]
async fn an_issuer_without_a_list_is_refused_once_there_is_any() {
    let (cast, other) = (Cast::new(), Authority::new());
    cast.write("ca.pem", format!("{}{}", cast.devices.pem(), other.pem()));
    cast.write("crl", cast.devices.revoke(&[]));
    let (listed, unlisted) = (cast.devices.issue(&["a"]), other.issue(&["b"]));
    // As many files as issuers will do; here is one too few.
    let scene = cast.gateway("crl = [\"crl\"]");
    assert_eq!(scene.tries(Some(&listed)).await, Ok(101));
    assert!(scene.tries(Some(&unlisted)).await.is_err());
}

#[tokio::test]
async fn a_ticket_does_not_outlive_a_revocation() {
    for version in [&TLS12, &TLS13] {
        let cast = Cast::new();
        let (good, lost) = (cast.devices.issue(&["good"]), cast.devices.issue(&["lost"]));
        cast.write("crl", cast.devices.revoke(&[]));
        let revoked = cast.devices.revoke(&[&lost]);
        let scene = cast.gateway("crl = \"crl\"");
        let client = |own| Arc::new(scene.public.client_config(Some(own), &[version]));
        let (good, lost) = (client(&good), client(&lost));
        for client in [&good, &lost] {
            let first = visit(&scene.gateway, client, NAME).await.unwrap();
            assert!(!first.is_resumed);
            let second = visit(&scene.gateway, client, NAME).await.unwrap();
            assert!(second.is_resumed, "{version:?}");
        }

        std::fs::write(scene.gateway.folder().join("crl"), revoked).unwrap();
        let refused = visit_until_refused(&scene.gateway, &lost, NAME).await;
        assert_eq!(refused, AlertDescription::CertificateRevoked);
        // Its ticket is of before the change.
        let other = visit(&scene.gateway, &good, NAME).await.unwrap();
        assert!(!other.is_resumed, "{version:?}");
        assert!(visit(&scene.gateway, &good, NAME).await.unwrap().is_resumed);
    }
}

#[tokio::test]
async fn an_authority_that_is_taken_away_is_followed() {
    let (cast, next) = (Cast::new(), Authority::new());
    let (old, new) = (cast.devices.issue(&["old"]), next.issue(&["new"]));
    let scene = cast.gateway("");
    let client = scene.client(Some(&old));
    assert_eq!(
        visit(&scene.gateway, &client, NAME).await.unwrap().status,
        101
    );

    std::fs::write(scene.gateway.folder().join("ca.pem"), next.pem()).unwrap();
    within("the new authority", async {
        while scene.tries(Some(&new)).await.is_err() {}
    })
    .await;
    // By its ticket as little as without.
    for client in [client, scene.client(Some(&old))] {
        let refused = visit(&scene.gateway, &client, NAME).await;
        assert_eq!(refused, Err(AlertDescription::UnknownCA));
    }
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_certificate_gets_the_gateways_own() {
    let (backend, gateways) = (Authority::new(), Authority::new());
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("ca.pem"), backend.pem()).unwrap();
    gateways.write(folder.path(), "gw", &["gateway"]);
    let upstream = Upstream::bind_mtls(&backend, "chat.internal", &gateways).await;
    let gateway = Gateway::start_in(folder, &before(&upstream, GATEWAYS_OWN));
    let mut client = gateway.send(&Handshake::new("/")).await;
    let mut server = upstream.serve().await;
    assert_eq!(client.answer().await.status, 101);
    server.send_frame(&Frame::text("for you alone")).await;
    assert_eq!(client.frame().await, Frame::text("for you alone"));
}

#[tokio::test]
async fn an_upstream_that_does_not_know_the_gateway_gets_502() {
    let (backend, gateways) = (Authority::new(), Authority::new());
    for (keys, what) in [(GATEWAYS_OWN, "a stranger's"), ("", "none")] {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), backend.pem()).unwrap();
        Authority::new().write(folder.path(), "gw", &["gateway"]);
        let upstream = Upstream::bind_mtls(&backend, "chat.internal", &gateways).await;
        let gateway = Gateway::start_in(folder, &before(&upstream, keys));
        let mut client = gateway.send(&Handshake::new("/")).await;
        let (answer, ()) = tokio::join!(client.answer(), upstream.refuse_tls());
        assert_eq!(answer.status, 502, "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn the_gateways_own_certificate_and_the_upstreams_authority_are_followed() {
    let (backend, gateways) = (Authority::new(), Authority::new());
    let folder = TempDir::new().unwrap();
    // Both are wrong at first.
    std::fs::write(folder.path().join("ca.pem"), Authority::new().pem()).unwrap();
    Authority::new().write(folder.path(), "gw", &["gateway"]);
    let upstream = Upstream::bind_mtls(&backend, "chat.internal", &gateways).await;
    let gateway = Gateway::start_in(folder, &before(&upstream, GATEWAYS_OWN));
    let serve = tokio::spawn(async move { upstream.serve_at_last().await });
    assert_eq!(gateway.status(&Handshake::new("/")).await, 502);

    std::fs::write(gateway.folder().join("ca.pem"), backend.pem()).unwrap();
    gateways.write(gateway.folder(), "gw", &["gateway"]);
    within("the new files", async {
        while gateway.status(&Handshake::new("/")).await != 101 {}
    })
    .await;
    within("the session", serve).await.unwrap();
}

const GATEWAYS_OWN: &str = "client = { cert = \"gw.pem\", key = \"gw.key\" }";

fn before(upstream: &Upstream, keys: &str) -> String {
    format!(
        "{LISTENER}
        [upstreams.chat]
        endpoints = [\"{}\"]
        retries = 0
        [upstreams.chat.tls]
        ca = \"ca.pem\"
        server_name = \"chat.internal\"
        {keys}
        [[routes]]
        upstream = \"chat\"",
        upstream.url()
    )
}
