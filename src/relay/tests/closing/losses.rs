//! A leg that is lost, in whatever way and moment.

use super::*;
use crate::frame::Opcode::{Binary, Text};
use crate::relay::{End, Loss, Side};

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
