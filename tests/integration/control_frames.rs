//! Pings, pongs and the gateway's own (RFC 6455 §5.5): an application's pass, the gateway's are
//! swallowed, and none ever stands inside another frame.

use crate::harness::wire::{PING, PONG};
use crate::harness::{Frame, Gateway, Leg, Upstream, peer, session};

/// Both legs are pinged soon and may answer late.
const BUSY: &str = "[routes.heartbeat]\nping_interval = \"100ms\"\npong_timeout = \"30s\"";

async fn pair(keys: &str) -> (Gateway, Leg, Leg) {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), keys);
    let (client, server) = session(&gateway, &upstream).await;
    (gateway, client, server)
}

#[tokio::test]
async fn an_applications_pings_and_pongs_are_its_own() {
    let (_gateway, mut client, mut server) = pair("").await;
    for payload in ["", "p", "eight by", &"x".repeat(125)] {
        client.send_frame(&Frame::ping(payload).masked()).await;
        assert_eq!(server.frame().await.unmasked(), Frame::ping(payload));
        server.send_frame(&Frame::pong(payload)).await;
        assert_eq!(client.frame().await, Frame::pong(payload));
        server.send_frame(&Frame::ping(payload)).await;
        assert_eq!(client.frame().await, Frame::ping(payload));
        client.send_frame(&Frame::pong(payload).masked()).await;
        assert_eq!(server.frame().await.unmasked(), Frame::pong(payload));
    }
}

#[tokio::test]
async fn silent_legs_are_pinged_and_their_pongs_swallowed() {
    let (_gateway, mut client, mut server) = pair(BUSY).await;
    for _ in 0..3 {
        let to_client = client.frame().await;
        assert_eq!(
            (to_client.opcode, to_client.payload.len()),
            (PING, 8),
            "{to_client:?}"
        );
        assert_eq!(to_client.mask, None);
        client
            .send_frame(&Frame::pong(&to_client.payload).masked())
            .await;

        let to_upstream = server.frame().await;
        assert_eq!(
            (to_upstream.opcode, to_upstream.payload.len()),
            (PING, 8),
            "{to_upstream:?}"
        );
        assert!(to_upstream.mask.is_some());
        server.send_frame(&Frame::pong(&to_upstream.payload)).await;
    }
    // Had a pong passed, it would come before this.
    client.send_frame(&Frame::text("there").masked()).await;
    assert_eq!(
        server.frame_but_pings().await.unmasked(),
        Frame::text("there")
    );
    server.send_frame(&Frame::text("back")).await;
    assert_eq!(client.frame_but_pings().await, Frame::text("back"));
}

#[tokio::test]
async fn the_gateways_pings_and_masks_cannot_be_guessed() {
    let (mut payloads, mut masks) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (_gateway, mut client, mut server) = pair(BUSY).await;
        payloads.push(client.frame().await.payload);
        for round in 0..2 {
            let ping = server.frame().await;
            server.send_frame(&Frame::pong(&ping.payload)).await;
            masks.push(ping.mask.unwrap().to_vec());
            if round == 0 {
                payloads.push(ping.payload);
            }
        }
    }
    for mut seen in [payloads, masks] {
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all, "{seen:?}");
    }
}

#[tokio::test]
async fn a_pong_that_answers_somebody_elses_ping_passes() {
    let (_gateway, mut client, mut server) = pair(BUSY).await;
    let ping = client.frame().await;
    assert_eq!(ping.opcode, PING);
    // Unasked, and of the same length as the gateway's.
    client.send_frame(&Frame::pong("somebody").masked()).await;
    client
        .send_frame(&Frame::pong(&ping.payload).masked())
        .await;
    client.send_frame(&Frame::pong("").masked()).await;
    let first = server.frame_but_pings().await.unmasked();
    let second = server.frame_but_pings().await.unmasked();
    assert_eq!((first, second), (Frame::pong("somebody"), Frame::pong("")));
}

#[tokio::test]
async fn no_ping_stands_inside_a_frame() {
    let (_gateway, mut client, mut server) = pair(BUSY).await;
    let frame = Frame::binary(vec![9; 5000]).masked().bytes();
    let (head, tail) = frame.split_at(2000);
    client.send(head).await;
    let mut seen = bytes_but_pings(&mut server, head.len()).await;
    // Time passes: the other direction is free, and is pinged.
    for _ in 0..4 {
        let ping = client.frame().await;
        assert_eq!(ping.opcode, PING);
    }
    client.send(tail).await;
    seen.extend(server.bytes(tail.len()).await);
    assert!(seen == frame, "something stood inside the frame");
    assert_eq!(server.frame().await.opcode, PING);
}

#[tokio::test]
async fn control_frames_may_stand_between_fragments() {
    let (_gateway, mut client, mut server) = pair("").await;
    let frames = [
        Frame::text("za").open(),
        Frame::ping("1"),
        Frame::continuation("\u{017c}").open(),
        Frame::pong("2"),
        Frame::continuation("end"),
    ];
    for frame in frames.map(Frame::masked) {
        client.send_frame(&frame).await;
        assert_eq!(server.frame().await, frame);
    }
}

#[tokio::test]
async fn floods_of_tiny_frames_pass_in_order() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    let mut client = gateway.open().await;
    let flood: Vec<u8> = (0..5000_u32)
        .flat_map(|number| {
            let ping = Frame::ping(number.to_be_bytes()).masked().bytes();
            [Frame::binary("").masked().bytes(), ping].concat()
        })
        .collect();
    client.send(&flood).await;
    client.send_frame(&Frame::text("done").masked()).await;
    let mut last_pong = None;
    let (mut empties, mut pongs) = (0, 0);
    loop {
        let frame = client.frame().await;
        match frame.opcode {
            PONG => {
                assert!(
                    last_pong < Some(frame.payload.clone()),
                    "{frame:?} after {last_pong:?}"
                );
                last_pong = Some(frame.payload);
                pongs += 1;
            }
            _ if frame.payload.is_empty() => empties += 1,
            _ => break assert_eq!(frame, Frame::text("done")),
        }
    }
    assert_eq!(empties, 5000);
    // RFC 6455 §5.5.3: only the latest ping need be answered.
    assert!(pongs > 0);
}

#[tokio::test]
async fn a_flood_of_pongs_nobody_asked_for_passes() {
    let (_gateway, mut client, mut server) = pair("").await;
    let pongs = Frame::pong("unasked").masked().bytes().repeat(20_000);
    tokio::join!(client.send(&pongs), async {
        assert!(server.bytes(pongs.len()).await == pongs);
    });
}

/// So many bytes of the frame under way, where pings may have come before it.
async fn bytes_but_pings(leg: &mut Leg, count: usize) -> Vec<u8> {
    loop {
        let start = leg.bytes(2).await;
        if start[0] & 0xf != PING {
            let rest = leg.bytes(count - 2).await;
            return [start, rest].concat();
        }
        // A masked ping of eight bytes.
        leg.bytes(12).await;
    }
}
