//! What passes, and that it passes unchanged.

use super::*;
use crate::frame::MAX_CONTROL_FRAME;
use crate::frame::Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
use crate::relay::session::Session;
use crate::relay::{End, Side, Totals};
use bytes::Bytes;

#[tokio::test(start_paused = true)]
async fn frames_pass_both_ways_byte_for_byte_and_are_counted() {
    let mut rig = Rig::new(lenient());
    let hello = rig.client.frame(Text, "héllo".as_bytes());
    rig.client.send(&hello).await;
    rig.upstream.expect(&hello).await;
    let answer = [
        rig.upstream.fragment(Binary, false, b"one"),
        rig.upstream.frame(Ping, b"app"),
        rig.upstream.fragment(Continuation, true, b"two"),
    ]
    .concat();
    rig.upstream.send(&answer).await;
    rig.client.expect(&answer).await;
    let close = rig.client.close_frame(4001, "done");
    rig.client.send(&close).await;
    rig.upstream.expect(&close).await;
    let reply = rig.upstream.frame(Close, &[]);
    rig.upstream.send(&reply).await;
    rig.client.expect(&reply).await;
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.ended_by, outcome.end),
        (Side::Client, End::ClosedByClient)
    );
    assert_eq!(outcome.client.close_received, Some(4001));
    assert_eq!(outcome.upstream.close_sent, Some(4001));
    assert_eq!(outcome.upstream.close_received, Some(1005));
    assert_eq!(outcome.client.close_sent, Some(1005));
    assert_eq!(
        outcome.to_upstream,
        Totals {
            frames: 2,
            messages: 1,
            bytes: 6 + 6
        }
    );
    assert_eq!(
        outcome.to_client,
        Totals {
            frames: 4,
            messages: 1,
            bytes: 3 + 3 + 3
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_streams_before_it_is_whole() {
    let mut rig = Rig::new(lenient());
    let header = rig.client.header(Binary, true, 1 << 62);
    rig.client.send(&header).await;
    rig.client.send(b"only the beginning").await;
    rig.upstream.expect(&header).await;
    rig.upstream.expect(b"only the beginning").await;
}

#[tokio::test(start_paused = true)]
async fn a_control_frame_is_judged_whole_before_any_of_it_passes() {
    let mut rig = Rig::new(lenient());
    let ping = rig.client.frame(Ping, &[7; 125]);
    let (last, most) = ping.split_last().unwrap();
    for byte in most {
        rig.client.send(&[*byte]).await;
        settle().await;
    }
    rig.upstream.assert_silent();
    rig.client.send(&[*last]).await;
    rig.upstream.expect(&ping).await;
    assert_eq!(ping.len(), MAX_CONTROL_FRAME);
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_handshakes_passes_first() {
    let client = Peer::client(tokio::io::duplex(1).0);
    let hello = client.frame(Text, b"early");
    let (early, late) = hello.split_at(3);
    let from_client = Bytes::copy_from_slice(early);
    let from_upstream = Bytes::from_static(b"\x82\x02hi");
    let early = Early {
        from_client,
        from_upstream,
    };
    let mut rig = Rig::with(lenient(), Negotiated::default(), early, 1 << 20);
    rig.client.expect(b"\x82\x02hi").await;
    rig.client.send(late).await;
    rig.upstream.expect(&hello).await;
}

#[tokio::test(start_paused = true)]
async fn compressed_messages_pass_where_negotiated_and_are_not_read_as_text() {
    let mut rig = Rig::with(
        lenient(),
        Negotiated { deflate: true },
        Early::default(),
        1 << 20,
    );
    let compressed = b"\xC1\x02\xFF\xFE";
    rig.upstream.send(compressed).await;
    rig.client.expect(compressed).await;
    rig.upstream.send(b"\x81\x02\xFF\xFE").await;
    assert_eq!(rig.client.read_frame().await.close().0, Some(1011));
}

#[tokio::test(start_paused = true)]
async fn text_may_split_a_character_anywhere() {
    let mut rig = Rig::new(lenient());
    let text = "a€😀";
    for cut in 0..=text.len() {
        let (front, back) = text.as_bytes().split_at(cut);
        let bytes = [
            rig.client.fragment(Text, false, front),
            rig.client.frame(Pong, b""),
            rig.client.fragment(Continuation, true, back),
        ]
        .concat();
        rig.client.send(&bytes).await;
        rig.upstream.expect(&bytes).await;
    }
    assert!(!rig.is_over());
}

#[tokio::test(start_paused = true)]
async fn text_is_not_read_where_the_rules_say_so() {
    let mut rig = Rig::new(Rules {
        validate_utf8: false,
        ..lenient()
    });
    let bytes = rig.client.frame(Text, b"\xFF");
    rig.client.send(&bytes).await;
    rig.upstream.expect(&bytes).await;
}

/// Printed with `--nocapture`; what a session costs is an account to be kept.
#[tokio::test]
async fn a_session_is_small() {
    let session = Session::new(
        [0u64; 5],
        [0u64; 5],
        Early::default(),
        Courses::new(Arc::new(lenient())).of(0),
        Negotiated::default(),
        0,
    );
    let size = size_of_val(&session);
    println!("a session of two plain streams of 40 bytes: {size} bytes");
    assert!(size <= 424, "{size}");
}
