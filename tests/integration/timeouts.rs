//! Deadlines of a session on real sockets: each ends it with the words of the contract, and a leg
//! inside a frame without words.

use crate::harness::wire::PING;
use crate::harness::{Frame, Gateway, Leg, Upstream, session};

async fn pair(keys: &str) -> (Gateway, Leg, Leg) {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), keys);
    let (client, server) = session(&gateway, &upstream).await;
    (gateway, client, server)
}

/// Both are told 1001 and why, and then it ends.
async fn ends_with_1001(mut client: Leg, mut server: Leg) {
    let why = client.close(1001).await;
    assert!(!why.is_empty());
    let why = server.close(1001).await;
    assert!(!why.is_empty());
    client.send_frame(&Frame::close(1001, "").masked()).await;
    server.send_frame(&Frame::close(1001, "").unmasked()).await;
    client.ended().await;
    server.ended().await;
}

#[tokio::test]
async fn an_idle_session_ends_with_1001() {
    let (gateway, client, server) = pair("[routes.timeouts]\nidle = \"200ms\"").await;
    ends_with_1001(client, server).await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn pings_do_not_keep_an_idle_session() {
    let (_gateway, mut client, mut server) = pair("[routes.timeouts]\nidle = \"200ms\"").await;
    // Each side pings as soon as it has heard of the other, until the gateway has had enough.
    let (there, back) = (Frame::ping("there").masked(), Frame::ping("back"));
    let closed = loop {
        let _ = client.try_send(&there.bytes()).await;
        let seen = server.frame().await;
        if seen != there {
            break seen;
        }
        let _ = server.try_send(&back.bytes()).await;
        let seen = client.frame().await;
        if seen != back {
            break seen;
        }
    };
    assert_eq!(closed.code().unwrap().0, 1001);
}

#[tokio::test]
async fn data_keeps_a_session() {
    let (_gateway, mut client, mut server) = pair("[routes.timeouts]\nidle = \"300ms\"").await;
    let start = tokio::time::Instant::now();
    let frame = Frame::text("awake").masked();
    while start.elapsed() < std::time::Duration::from_millis(700) {
        client.send_frame(&frame).await;
        assert_eq!(server.frame().await, frame);
    }
}

#[tokio::test]
async fn a_session_does_not_outlive_its_longest_duration() {
    let keys = "[routes.timeouts]\nmax_duration = \"200ms\"";
    let (gateway, mut client, mut server) = pair(keys).await;
    // However busy it is.
    let frame = Frame::text("busy").masked();
    let closed = loop {
        let _ = client.try_send(&frame.bytes()).await;
        let seen = server.frame().await;
        if seen != frame {
            break seen;
        }
    };
    assert_eq!(closed.code().unwrap().0, 1001);
    client.close(1001).await;
    drop((client, server));
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_pings_ends_the_session() {
    let keys = "[routes.heartbeat]\nping_interval = \"100ms\"\npong_timeout = \"200ms\"";
    let (gateway, mut client, mut server) = pair(keys).await;
    assert_eq!(client.frame().await.opcode, PING);
    let closed = loop {
        let frame = server.frame().await;
        if frame.opcode != PING {
            break frame;
        }
        server.send_frame(&Frame::pong(&frame.payload)).await;
    };
    let (code, why) = closed.code().unwrap();
    assert_eq!(code, 1001, "{why}");
    assert!(!why.is_empty());
    assert_eq!(client.frame_but_pings().await.code().unwrap().0, 1001);
    drop((client, server));
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_pings_is_lost() {
    let keys = "[routes.heartbeat]\nping_interval = \"100ms\"\npong_timeout = \"200ms\"";
    let (gateway, mut client, server) = pair(keys).await;
    let closed = loop {
        let frame = client.frame().await;
        if frame.opcode != PING {
            break frame;
        }
        client
            .send_frame(&Frame::pong(&frame.payload).masked())
            .await;
    };
    let (code, why) = closed.code().unwrap();
    assert!([1001, 1012].contains(&code), "{code} {why}");
    assert!(!why.is_empty());
    drop((client, server));
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn any_byte_proves_life() {
    let keys = "[routes.heartbeat]\nping_interval = \"100ms\"\npong_timeout = \"400ms\"";
    let (_gateway, mut client, mut server) = pair(keys).await;
    // Six pings long nobody answers one, but both sides talk.
    let mut pings = 0;
    while pings < 6 {
        let frame = client.frame().await;
        if frame.opcode == PING {
            pings += 1;
            client.send_frame(&Frame::text("no pong").masked()).await;
            server.send_frame(&Frame::text("neither")).await;
        } else {
            assert_eq!(frame, Frame::text("neither"));
        }
    }
}

#[tokio::test]
async fn a_close_that_is_never_answered_has_a_deadline() {
    let (gateway, mut client, mut server) = pair("[routes.timeouts]\nclose = \"200ms\"").await;
    client.send_frame(&Frame::close(1000, "").masked()).await;
    server.close(1000).await;
    // The upstream keeps quiet; who asked gets an answer, and both sockets end.
    client.close(1000).await;
    client.ended().await;
    server.ended().await;
    gateway.has_sessions(0).await;

    let (gateway, mut client, mut server) = pair("[routes.timeouts]\nclose = \"200ms\"").await;
    server.send_frame(&Frame::close(1000, "")).await;
    client.close(1000).await;
    client.ended().await;
    server.close(1000).await;
    server.ended().await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_peer_that_ignores_the_gateways_close_has_a_deadline() {
    let (gateway, mut client, mut server) = pair("[routes.timeouts]\nclose = \"200ms\"").await;
    client.send(b"\xff\xff").await;
    client.close(1002).await;
    server.close(1001).await;
    // Neither answers nor hangs up.
    client.ended().await;
    server.ended().await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_leg_inside_a_frame_gets_no_close() {
    let keys = "[routes.timeouts]\nmax_duration = \"200ms\"\nclose = \"200ms\"";
    let (gateway, mut client, mut server) = pair(keys).await;
    let frame = Frame::binary(vec![2; 1000]).masked().bytes();
    client.send(&frame[..500]).await;
    let (seen, _) = server.rest().await;
    assert_eq!(seen, &frame[..500], "nothing may stand inside the frame");
    client.close(1001).await;
    drop((client, server));
    gateway.has_sessions(0).await;
}
