//! `kind = "client_cert"`: who a certificate names, and that a session ends with its certificate.

use crate::harness::certs::{Certified, VERSIONS};
use crate::harness::gateway::LISTENER;
use crate::harness::leg::Leg;
use crate::harness::visit::visit;
use crate::harness::{Authority, Frame, Gateway, Handshake, Upstream, within};
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::rustls::ClientConfig;

const NAME: &str = "a.example";

struct Scene {
    gateway: Gateway,
    public: Authority,
    devices: Authority,
}

impl Scene {
    /// A gateway before `upstream` where a certificate is welcome, and no list names any.
    fn before(upstream: &str, keys: &str) -> Self {
        let (public, devices) = (Authority::new(), Authority::new());
        let folder = TempDir::new().unwrap();
        public.write(folder.path(), "a", &[NAME]);
        std::fs::write(folder.path().join("ca.pem"), devices.pem()).unwrap();
        std::fs::write(folder.path().join("crl"), devices.revoke(&[])).unwrap();
        let gateway = Gateway::start_in(
            folder,
            &format!(
                "{LISTENER}
                [listeners.tls]
                certificates = [{{ cert = \"a.pem\", key = \"a.key\" }}]
                client_ca = \"ca.pem\"
                client_auth = \"optional\"
                crl = \"crl\"
                [auth.mesh]
                kind = \"client_cert\"
                identity = \"san_dns\"
                allow = [\"*.devices.example\"]
                [[routes]]
                upstream = \"{upstream}\"
                identity_header = \"X-Who\"
                {keys}"
            ),
        );
        Self {
            gateway,
            public,
            devices,
        }
    }

    fn client(&self, own: Option<&Certified>) -> Arc<ClientConfig> {
        Arc::new(self.public.client_config(own, &VERSIONS))
    }

    async fn status(&self, own: Option<&Certified>) -> u16 {
        let visit = visit(&self.gateway, &self.client(own), NAME).await;
        visit.unwrap().status
    }

    /// A session of who shows `own`.
    async fn session(&self, own: &Certified, upstream: &Upstream) -> (Leg, Leg) {
        let stream = self.gateway.try_tls(&self.client(Some(own)), NAME).await;
        let mut client = Leg::tls(stream.unwrap());
        let ask = Handshake::new("/").host(NAME);
        client.send(ask.bytes(self.gateway.address())).await;
        let server = upstream.serve().await;
        assert_eq!(client.answer().await.status, 101);
        (client, server)
    }
}

#[tokio::test]
async fn a_certificate_is_an_identity_and_only_those_allowed_enter() {
    let upstream = Upstream::bind().await;
    let scene = Scene::before(&upstream.url(), "auth = [\"mesh\"]");
    let lamp = scene.devices.issue(&["lamp.devices.example"]);
    let other = scene.devices.issue(&["lamp.elsewhere.example"]);
    let (_client, server) = scene.session(&lamp, &upstream).await;
    assert_eq!(server.asked("X-Who"), Some("mesh:lamp.devices.example"));
    assert_eq!(scene.status(Some(&other)).await, 403);
    assert_eq!(scene.status(None).await, 401);
}

#[tokio::test]
async fn a_session_ends_when_its_certificate_is_put_on_the_list() {
    // Whether it was asked for its identity or not.
    for keys in ["auth = [\"mesh\"]", ""] {
        let upstream = Upstream::bind().await;
        let scene = Scene::before(&upstream.url(), keys);
        let lost = scene.devices.issue(&["lost.devices.example"]);
        let kept = scene.devices.issue(&["kept.devices.example"]);
        let (mut lost_client, mut lost_server) = scene.session(&lost, &upstream).await;
        let (mut kept_client, mut kept_server) = scene.session(&kept, &upstream).await;

        let list = scene.devices.revoke(&[&lost]);
        std::fs::write(scene.gateway.folder().join("crl"), list).unwrap();
        let reason = within("the end", lost_client.close(3000)).await;
        assert_eq!(reason, "the credential was revoked");
        lost_server.close(1001).await;
        kept_client
            .send_frame(&Frame::text("still here").masked())
            .await;
        assert_eq!(kept_server.frame().await.payload, b"still here");
    }
}
