//! What a Close brings about on the other side, and who waits for whose answer.

use super::*;
use crate::frame::Opcode::{Close, Text};
use crate::relay::{End, Side};
use tokio::time::Instant;

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
