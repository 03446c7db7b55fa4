//! Limits on what a session may carry: who sends too much waits, or is told 1008.

use crate::harness::gateway::LISTENER;
use crate::harness::{Frame, Gateway, Handshake, Leg, Upstream, robots, session, session_by};

/// Ten of something, and then one an hour.
const TEN: &str = "rate = \"1/h\", burst = 10";

fn limited(upstream: &Upstream, limits: &str) -> Gateway {
    Gateway::route(upstream.url(), &format!("[routes.limits]\n{limits}"))
}

fn repeated(frame: &Frame, count: usize) -> Vec<u8> {
    frame.bytes().repeat(count)
}

/// The floods that cost most for what they carry: an empty frame, a ping, a pong, a fragment.
fn floods() -> [Frame; 4] {
    [
        Frame::text("").masked(),
        Frame::ping("").masked(),
        Frame::pong("").masked(),
        Frame::binary("x").masked(),
    ]
}

/// The upstream has got ten of `frame`; the next thing it gets is the end of the session.
async fn ten_and_going_away(server: &mut Leg, frame: &Frame) -> String {
    assert_eq!(
        server.bytes(10 * frame.bytes().len()).await,
        repeated(frame, 10)
    );
    server.close_and_leave(1001).await
}

#[tokio::test]
async fn floods_over_the_limit_are_told_1008() {
    let upstream = Upstream::bind().await;
    let limits = format!("message_rate = {{ {TEN}, on_exceed = \"close\" }}");
    let gateway = limited(&upstream, &limits);
    for frame in floods() {
        let (mut client, mut server) = session(&gateway, &upstream).await;
        client.send(repeated(&frame, 5000)).await;
        let reason = ten_and_going_away(&mut server, &frame).await;
        assert_eq!(reason, "client sent too much");
        assert_eq!(client.close_and_leave(1008).await, "message rate exceeded");
        gateway.has_sessions(0).await;
    }
}

#[tokio::test]
async fn fragments_without_end_are_told_1008() {
    let upstream = Upstream::bind().await;
    let limits = format!("message_rate = {{ {TEN}, on_exceed = \"close\" }}");
    let gateway = limited(&upstream, &limits);
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let fragment = Frame::continuation("x").open().masked();
    client.send_frame(&Frame::text("x").open().masked()).await;
    client.send(repeated(&fragment, 5000)).await;
    let length = fragment.bytes().len();
    server.bytes(10 * length).await;
    server.close_and_leave(1001).await;
    assert_eq!(client.close_and_leave(1008).await, "message rate exceeded");
}

#[tokio::test]
async fn too_many_bytes_are_told_1008_before_they_pass() {
    let upstream = Upstream::bind().await;
    let limits = "byte_rate = { rate = \"1/h\", burst = 1000, on_exceed = \"close\" }";
    let gateway = limited(&upstream, limits);
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let small = Frame::binary(vec![1; 600]).masked();
    client.send_frame(&small).await;
    assert_eq!(server.frame().await, small);
    client.send_frame(&small).await;
    assert_eq!(server.close_and_leave(1001).await, "client sent too much");
    assert_eq!(client.close_and_leave(1008).await, "byte rate exceeded");
}

#[tokio::test]
async fn an_upstream_over_the_limit_is_told_1008_and_the_client_1011() {
    let upstream = Upstream::bind().await;
    let limits =
        format!("message_rate = {{ {TEN}, direction = \"from_upstream\", on_exceed = \"close\" }}");
    let gateway = limited(&upstream, &limits);
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let frame = Frame::text("news");
    server.send(repeated(&frame, 11)).await;
    assert_eq!(client.bytes(60).await, repeated(&frame, 10));
    assert_eq!(client.close_and_leave(1011).await, "upstream sent too much");
    assert_eq!(server.close_and_leave(1008).await, "message rate exceeded");
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_throttled_client_is_not_read_and_the_other_direction_flows() {
    let upstream = Upstream::bind_narrow().await;
    let limits = format!("message_rate = {{ {TEN} }}\n[routes.timeouts]\nclose = \"100ms\"");
    let gateway = limited(&upstream, &limits);
    for frame in floods() {
        let (mut client, mut server) = session(&gateway, &upstream).await;
        let sent = client.send_until_stalled(|| repeated(&frame, 1000)).await;
        assert!(sent.len() > 10 * frame.bytes().len());
        for _ in 0..50 {
            server.send_frame(&Frame::text("downwards")).await;
            assert_eq!(client.frame().await, Frame::text("downwards"));
        }
        server.send_frame(&Frame::close(1000, "enough")).await;
        assert_eq!(client.close(1000).await, "enough");
        let length = 10 * frame.bytes().len();
        assert_eq!(server.bytes(length).await, repeated(&frame, 10));
        // Nothing more of the flood has passed, and its end is not waited for.
        server.close(1000).await;
        gateway.has_sessions(0).await;
    }
}

#[tokio::test]
async fn a_drain_ends_throttled_sessions_at_once() {
    let upstream = Upstream::bind().await;
    let gateway = limited(&upstream, &format!("message_rate = {{ {TEN} }}"));
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let frame = Frame::text("x").masked();
    client.send(repeated(&frame, 1000)).await;
    server.bytes(10 * frame.bytes().len()).await;
    let legs = async {
        server.close_and_leave(1001).await;
        client.close_and_leave(1001).await;
    };
    let (drained, ()) = tokio::join!(gateway.drain(), legs);
    assert_eq!((drained.sessions, drained.cut), (1, 0));
}

#[tokio::test]
async fn whatever_waits_arrives_whole_and_in_order() {
    let upstream = Upstream::bind().await;
    let limits = "message_rate = { rate = \"20000/s\", burst = 50, direction = \"both\" }
        byte_rate = { rate = \"4MiB/s\", burst = \"10KiB\", direction = \"both\" }";
    let gateway = limited(&upstream, limits);
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let all: Vec<u8> = (0..2000)
        .flat_map(|number| Frame::text(format!("message {number}")).masked().bytes())
        .chain(Frame::binary(vec![7; 300_000]).masked().bytes())
        .collect();
    let there = async {
        assert!(server.bytes(all.len()).await == all);
        server.send_frame(&Frame::text("got it")).await;
    };
    let here = async {
        client.send(&all).await;
        assert_eq!(client.frame().await, Frame::text("got it"));
    };
    tokio::join!(there, here);
}

#[tokio::test]
async fn sessions_of_one_identity_share_their_rate() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}{}
        [[routes]]
        upstream = \"{}\"
        auth = [\"robots\"]
        [routes.limits]
        message_rate = {{ {TEN}, per = \"identity\", on_exceed = \"close\" }}",
        robots(&["ann", "bob"]),
        upstream.url()
    ));
    let frame = Frame::text("x").masked();
    let mut sessions = Vec::new();
    for key in ["ann", "ann", "bob"] {
        let ask = Handshake::new("/").with("X-API-Key", key);
        let (mut client, mut server, _) = session_by(&gateway, &upstream, &ask).await;
        client.send(repeated(&frame, 5)).await;
        server.bytes(5 * frame.bytes().len()).await;
        sessions.push((client, server));
    }
    for (client, _) in &mut sessions {
        client.send_frame(&frame).await;
    }
    let (mut client, mut server) = sessions.pop().unwrap();
    assert_eq!(server.frame().await, frame, "bob has tokens left");
    client.send_frame(&frame).await;
    assert_eq!(server.frame().await, frame);
    for (mut client, mut server) in sessions {
        server.close_and_leave(1001).await;
        client.close_and_leave(1008).await;
    }
}
