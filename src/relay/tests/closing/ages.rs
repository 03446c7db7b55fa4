//! Sessions that end because of time alone.

use super::*;
use crate::frame::Opcode::{Ping, Text};
use crate::relay::{End, Side};

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
