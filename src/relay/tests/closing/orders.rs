//! What the gateway orders, and what it waits for.

use super::*;
use crate::frame::Opcode::{Binary, Close, Ping};
use crate::relay::{End, GatewayEnd, Side};

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
