//! What each side is told when a session ends, row by row, and that what passes is not touched.

use crate::harness::{Frame, Gateway, Leg, Upstream, session};

/// A session through a gateway with these keys of the route.
async fn pair(keys: &str) -> (Gateway, Leg, Leg) {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), keys);
    let (client, server) = session(&gateway, &upstream).await;
    (gateway, client, server)
}

#[tokio::test]
async fn frames_pass_byte_by_byte_as_they_came() {
    let (_gateway, mut client, mut server) = pair("").await;
    let frames = [
        Frame::text("hello"),
        Frame::text(""),
        Frame::binary([0, 255, 10, 13]),
        Frame::text("żółć ☃ 𝄞"),
        Frame::text("in ").open(),
        Frame::continuation("").open(),
        Frame::ping("between"),
        Frame::continuation("parts"),
        Frame::binary(vec![7; 125]),
        Frame::binary(vec![7; 126]),
        Frame::binary(vec![7; 0xffff]),
        Frame::binary(vec![7; 0x10000]),
        Frame::pong("unasked"),
    ];
    for frame in frames {
        let masked = frame.clone().masked();
        client.send_frame(&masked).await;
        assert_eq!(server.bytes(masked.bytes().len()).await, masked.bytes());
        server.send_frame(&frame).await;
        assert_eq!(client.bytes(frame.bytes().len()).await, frame.bytes());
    }
}

#[tokio::test]
async fn a_stream_means_the_same_however_it_is_cut() {
    let frames = [
        Frame::text("zażółć"),
        Frame::binary(vec![1; 126]),
        Frame::ping("p"),
        Frame::text("a").open(),
        Frame::continuation("\u{1d11e}"),
    ];
    let bytes: Vec<u8> = frames
        .iter()
        .flat_map(|frame| frame.clone().masked().bytes())
        .collect();
    let (_gateway, mut client, mut server) = pair("").await;
    for cut in 1..bytes.len() {
        client.send_cut_at(&bytes, cut).await;
        assert_eq!(server.bytes(bytes.len()).await, bytes, "cut at {cut}");
    }
    client.send_byte_by_byte(&bytes).await;
    assert_eq!(server.bytes(bytes.len()).await, bytes);
}

#[tokio::test]
async fn a_close_reaches_the_other_side_unchanged() {
    let codes = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    ];
    let codes = codes.into_iter().chain([3000, 3999, 4000, 4999]);
    let closes = codes.map(|code| Frame::close(code, "the reason: żółć"));
    let closes = closes.chain([
        Frame::new(8, ""),
        Frame::close(1000, ""),
        Frame::close(4321, &"x".repeat(123)),
    ]);
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for close in closes {
        // From the client, and the upstream's answer back.
        let (mut client, mut server) = session(&gateway, &upstream).await;
        client.send_frame(&close.clone().masked()).await;
        assert_eq!(server.frame().await.unmasked(), close);
        server.send_frame(&Frame::close(1000, "bye")).await;
        assert_eq!(client.frame().await, Frame::close(1000, "bye"));
        client.ended().await;
        server.ended().await;

        // From the upstream, and the client's answer back.
        let (mut client, mut server) = session(&gateway, &upstream).await;
        server.send_frame(&close).await;
        assert_eq!(client.frame().await, close);
        client.send_frame(&close.clone().masked()).await;
        assert_eq!(server.frame().await.unmasked(), close);
        client.ended().await;
        server.ended().await;
    }
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_gets_1002_and_the_upstream_1001() {
    let (_gateway, mut client, mut server) = pair("").await;
    client.send_frame(&Frame::text("bare")).await;
    end(&mut client, 1002, &mut server, 1001).await;
}

#[tokio::test]
async fn a_client_whose_text_is_no_text_gets_1007_and_the_upstream_1001() {
    let (_gateway, mut client, mut server) = pair("").await;
    let frame = Frame::text(b"\xff").masked().bytes();
    client.send(&frame).await;
    let told = client.close_and_leave(1007);
    let (seen, why) = tokio::join!(server.rest_as_a_proper_peer(false), told);
    assert!(!why.is_empty());
    // Either nothing of the frame has passed, or its head, and the leg was cut.
    if seen != frame[..6] {
        let (told, _) = Frame::parse(&seen).unwrap();
        assert_eq!(told.code().unwrap().0, 1001);
    }
}

#[tokio::test]
async fn a_client_whose_message_is_too_long_gets_1009_and_the_upstream_1001() {
    let limits = "[routes.limits]\nmax_message_size = \"1KiB\"";
    let (_gateway, mut client, mut server) = pair(limits).await;
    let longest = Frame::binary(vec![1; 1024]).masked();
    client.send_frame(&longest).await;
    assert_eq!(server.frame().await, longest);
    client
        .send_frame(&Frame::binary(vec![1; 1025]).masked())
        .await;
    end(&mut client, 1009, &mut server, 1001).await;

    // By the sum of fragments.
    let (_gateway, mut client, mut server) = pair(limits).await;
    let half = Frame::binary(vec![1; 600]).open().masked();
    client.send_frame(&half).await;
    assert_eq!(server.frame().await, half);
    client
        .send_frame(&Frame::continuation(vec![1; 600]).masked())
        .await;
    end(&mut client, 1009, &mut server, 1001).await;
}

