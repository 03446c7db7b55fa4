//! What each side is told when a session ends, row by row.

use super::*;
use crate::frame::Opcode::{self, Binary, Close, Continuation, Ping, Text};
use crate::relay::{CloseOrder, End, GatewayEnd, LegOutcome, Loss, Side};
use std::borrow::Cow;
use tokio::time::Instant;

fn order(code: u16) -> CloseOrder {
    CloseOrder {
        code,
        reason: Cow::Borrowed("maintenance"),
        why: GatewayEnd::Administrator,
    }
}

fn leg(received: impl Into<Option<u16>>, sent: impl Into<Option<u16>>) -> LegOutcome {
    LegOutcome {
        close_received: received.into(),
        close_sent: sent.into(),
        cut_mid_frame: false,
    }
}

const CUT: LegOutcome = LegOutcome {
    close_received: None,
    close_sent: None,
    cut_mid_frame: true,
};

#[tokio::test(start_paused = true)]
async fn a_close_passes_with_its_code_and_reason_and_so_does_the_answer() {
    for code in [1000, 1001, 1003, 1011, 1012, 1013, 1014, 3000, 4999] {
        let mut rig = Rig::new(lenient());
        rig.upstream.send_close(code, "because").await;
        assert_eq!(
            rig.client.read_frame().await.close(),
            (Some(code), "because")
        );
        rig.client.send_close(code, "").await;
        assert_eq!(rig.upstream.read_frame().await.close(), (Some(code), ""));
        let outcome = rig.outcome().await;
        assert_eq!(
            (outcome.ended_by, outcome.end),
            (Side::Upstream, End::ClosedByUpstream)
        );
        assert_eq!(outcome.client, leg(code, code));
        assert_eq!(outcome.upstream, leg(code, code));
        assert_eq!(outcome.duration.as_millis(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_close_the_other_side_may_finish() {
    let mut rig = Rig::new(lenient());
    rig.client.send_close(1000, "").await;
    rig.upstream.read_frame().await.close();
    after(3).await;
    rig.upstream.send_frame(Text, b"last words").await;
    rig.upstream.send_close(1000, "").await;
    assert_eq!(rig.client.read_frame().await.payload, b"last words");
    rig.client.read_frame().await.close();
    assert_eq!(rig.outcome().await.to_client.messages, 1);
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_has_answered_its_close_is_not_kept_waiting_for_the_other() {
    let mut rig = Rig::new(lenient());
    rig.control.close(order(1001));
    assert_eq!(rig.client.read_frame().await.close().0, Some(1001));
    assert_eq!(rig.upstream.read_frame().await.close().0, Some(1001));
    rig.client.send_close(1001, "").await;
    assert!(rig.client.next_frame().await.is_none());
    assert!(!rig.is_over());
    rig.upstream.send_close(1001, "").await;
    rig.outcome().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_behind_a_close_passes() {
    let mut rig = Rig::new(lenient());
    let close = rig.client.close_frame(1000, "");
    let text = rig.client.frame(Text, b"too late");
    rig.client.send(&[&close[..], &text, &close].concat()).await;
    rig.upstream.expect(&close).await;
    settle().await;
    rig.upstream.assert_silent();
    rig.upstream.send_close(1000, "").await;
    assert_eq!(rig.outcome().await.to_upstream.messages, 0);
    assert!(rig.upstream.read_rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn closes_that_cross_are_each_others_answer() {
    let mut rig = Rig::new(lenient());
    rig.client.send_close(1000, "mine").await;
    rig.upstream.send_close(4000, "yours").await;
    assert_eq!(rig.client.read_frame().await.close(), (Some(4000), "yours"));
    assert_eq!(
        rig.upstream.read_frame().await.close(),
        (Some(1000), "mine")
    );
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.client, outcome.upstream),
        (leg(1000, 4000), leg(4000, 1000))
    );
}

#[tokio::test(start_paused = true)]
async fn a_close_that_nobody_answers_is_answered_with_its_own_code() {
    let started = Instant::now();
    let mut rig = Rig::new(lenient());
    rig.client.send_close(4321, "hello?").await;
    assert_eq!(rig.client.read_frame().await.close(), (Some(4321), ""));
    assert!(started.elapsed() >= Duration::from_secs(5));
    let outcome = rig.outcome().await;
    assert_eq!(outcome.end, End::ClosedByClient);
    assert_eq!(
        (outcome.client, outcome.upstream),
        (leg(4321, 4321), leg(None, 4321))
    );
    assert!(
        outcome.duration < Duration::from_secs(6),
        "{:?}",
        outcome.duration
    );
}

#[tokio::test(start_paused = true)]
async fn a_close_answered_by_the_end_of_the_stream_is_answered_at_once() {
    let mut rig = Rig::new(lenient());
    rig.client.send(&rig.client.frame(Close, b"")).await;
    rig.upstream.read_frame().await.close();
    rig.upstream.finish().await;
    assert_eq!(rig.client.read_frame().await.close(), (None, ""));
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.end, outcome.client),
        (End::ClosedByClient, leg(1005, 1005))
    );
    assert_eq!(outcome.duration.as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_close_answered_by_a_violation_is_answered_all_the_same() {
    let mut rig = Rig::new(lenient());
    rig.upstream.send_close(1000, "").await;
    rig.client.read_frame().await.close();
    rig.client.send(b"\xFF").await;
    assert_eq!(rig.upstream.read_frame().await.close(), (Some(1000), ""));
    rig.client.finish().await;
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.end, outcome.client),
        (End::ClosedByUpstream, leg(None, 1000))
    );
}

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
async fn a_lost_upstream_is_1012_to_the_client() {
    for reset in [false, true] {
        let mut rig = Rig::new(lenient());
        rig.upstream.send_frame(Text, b"bye").await;
        assert_eq!(rig.client.read_frame().await.payload, b"bye");
        let loss = if reset {
            rig.upstream_fault.reset();
            Loss::Error(std::io::ErrorKind::ConnectionReset)
        } else {
            rig.upstream.finish().await;
            Loss::Eof
        };
        assert_eq!(
            rig.client.read_frame().await.close(),
            (Some(1012), "upstream is gone")
        );
        rig.client.send_close(1012, "").await;
        let outcome = rig.outcome().await;
        assert_eq!(
            (outcome.ended_by, outcome.end),
            (Side::Upstream, End::UpstreamLost(loss))
        );
        assert_eq!(
            (outcome.client, outcome.upstream),
            (leg(1012, 1012), leg(None, None))
        );
        assert_eq!(outcome.duration.as_millis(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_lost_inside_a_header_can_still_be_told_of() {
    let mut rig = Rig::new(lenient());
    rig.upstream.send(b"\x82\x7E\x01").await;
    rig.upstream.finish().await;
    assert_eq!(rig.client.read_frame().await.close().0, Some(1012));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_lost_inside_a_frame_cuts_the_client() {
    let mut rig = Rig::new(lenient());
    rig.upstream.send(b"\x82\x05hel").await;
    rig.upstream.finish().await;
    assert_eq!(rig.client.read_rest().await, b"\x82\x05hel");
    rig.client.finish().await;
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.client, outcome.end),
        (CUT, End::UpstreamLost(Loss::Eof))
    );
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_closes_and_goes_has_closed_even_if_a_write_fails_first() {
    let mut rig = Rig::new(lenient());
    rig.upstream_fault.break_writes();
    rig.client.send_frame(Text, b"into the void").await;
    // The write has failed when the Close comes to light.
    settle().await;
    rig.upstream.send_close(4002, "gone").await;
    assert_eq!(rig.client.read_frame().await.close(), (Some(4002), "gone"));
    rig.client.send_close(4002, "").await;
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.end, outcome.client),
        (End::ClosedByUpstream, leg(4002, 4002))
    );
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_can_only_be_read_is_lost_as_soon_as_it_is_silent() {
    let broken = Loss::Error(std::io::ErrorKind::BrokenPipe);
    let mut rig = Rig::new(lenient());
    rig.upstream_fault.break_writes();
    rig.upstream.send_frame(Text, b"last").await;
    rig.client.send_frame(Text, b"into the void").await;
    assert_eq!(rig.client.read_frame().await.payload, b"last");
    assert_eq!(rig.client.read_frame().await.close().0, Some(1012));
    rig.client.finish().await;
    assert_eq!(rig.outcome().await.end, End::UpstreamLost(broken));

    let mut rig = Rig::new(lenient());
    rig.client_fault.break_writes();
    rig.upstream.send_frame(Text, b"into the void").await;
    assert!(rig.upstream.read_rest().await.is_empty());
    assert_eq!(rig.outcome().await.end, End::ClientLost(broken));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_ends_its_stream_still_gets_what_comes_back() {
    let mut rig = Rig::new(lenient());
    let text = rig.client.frame(Text, b"question");
    rig.client.send(&text).await;
    rig.client.finish().await;
    assert_eq!(rig.upstream.read_rest().await, text, "no Close is made up");
    after(2).await;
    rig.upstream.send_frame(Text, b"answer").await;
    rig.upstream.send_close(1000, "").await;
    assert_eq!(rig.client.read_frame().await.payload, b"answer");
    rig.client.read_frame().await.close();
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.ended_by, outcome.end),
        (Side::Client, End::ClientLost(Loss::Eof))
    );
    assert_eq!(
        (outcome.client, outcome.upstream),
        (leg(None, 1000), leg(1000, None))
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_for_a_lost_client_is_waited_for_only_so_long() {
    let mut rig = Rig::new(lenient());
    rig.client.send(&rig.client.header(Binary, true, 5)).await;
    rig.client.finish().await;
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.end, outcome.upstream),
        (End::ClientLost(Loss::Eof), CUT)
    );
    let seconds = outcome.duration.as_secs_f64();
    assert!((5.0..6.0).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_reset_client_ends_the_session_at_once() {
    let mut rig = Rig::new(lenient());
    rig.client.send_frame(Text, b"x").await;
    rig.upstream.read_frame().await;
    rig.client_fault.reset();
    assert!(rig.upstream.read_rest().await.is_empty());
    let outcome = rig.outcome().await;
    let reset = Loss::Error(std::io::ErrorKind::ConnectionReset);
    assert_eq!(
        (outcome.end, outcome.upstream),
        (End::ClientLost(reset), leg(None, None))
    );
    assert_eq!(outcome.duration.as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_gives_its_code_to_the_client_and_1001_to_the_upstream() {
    let mut rig = Rig::new(lenient());
    settle().await;
    assert!(rig.control.close(order(4100)));
    assert_eq!(
        rig.client.read_frame().await.close(),
        (Some(4100), "maintenance")
    );
    assert_eq!(
        rig.upstream.read_frame().await.close(),
        (Some(1001), "maintenance")
    );
    rig.client.send_close(4100, "").await;
    rig.upstream.send_close(1001, "").await;
    let outcome = rig.outcome().await;
    assert_eq!(outcome.end, End::Ordered(GatewayEnd::Administrator));
    assert_eq!(outcome.ended_by, Side::Gateway);
    assert_eq!(
        (outcome.client, outcome.upstream),
        (leg(4100, 4100), leg(1001, 1001))
    );
    assert!(
        rig.client.read_rest().await.is_empty(),
        "one Close is enough"
    );
    assert!(rig.upstream.read_rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_order_given_before_the_session_begins_is_obeyed() {
    let mut rig = Rig::new(lenient());
    assert!(rig.control.close(order(1001)));
    assert_eq!(rig.client.read_frame().await.close().0, Some(1001));
}

#[tokio::test(start_paused = true)]
async fn an_order_waits_for_the_frames_under_way() {
    let mut rig = Rig::new(lenient());
    let up = rig.client.frame(Binary, b"upload");
    let down = rig.upstream.frame(Binary, b"download");
    rig.client.send(&up[..9]).await;
    rig.upstream.send(&down[..4]).await;
    settle().await;
    rig.control.close(order(1001));
    after(2).await;
    let behind = rig.client.frame(Ping, b"behind the frame");
    rig.client.send(&[&up[9..], &behind].concat()).await;
    rig.upstream.send(&down[4..]).await;
    rig.upstream.expect(&up).await;
    assert_eq!(rig.upstream.read_frame().await.close().0, Some(1001));
    rig.client.expect(&down).await;
    assert_eq!(rig.client.read_frame().await.close().0, Some(1001));
    rig.client.send_close(1001, "").await;
    rig.upstream.send_close(1001, "").await;
    let outcome = rig.outcome().await;
    assert_eq!(
        outcome.to_upstream.frames, 1,
        "what is behind the Close does not count"
    );
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

#[tokio::test(start_paused = true)]
async fn an_order_gets_in_under_a_firehose_that_never_pauses() {
    let mut rig = Rig::with(lenient(), Negotiated::default(), Early::default(), 64);
    let frame = rig.upstream.frame(Binary, &[5; 50]);
    let (mut sent, mut received) = (0, 0);
    let mut told = None;
    let firehose = async {
        while rig.upstream.stream_write(&frame).await {
            sent += 1;
            if sent % 1000 == 0 {
                // The clock stands as long as anyone is busy.
                after(1).await;
            }
        }
    };
    let client = async {
        while let Some(frame) = rig.client.next_frame().await {
            received += 1;
            if received == 100 {
                rig.control.close(order(1001));
            }
            if frame.opcode() == Close {
                told = frame.close().0;
                rig.client.send_close(1001, "").await;
            }
        }
    };
    tokio::join!(firehose, client, async { assert!(rig.task.await.is_ok()) });
    assert_eq!(told, Some(1001));
    assert!(
        sent > 100 && received < 200,
        "sent {sent}, received {received}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_does_not_end_is_waited_for_only_so_long() {
    let mut rig = Rig::new(lenient());
    rig.upstream.send(b"\x82\x05hel").await;
    settle().await;
    rig.control.close(order(1001));
    assert_eq!(rig.upstream.read_frame().await.close().0, Some(1001));
    assert_eq!(rig.client.read_rest().await, b"\x82\x05hel");
    let outcome = rig.outcome().await;
    assert_eq!((outcome.client, outcome.upstream), (CUT, leg(None, 1001)));
    let seconds = outcome.duration.as_secs_f64();
    assert!((5.0..6.0).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_ends_and_control_frames_do_not_keep_it() {
    let mut rig = Rig::new(Rules {
        idle: Some(Duration::from_secs(60)),
        ..lenient()
    });
    after(50).await;
    rig.client.send_frame(Text, b"busy").await;
    rig.upstream.read_frame().await;
    for _ in 0..5 {
        after(10).await;
        rig.client.send_frame(Ping, b"").await;
        rig.upstream.read_frame().await;
    }
    assert!(!rig.is_over());
    assert_eq!(
        rig.client.read_frame().await.close(),
        (Some(1001), "session was idle")
    );
    assert_eq!(
        rig.upstream.read_frame().await.close(),
        (Some(1001), "session was idle")
    );
    rig.client.send_close(1001, "").await;
    rig.upstream.send_close(1001, "").await;
    let outcome = rig.outcome().await;
    assert_eq!((outcome.ended_by, outcome.end), (Side::Gateway, End::Idle));
    let seconds = outcome.duration.as_secs_f64();
    assert!((110.0..111.0).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_old_enough_ends_give_or_take_a_tenth() {
    let mut rig = Rig::new(Rules {
        max_duration: Some(Duration::from_secs(100)),
        ..lenient()
    });
    let told = rig.client.read_frame().await;
    assert_eq!(
        told.close(),
        (Some(1001), "session reached its maximum duration")
    );
    assert_eq!(rig.upstream.read_frame().await.close().0, Some(1001));
    rig.client.finish().await;
    rig.upstream.finish().await;
    let outcome = rig.outcome().await;
    assert_eq!(outcome.end, End::MaxDuration);
    let seconds = outcome.duration.as_secs_f64();
    assert!((90.0..111.0).contains(&seconds), "{seconds}");
}
