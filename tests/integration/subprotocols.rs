//! `Sec-WebSocket-Protocol` (RFC 6455 §1.9, §11.3.4).

use crate::harness::{Gateway, Handshake, Upstream, peer};

const NAME: &str = "Sec-WebSocket-Protocol";

#[tokio::test]
async fn the_upstream_is_offered_what_the_route_lists_in_the_clients_order() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), "subprotocols = [\"v1\", \"v2\", \"v3\"]");
    let ask = Handshake::new("/")
        .with(NAME, "v3, other")
        .with(NAME, "v1,v2");
    let mut client = gateway.send(&ask).await;
    let mut server = upstream.accept().await;
    assert_eq!(server.asked(NAME), Some("v3, v1, v2"));
    server.agree_with("Sec-WebSocket-Protocol: v1\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.all(NAME).collect::<Vec<_>>(), ["v1"]);
}

#[tokio::test]
async fn without_a_list_the_offer_passes_as_it_is() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let mut client = gateway.connect().await;
    let ask = Handshake::new("/").with(NAME, "graphql-ws, mqtt");
    client.send(ask.bytes(gateway.address())).await;
    let mut server = upstream.accept().await;
    assert_eq!(server.asked(NAME), Some("graphql-ws, mqtt"));
    server.agree().await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header(NAME)), (101, None));
}

#[tokio::test]
async fn a_choice_that_was_not_offered_gets_502() {
    let keys = "subprotocols = [\"v1\", \"v2\"]";
    for (chosen, offer) in [
        ("v2", Some("v1")),
        // The client offered it, the route does not list it.
        ("v3", Some("v1, v3")),
        ("V1", Some("v1")),
        ("v1, v2", Some("v1, v2")),
        ("", Some("v1")),
    ] {
        let peer = peer::chooses_subprotocol(chosen).await;
        let gateway = Gateway::route(peer.url(), keys);
        let ask = offer
            .iter()
            .fold(Handshake::new("/"), |ask, offer| ask.with(NAME, offer));
        assert_eq!(gateway.status(&ask).await, 502, "`{chosen}`");
    }
    let peer = peer::chooses_subprotocol("v1").await;
    let gateway = Gateway::before(peer.url());
    assert_eq!(
        gateway.status(&Handshake::new("/")).await,
        502,
        "nothing was offered"
    );
}

#[tokio::test]
async fn tokens_that_are_no_tokens_get_400() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for offer in [
        "a b",
        "a/b",
        "a;b",
        "(a)",
        "a\tb",
        "\"a\"",
        "caf\u{e9}",
        "a, b c",
        "a,, b",
    ] {
        let (_, answer) = gateway.ask(&Handshake::new("/").with(NAME, offer)).await;
        assert_eq!(answer.status, 400, "{offer}: {answer:?}");
    }
    // RFC 6455 §4.1: the tokens of an offer are unique.
    let (_, answer) = gateway
        .ask(&Handshake::new("/").with(NAME, "a, b, a"))
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn huge_offers_are_bounded_and_quick() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    let thousand: Vec<_> = (0..1000).map(|number| format!("p{number}")).collect();
    for offer in [
        thousand.join(","),
        format!("b{}x", " ".repeat(15_000)),
        ",".repeat(15_000),
        format!("b{}x", " ".repeat(32_000)),
    ] {
        let status = gateway
            .status(&Handshake::new("/").with(NAME, &offer))
            .await;
        assert!(
            [400, 431].contains(&status),
            "{status} for {} bytes",
            offer.len()
        );
    }
}