#[tokio::test]
async fn an_upstream_that_breaks_the_protocol_gets_1002_and_the_client_1011() {
    let (_gateway, mut client, mut server) = pair("").await;
    server.send_frame(&Frame::text("masked").masked()).await;
    end(&mut client, 1011, &mut server, 1002).await;
}

#[tokio::test]
async fn an_upstream_whose_text_is_no_text_gets_1007() {
    let (_gateway, mut client, mut server) = pair("").await;
    server.send_frame(&Frame::text(b"\xc3\x28")).await;
    let told = server.close_and_leave(1007);
    let (seen, _) = tokio::join!(client.rest_as_a_proper_peer(true), told);
    assert!(!seen.contains(&0x28), "{}", seen.escape_ascii());
}

#[tokio::test]
async fn an_upstream_whose_message_is_too_long_gets_1009_and_the_client_1011() {
    let (_gateway, mut client, mut server) =
        pair("[routes.limits]\nmax_message_size = \"1KiB\"").await;
    server.send_frame(&Frame::binary(vec![1; 1025])).await;
    end(&mut client, 1011, &mut server, 1009).await;
}

#[tokio::test]
async fn the_limits_can_be_switched_off() {
    let keys = "[routes.limits]\nmax_message_size = \"off\"\nvalidate_utf8 = false";
    let (_gateway, mut client, mut server) = pair(keys).await;
    let frame = Frame::text(vec![0xff; 20 << 20]).masked();
    let bytes = frame.bytes();
    tokio::join!(client.send(&bytes), async {
        assert!(server.bytes(bytes.len()).await == bytes);
    });
}

#[tokio::test]
async fn an_upstream_that_is_lost_gives_the_client_1012() {
    let (gateway, mut client, server) = pair("").await;
    drop(server);
    let reason = client.close(1012).await;
    assert!(!reason.is_empty());
    client.finish().await;
    client.ended().await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_client_that_is_lost_ends_the_upstream_without_a_close() {
    let (gateway, client, mut server) = pair("").await;
    drop(client);
    server.ended().await;
    drop(server);
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn answers_sent_before_the_clients_fault_arrive_before_the_close() {
    let (_gateway, mut client, mut server) = pair("").await;
    let answers = Frame::binary(vec![5; 1 << 20]);
    server.send_frame(&answers).await;
    server.send_frame(&Frame::text("last")).await;
    client.send(b"\xff\xff").await;
    assert!(client.frame().await == answers);
    assert_eq!(client.frame().await, Frame::text("last"));
    end(&mut client, 1002, &mut server, 1001).await;
}

#[tokio::test]
async fn frames_after_a_close_are_dropped() {
    let (_gateway, mut client, mut server) = pair("").await;
    let close = Frame::close(1000, "").masked();
    let after = [
        Frame::text("late").masked(),
        close.clone(),
        Frame::text("later").masked(),
    ];
    client.send_frame(&close).await;
    for frame in after {
        let _ = client.try_send(&frame.bytes()).await;
    }
    assert_eq!(server.frame().await, close);
    server.send_frame(&Frame::text("still allowed")).await;
    server.send_frame(&Frame::close(1000, "done")).await;
    let _ = server.try_send(&Frame::text("late").bytes()).await;
    assert_eq!(client.frame().await, Frame::text("still allowed"));
    assert_eq!(client.frame().await, Frame::close(1000, "done"));
    client.ended().await;
    server.ended().await;
}

#[tokio::test]
async fn both_sides_may_close_at_once() {
    let (gateway, mut client, mut server) = pair("").await;
    let (from_client, from_server) = (Frame::close(4001, "c").masked(), Frame::close(4002, "s"));
    tokio::join!(
        client.send_frame(&from_client),
        server.send_frame(&from_server)
    );
    assert_eq!(server.frame().await, from_client);
    assert_eq!(client.frame().await, from_server);
    client.ended().await;
    server.ended().await;
    gateway.has_sessions(0).await;
}

/// Each side gets its Close with a reason and then, having answered, the end.
async fn end(client: &mut Leg, to_client: u16, server: &mut Leg, to_upstream: u16) {
    let at_client = async {
        let reason = client.close(to_client).await;
        assert!(!reason.is_empty(), "the client is told why");
        let _ = client
            .try_send(&Frame::close(to_client, "").masked().bytes())
            .await;
        client.finish().await;
        client.ended().await;
    };
    let at_upstream = async {
        let frame = server.frame().await;
        assert!(frame.mask.is_some(), "{frame:?} must be masked");
        let (code, reason) = frame.code().unwrap();
        assert_eq!(code, to_upstream, "{reason}");
        assert!(!reason.is_empty(), "the upstream is told why");
        let _ = server
            .try_send(&Frame::close(to_upstream, "").bytes())
            .await;
        server.finish().await;
        server.ended().await;
    };
    tokio::join!(at_client, at_upstream);
}
