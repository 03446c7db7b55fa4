//! `Sec-WebSocket-Extensions` and RSV1 (RFC 6455 §9, RFC 7692).

use crate::harness::{Frame, Gateway, Handshake, Upstream, peer, session_by};

const NAME: &str = "Sec-WebSocket-Extensions";
const DEFLATE: &str = "permessage-deflate; client_max_window_bits";
const PASSTHROUGH: &str = "compression = \"passthrough\"";

#[tokio::test]
async fn compression_is_off_by_default() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let ask = Handshake::new("/").with(NAME, DEFLATE);
    let (mut client, mut server, answer) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked(NAME), None);
    assert_eq!(answer.header(NAME), None);
    client.send_frame(&Frame::text("x").rsv(4).masked()).await;
    client.close(1002).await;
    server.close(1001).await;
}

#[tokio::test]
async fn an_extension_nobody_offered_gets_502() {
    for agreed in ["permessage-deflate", "x-webkit-deflate-frame", "foo"] {
        let agrees = peer::agrees_with(format!("{NAME}: {agreed}\r\n")).await;
        let gateway = Gateway::before(agrees.url());
        let ask = Handshake::new("/").with(NAME, DEFLATE);
        assert_eq!(gateway.status(&ask).await, 502, "{agreed}");
    }
}

#[tokio::test]
async fn passthrough_lets_both_ends_negotiate_deflate_alone() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), PASSTHROUGH);
    let ask = Handshake::new("/").with(NAME, &format!("foo, {DEFLATE}, bar; x=1"));
    let mut client = gateway.send(&ask).await;
    let mut server = upstream.accept().await;
    let offered = server.asked(NAME).unwrap();
    assert!(offered.contains("permessage-deflate"), "{offered}");
    assert!(
        !offered.contains("foo") && !offered.contains("bar"),
        "{offered}"
    );
    server
        .agree_with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12\r\n")
        .await;
    let answer = client.answer().await;
    let agreed = answer.header(NAME).unwrap();
    assert_eq!(
        agreed.replace(' ', ""),
        "permessage-deflate;client_max_window_bits=12"
    );

    // RSV1 marks a compressed message; what is in it is no text to the gateway.
    let there = [
        Frame::text(b"\xff\xfe\xfd").rsv(4).open().masked(),
        Frame::continuation(b"\x80").masked(),
        Frame::binary("plain").masked(),
    ];
    for frame in &there {
        client.send_frame(frame).await;
        assert_eq!(&server.frame().await, frame);
    }
    let back = Frame::text(b"\xc3\x28").rsv(4);
    server.send_frame(&back).await;
    assert_eq!(client.frame().await, back);
}

#[tokio::test]
async fn rsv1_belongs_on_the_first_frame_of_a_message_only() {
    let legal = Frame::text("a").rsv(4).open().masked();
    for (what, before, wrong) in [
        (
            "a continuation",
            Some(legal),
            Frame::continuation("b").rsv(4).masked(),
        ),
        ("a ping", None, Frame::ping("").rsv(4).masked()),
        ("a close", None, Frame::close(1000, "").rsv(4).masked()),
        ("RSV2", None, Frame::text("a").rsv(2).masked()),
        ("RSV3 beside RSV1", None, Frame::text("a").rsv(5).masked()),
    ] {
        let upstream = Upstream::bind().await;
        let gateway = Gateway::route(upstream.url(), PASSTHROUGH);
        let mut client = gateway.connect().await;
        client
            .send(
                Handshake::new("/")
                    .with(NAME, DEFLATE)
                    .bytes(gateway.address()),
            )
            .await;
        let mut server = upstream.accept().await;
        server
            .agree_with("Sec-WebSocket-Extensions: permessage-deflate\r\n")
            .await;
        assert_eq!(client.answer().await.status, 101);

        if let Some(frame) = &before {
            client.send_frame(frame).await;
            assert_eq!(&server.frame().await, frame, "{what}");
        }
        client.send_frame(&wrong).await;
        tokio::join!(
            client.close_and_leave(1002),
            server.rest_as_a_proper_peer(false)
        );
    }
}

#[tokio::test]
async fn an_upstream_that_declines_deflate_gets_no_rsv1() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), PASSTHROUGH);
    let ask = Handshake::new("/").with(NAME, DEFLATE);
    let (mut client, mut server, answer) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(answer.header(NAME), None);
    server.send_frame(&Frame::text("x").rsv(4)).await;
    client.close(1011).await;
    server.close(1002).await;
}

#[tokio::test]
async fn parameters_that_were_not_offered_or_are_wrong_get_502() {
    for (offered, agreed) in [
        (
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits=10",
        ),
        (DEFLATE, "permessage-deflate; client_max_window_bits=7"),
        (DEFLATE, "permessage-deflate; client_max_window_bits=16"),
        (DEFLATE, "permessage-deflate; server_max_window_bits"),
        (DEFLATE, "permessage-deflate; server_max_window_bits=abc"),
        (
            DEFLATE,
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        ),
        (DEFLATE, "permessage-deflate; unknown"),
        (DEFLATE, "permessage-deflate, permessage-deflate"),
        (DEFLATE, "permessage-deflate, foo"),
        (
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate",
        ),
    ] {
        let agrees = peer::agrees_with(format!("{NAME}: {agreed}\r\n")).await;
        let gateway = Gateway::route(agrees.url(), PASSTHROUGH);
        let ask = Handshake::new("/").with(NAME, offered);
        assert_eq!(gateway.status(&ask).await, 502, "{offered} → {agreed}");
    }
}

#[tokio::test]
async fn offers_of_deflate_that_are_wrong_are_declined() {
    for offer in [
        "permessage-deflate; client_max_window_bits=99",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
    ] {
        let upstream = Upstream::bind().await;
        let gateway = Gateway::route(upstream.url(), PASSTHROUGH);
        let ask = Handshake::new("/").with(NAME, offer);
        let (_client, server, answer) = session_by(&gateway, &upstream, &ask).await;
        assert_eq!(
            (server.asked(NAME), answer.header(NAME)),
            (None, None),
            "{offer}"
        );
    }
}

#[tokio::test]
async fn a_header_that_is_no_list_of_extensions_gets_400() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), PASSTHROUGH);
    for offer in ["permessage-deflate; =", "a b", "\"quoted\"", "x; y=\"open"] {
        let status = gateway.status(&Handshake::new("/").with(NAME, offer)).await;
        assert_eq!(status, 400, "{offer}");
    }
    upstream.was_left_alone().await;
}
