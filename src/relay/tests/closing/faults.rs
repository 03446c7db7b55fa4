//! Who breaks a rule is told, and the other side sees nothing of it.

use super::*;
use crate::frame::Opcode::{self, Binary, Close, Continuation, Text};
use crate::relay::{End, GatewayEnd, Side};
use tokio::time::Instant;

/// Bytes that break a rule behind a good frame, and the code they earn.
fn violations(peer: &Peer) -> Vec<(Vec<u8>, u16)> {
    let unmasked = |opcode: Opcode| vec![0x80 | opcode.bits(), 0];
    let masked = |opcode: Opcode| vec![0x80 | opcode.bits(), 0x80, 1, 2, 3, 4];
    let mask_bit = peer.frame(Text, b"")[1] & 0x80;
    let wrongly_masked = if mask_bit == 0 {
        masked(Text)
    } else {
        unmasked(Text)
    };
    let rsv1 = [&[0xC1][..], &peer.frame(Text, b"")[1..]].concat();
    vec![
        (wrongly_masked, 1002),
        (rsv1, 1002),
        (vec![0xA1], 1002),
        (vec![0x83], 1002),
        (vec![0x09], 1002),
        (vec![0x88, mask_bit | 126], 1002),
        (vec![0x82, mask_bit | 126, 0, 1], 1002),
        (vec![0x82, mask_bit | 127, 0x80], 1002),
        (peer.frame(Continuation, b"x"), 1002),
        (
            [peer.fragment(Text, false, b"x"), peer.frame(Text, b"y")].concat(),
            1002,
        ),
        (peer.frame(Close, b"\x03"), 1002),
        (peer.close_frame(1005, ""), 1002),
        (peer.close_frame(999, ""), 1002),
        (peer.close_frame(2999, ""), 1002),
        (peer.close_frame(5000, ""), 1002),
        (peer.frame(Close, b"\x03\xE8\xFF"), 1007),
        (peer.frame(Text, b"bad \xFF"), 1007),
        (peer.frame(Text, b"cut \xE2\x82"), 1007),
        (peer.frame(Binary, &[0; 101]), 1009),
        (
            [
                peer.fragment(Binary, false, &[0; 60]),
                peer.frame(Continuation, &[0; 60]),
            ]
            .concat(),
            1009,
        ),
    ]
}

