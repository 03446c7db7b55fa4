//! What is taken back ends its sessions, and nobody else's.

use crate::harness::gateway::LISTENER;
use crate::harness::issuer::{Issuer, now};
use crate::harness::{Frame, Gateway, Handshake, Upstream, robots, session_by};
use serde_json::json;
use tempfile::TempDir;
use wsgate::gateway::Revocation;

/// A gateway for people with tokens of `issuer`, and for robots.
fn gateway(issuer: &Issuer, upstream: &Upstream) -> Gateway {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("keys.json"), issuer.key_set()).unwrap();
    let toml = format!(
        "{LISTENER}
        {}
        [auth.people]
        kind = \"jwt\"
        algorithms = [\"EdDSA\"]
        jwks = \"keys.json\"
        [[routes]]
        upstream = \"{}\"
        auth = [\"people\", \"robots\"]",
        robots(&["ci", "ann"]),
        upstream.url()
    );
    Gateway::start_in(folder, &toml)
}

fn token(issuer: &Issuer, name: &str, id: &str) -> Handshake {
    let token = issuer.sign(&json!({ "sub": name, "jti": id, "exp": now() + 3600.0 }));
    Handshake::new("/").with("Authorization", &format!("Bearer {token}"))
}

#[tokio::test]
async fn whose_identity_is_taken_back_loses_every_session_and_may_come_again() {
    let (issuer, upstream) = (Issuer::new("1"), Upstream::bind().await);
    let gateway = gateway(&issuer, &upstream);
    let (first, second) = (token(&issuer, "ann", "1"), token(&issuer, "ann", "2"));
    let robot = Handshake::new("/").with("X-API-Key", "ann");
    let (mut one, mut one_server, _) = session_by(&gateway, &upstream, &first).await;
    let (mut two, mut two_server, _) = session_by(&gateway, &upstream, &second).await;
    let (mut other, mut server, _) = session_by(&gateway, &upstream, &robot).await;

    assert_eq!(gateway.revoke(&Revocation::Identity("people:ann")), 2);
    for client in [&mut one, &mut two] {
        assert_eq!(client.close(3000).await, "the credential was revoked");
    }
    for server in [&mut one_server, &mut two_server] {
        server.close(1001).await;
    }
    other.send_frame(&Frame::text("here").masked()).await;
    assert_eq!(server.frame().await.payload, b"here");
    // Its token is as good as before: that is what taking back the token is for.
    let (_client, _server, _) = session_by(&gateway, &upstream, &first).await;
}

#[tokio::test]
async fn a_token_that_is_taken_back_admits_nobody_any_more() {
    let (issuer, upstream) = (Issuer::new("1"), Upstream::bind().await);
    let gateway = gateway(&issuer, &upstream);
    let (first, second) = (token(&issuer, "ann", "1"), token(&issuer, "ann", "2"));
    let (mut gone, _gone_server, _) = session_by(&gateway, &upstream, &first).await;
    let (mut stays, mut server, _) = session_by(&gateway, &upstream, &second).await;

    let revocation = Revocation::Token {
        method: "people",
        id: "1",
    };
    assert_eq!(gateway.revoke(&revocation), 1);
    assert_eq!(gone.close(3000).await, "the credential was revoked");
    assert_eq!(gateway.status(&first).await, 401);
    stays.send_frame(&Frame::text("here").masked()).await;
    assert_eq!(server.frame().await.payload, b"here");
}

#[tokio::test]
async fn one_session_can_be_taken_back_by_the_id_of_its_handshake() {
    let (issuer, upstream) = (Issuer::new("1"), Upstream::bind().await);
    let gateway = gateway(&issuer, &upstream);
    let ask = Handshake::new("/").with("X-API-Key", "ci");
    let (mut gone, gone_server, _) = session_by(&gateway, &upstream, &ask).await;
    let (mut stays, mut server, _) = session_by(&gateway, &upstream, &ask).await;
    let id = gone_server.asked("X-Request-Id").unwrap();
    assert_eq!(gateway.revoke(&Revocation::Session(id)), 1);
    gone.close(3000).await;
    stays.send_frame(&Frame::text("here").masked()).await;
    assert_eq!(server.frame().await.payload, b"here");
    assert_eq!(gateway.revoke(&Revocation::Session("none")), 0);
}
