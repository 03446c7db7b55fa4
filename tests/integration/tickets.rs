//! Tickets for pages that cannot set headers: who gets one, what it opens, and that it opens nothing else.

use crate::harness::gateway::LISTENER;
use crate::harness::{Frame, Gateway, Handshake, Upstream, robots, session_by};
use serde_json::Value;
use wsgate::gateway::Revocation;

const PAGE: &str = "https://app.example";

/// A gateway with two routes for which robots get tickets, and one for which they don't.
fn gateway(upstream: &Upstream) -> Gateway {
    let url = upstream.url();
    Gateway::start(&format!(
        "{LISTENER}
        {}
        [auth.tickets]
        kind = \"ticket\"
        path = \"/ticket\"
        [route_defaults]
        upstream = \"{url}\"
        origins = [\"{PAGE}\"]
        identity_header = \"X-Who\"
        [[routes]]
        name = \"chat\"
        path = \"/chat/*\"
        auth = [\"robots\", \"tickets\"]
        [[routes]]
        name = \"mail\"
        path = \"/mail\"
        auth = [\"robots\", \"tickets\"]
        [[routes]]
        name = \"strict\"
        path = \"/strict\"
        auth = [\"robots\"]",
        robots(&["ci"])
    ))
}

fn post(target: &str) -> Handshake {
    Handshake::plain(target)
        .method("POST")
        .with("Origin", PAGE)
        .with("Content-Length", "0")
}

async fn ticket(gateway: &Gateway, target: &str) -> String {
    let ask = post(target).with("X-API-Key", "ci");
    let (_leg, answer) = gateway.ask(&ask).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(PAGE));
    assert_eq!(
        answer.header("Access-Control-Allow-Credentials"),
        Some("true")
    );
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["expires_in"], 30);
    body["ticket"].as_str().unwrap().to_owned()
}

fn with_ticket(path: &str, ticket: &str) -> Handshake {
    Handshake::new(&format!("{path}?a=1&ticket={ticket}")).with("Origin", PAGE)
}

#[tokio::test]
async fn a_ticket_opens_one_session_as_who_asked_for_it() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream);
    let ticket = ticket(&gateway, "/ticket?path=%2Fchat%2Froom").await;
    let ask = with_ticket("/chat/room", &ticket);
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked("X-Who"), Some("robots:ci"));
    assert_eq!(server.asked_line(), "GET /chat/room?a=1 HTTP/1.1");
    assert_eq!(gateway.status(&ask).await, 401, "it was used");
}

#[tokio::test]
async fn a_ticket_is_for_its_route_and_its_page() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream);
    let ticket = ticket(&gateway, "/ticket?path=/mail").await;
    for path in ["/chat/room", "/strict"] {
        assert_eq!(gateway.status(&with_ticket(path, &ticket)).await, 401);
    }
    let program = with_ticket("/mail", &ticket).without("Origin");
    assert_eq!(gateway.status(&program).await, 401);
    let other = with_ticket("/mail", &ticket).set("Origin", "https://evil.example");
    assert_eq!(gateway.status(&other).await, 403);
    // None of these has used it up.
    let (_client, _server, _) =
        session_by(&gateway, &upstream, &with_ticket("/mail", &ticket)).await;
}

#[tokio::test]
async fn what_is_taken_back_while_a_ticket_waits_ends_its_session() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream);
    let before = ticket(&gateway, "/ticket?path=/mail").await;
    gateway.revoke(&Revocation::Identity("robots:ci"));
    let after = ticket(&gateway, "/ticket?path=/mail").await;
    let (mut gone, _server, _) =
        session_by(&gateway, &upstream, &with_ticket("/mail", &before)).await;
    assert_eq!(gone.close(3000).await, "the credential was revoked");
    let (mut client, mut server, _) =
        session_by(&gateway, &upstream, &with_ticket("/mail", &after)).await;
    client.send_frame(&Frame::text("here").masked()).await;
    assert_eq!(server.frame().await.payload, b"here");
}

#[tokio::test]
async fn who_may_not_enter_gets_no_ticket() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream);
    let good = |ask: Handshake| ask.with("X-API-Key", "ci");
    let ticket = ticket(&gateway, "/ticket?path=/mail").await;
    for (ask, status) in [
        (post("/ticket?path=/mail"), 401),
        (post("/ticket?path=/mail").with("X-API-Key", "no"), 401),
        (post(&format!("/ticket?path=/mail&ticket={ticket}")), 401),
        (
            good(post("/ticket?path=/mail")).set("Origin", "https://evil.example"),
            403,
        ),
        (good(post("/ticket")), 400),
        (good(post("/ticket?path=/strict")), 404),
        (good(post("/ticket?path=/none")), 404),
        (good(post("/ticket?path=/mail/../x")), 400),
        (good(post("/ticket?path=/mail")).method("GET"), 405),
    ] {
        let (_leg, answer) = gateway.ask(&ask).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!answer.body.contains("\"ticket\""), "{answer:?}");
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_page_may_ask_first() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream);
    let preflight = |origin: &str| {
        Handshake::plain("/ticket?path=/mail")
            .method("OPTIONS")
            .with("Origin", origin)
            .with("Access-Control-Request-Method", "POST")
            .with("Access-Control-Request-Headers", "authorization, x-api-key")
    };
    let (_leg, answer) = gateway.ask(&preflight(PAGE)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(PAGE));
    assert_eq!(answer.header("Access-Control-Allow-Methods"), Some("POST"));
    let (_leg, answer) = gateway.ask(&preflight("https://evil.example")).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
}