fn limited() -> Rules {
    Rules {
        max_message_size: Some(100),
        ..lenient()
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_the_rules_is_told_and_the_upstream_sees_nothing_of_it() {
    let count = violations(&Rig::new(limited()).client).len();
    for case in 0..count {
        let mut rig = Rig::new(limited());
        let (bytes, code) = violations(&rig.client).swap_remove(case);
        let good = rig.client.frame(Text, b"good");
        rig.client.send(&[&good[..], &bytes].concat()).await;
        rig.upstream.expect(&good).await;
        let mut told = rig.upstream.read_frame().await;
        if !told.header.fin {
            told = rig.upstream.read_frame().await;
        }
        assert_eq!(
            told.close(),
            (Some(1001), "client broke the protocol"),
            "{bytes:02x?}"
        );
        rig.upstream.send_close(1001, "").await;
        let told = rig.client.read_frame().await;
        assert_eq!(told.close().0, Some(code), "{bytes:02x?}");
        assert!(!told.close().1.is_empty());
        assert!(rig.client.read_rest().await.is_empty());
        rig.client.finish().await;
        let outcome = rig.outcome().await;
        let End::ClientViolation(violation) = outcome.end else {
            panic!("{:?}", outcome.end);
        };
        assert_eq!(
            (outcome.ended_by, violation.close_code()),
            (Side::Client, code)
        );
        assert_eq!(
            (outcome.client, outcome.upstream),
            (leg(None, code), leg(1001, 1001))
        );
        assert_eq!(
            outcome.duration.as_millis(),
            0,
            "nobody waits for a deadline"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_breaks_the_rules_is_told_and_the_client_sees_nothing_of_it() {
    let count = violations(&Rig::new(limited()).upstream).len();
    for case in 0..count {
        let mut rig = Rig::new(limited());
        let (bytes, code) = violations(&rig.upstream).swap_remove(case);
        let good = rig.upstream.frame(Text, b"good");
        rig.upstream.send(&[&good[..], &bytes].concat()).await;
        rig.client.expect(&good).await;
        let mut told = rig.client.read_frame().await;
        if !told.header.fin {
            told = rig.client.read_frame().await;
        }
        assert_eq!(
            told.close(),
            (Some(1011), "upstream broke the protocol"),
            "{bytes:02x?}"
        );
        assert_eq!(
            rig.upstream.read_frame().await.close().0,
            Some(code),
            "{bytes:02x?}"
        );
        rig.client.send_close(1011, "").await;
        assert!(
            rig.upstream.read_rest().await.is_empty(),
            "the answer is not for the upstream"
        );
        rig.upstream.finish().await;
        let outcome = rig.outcome().await;
        let End::UpstreamViolation(violation) = outcome.end else {
            panic!("{:?}", outcome.end);
        };
        assert_eq!(
            (outcome.ended_by, violation.close_code()),
            (Side::Upstream, code)
        );
        assert_eq!(
            (outcome.client, outcome.upstream),
            (leg(1011, 1011), leg(None, code))
        );
        assert_eq!(
            outcome.duration.as_millis(),
            0,
            "nobody waits for a deadline"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn answers_under_way_arrive_before_the_client_is_told_of_its_fault() {
    let mut rig = Rig::new(lenient());
    rig.client.send(b"\xFF").await;
    rig.upstream.read_frame().await.close();
    tokio::time::sleep(Duration::from_millis(600)).await;
    rig.upstream.send_frame(Text, b"answer").await;
    rig.upstream.send_close(4000, "not for the client").await;
    assert_eq!(rig.client.read_frame().await.payload, b"answer");
    assert_eq!(rig.client.read_frame().await.close().0, Some(1002));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_goes_on_does_not_keep_the_client_from_being_told() {
    let started = Instant::now();
    let mut rig = Rig::new(lenient());
    rig.client.send(b"\xFF").await;
    let told = async {
        loop {
            let frame = rig.client.read_frame().await;
            if frame.opcode() == Close {
                return frame.close().0;
            }
        }
    };
    let firehose = async {
        loop {
            rig.upstream.send_frame(Text, b"more").await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let code = tokio::select! { code = told => code, () = firehose => None };
    assert_eq!(code, Some(1002));
    assert!(
        started.elapsed() < Duration::from_millis(1300),
        "{:?}",
        started.elapsed()
    );
    // The client neither answers nor leaves.
    let outcome = rig.outcome().await;
    assert!(
        outcome.duration < Duration::from_millis(6600),
        "{:?}",
        outcome.duration
    );
}

#[tokio::test(start_paused = true)]
async fn a_fault_inside_a_frame_under_way_cuts_the_other_leg() {
    let mut rig = Rig::new(lenient());
    let text = rig.client.frame(Text, b"good, then bad: \xFF, then more");
    let (front, back) = text.split_at(12);
    rig.client.send(front).await;
    rig.upstream.expect(front).await;
    rig.client.send(back).await;
    assert!(
        rig.upstream.read_rest().await.is_empty(),
        "no Close inside a frame"
    );
    rig.upstream.finish().await;
    assert_eq!(rig.client.read_frame().await.close().0, Some(1007));
    rig.client.finish().await;
    let outcome = rig.outcome().await;
    assert_eq!((outcome.client, outcome.upstream), (leg(None, 1007), CUT));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_the_rules_while_it_waits_to_be_told_is_heard_out_and_told() {
    let mut rig = Rig::with(lenient(), Negotiated::default(), Early::default(), 1000);
    let down = rig.upstream.frame(Binary, b"download");
    rig.upstream.send(&down[..4]).await;
    settle().await;
    rig.control.close(order(1001));
    assert!(rig.client.stream_write(&[0xFF; 5000]).await);
    rig.upstream.send(&down[4..]).await;
    rig.client.expect(&down).await;
    assert_eq!(rig.client.read_frame().await.close().0, Some(1001));
    rig.client.finish().await;
    rig.upstream.finish().await;
    let outcome = rig.outcome().await;
    assert_eq!(outcome.end, End::Ordered(GatewayEnd::Administrator));
    assert_eq!(outcome.duration.as_millis(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_breaks_the_rules_while_its_answers_are_waited_for_ends_the_wait() {
    let mut rig = Rig::new(lenient());
    rig.client.send(b"\xFF").await;
    rig.upstream.read_frame().await.close();
    rig.upstream.send(b"\x81\x02ok\xFF").await;
    assert_eq!(rig.client.read_frame().await.payload, b"ok");
    assert_eq!(rig.client.read_frame().await.close().0, Some(1002));
    assert!(rig.upstream.read_rest().await.is_empty());
    rig.client.finish().await;
    rig.upstream.finish().await;
    assert_eq!(rig.outcome().await.duration.as_millis(), 0);
}
