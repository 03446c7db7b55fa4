//! A session that is throttled, and what happens to it meanwhile.

use super::*;

/// A client that has sent far more than it may, of which one frame has passed.
async fn throttled(rules: Rules) -> Rig {
    let slow = Limit {
        quota: Quota::new(1, Duration::from_hours(1), 1),
        ..throttle(Unit::Frames, 1, 1)
    };
    let rules = Rules {
        limits: vec![slow],
        ..rules
    };
    let mut rig = Rig::with(rules, Negotiated::default(), Early::default(), 1 << 16);
    let frame = rig.client.frame(Text, b"x");
    rig.client.send(&many(&frame, 1000)).await;
    rig.upstream.expect(&frame).await;
    rig
}

fn order() -> CloseOrder {
    CloseOrder {
        code: 4000,
        reason: "enough".into(),
        why: GatewayEnd::Administrator,
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_ends_a_throttled_session_at_once() {
    let mut rig = throttled(lenient()).await;
    rig.client.send_close(4000, "").await;
    rig.control.close(order());
    assert_eq!(
        rig.client.read_frame().await.close(),
        (Some(4000), "enough")
    );
    assert_eq!(
        rig.upstream.read_frame().await.close(),
        (Some(1001), "enough")
    );
    rig.upstream.send_close(1001, "").await;
    let outcome = rig.outcome().await;
    assert_eq!(outcome.end, End::Ordered(GatewayEnd::Administrator));
    assert_eq!(outcome.client.close_received, Some(4000));
    assert_eq!(outcome.to_upstream.frames, 1);
    assert_eq!(outcome.duration.as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_inside_a_throttled_frame_lets_it_end() {
    let mut rig = Rig::new(client_may(throttle(Unit::Bytes, 1, 10)));
    let frame = rig.client.frame(Binary, &[9; 5000]);
    let more = rig.client.frame(Text, b"more");
    rig.client.send(&[&frame[..], &more].concat()).await;
    assert!(arriving(&mut rig.upstream).await < 50);
    rig.control.close(order());
    let mut rest = vec![0; frame.len() - 18];
    rig.upstream.stream.read_exact(&mut rest).await.unwrap();
    assert_eq!(
        rig.upstream.read_frame().await.close(),
        (Some(1001), "enough")
    );
    assert_eq!(
        rig.client.read_frame().await.close(),
        (Some(4000), "enough")
    );
    rig.client.send_close(4000, "").await;
    rig.upstream.send_close(1001, "").await;
    assert_eq!(rig.outcome().await.duration.as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_client_is_not_blamed_for_its_silence() {
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = throttled(Rules {
        ping_interval: Some(Duration::from_secs(30)),
        ..lenient()
    })
    .await;
    let answering = tokio::spawn(async move {
        loop {
            let ping = upstream.read_frame().await;
            upstream.send_frame(Pong, &ping.payload).await;
        }
    });
    for _ in 0..10 {
        let ping = client.read_frame().await;
        client.send_frame(Pong, &ping.payload).await;
    }
    after(600).await;
    assert!(!task.is_finished());
    answering.abort();
}

#[tokio::test(start_paused = true)]
async fn a_throttled_client_is_not_blamed_for_what_it_does_not_take() {
    let rules = Rules {
        write: Some(Duration::from_secs(60)),
        ..lenient()
    };
    let mut rig = throttled(rules).await;
    for _ in 0..3 {
        rig.upstream.send_frame(Binary, &[1; 30_000]).await;
    }
    after(1000).await;
    assert!(!rig.is_over());
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_once_it_may_speak_is_found() {
    let rules = Rules {
        ping_interval: Some(Duration::from_secs(30)),
        ..client_may(throttle(Unit::Frames, 1, 1))
    };
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = Rig::new(rules);
    let frame = client.frame(Text, b"x");
    client.send(&many(&frame, 300)).await;
    let answering = tokio::spawn(async move {
        loop {
            let frame = upstream.read_frame().await;
            if frame.opcode() == Ping {
                upstream.send_frame(Pong, &frame.payload).await;
            } else if frame.opcode() == Close {
                return upstream.send_close(1001, "").await;
            }
        }
    });
    let outcome = task.await.unwrap();
    assert_eq!(outcome.end, End::NoPong(Side::Client));
    assert_eq!(outcome.to_upstream.messages, 300);
    let seconds = outcome.duration.as_secs();
    assert!((298..350).contains(&seconds), "{seconds}");
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn idle_and_old_sessions_end_throttled_or_not() {
    let minute = Some(Duration::from_secs(60));
    let idle = Rules {
        idle: minute,
        ..lenient()
    };
    let old = Rules {
        max_duration: minute,
        ..lenient()
    };
    for (rules, end) in [(idle, End::Idle), (old, End::MaxDuration)] {
        let mut rig = throttled(rules).await;
        assert_eq!(rig.upstream.read_frame().await.close().0, Some(1001));
        assert_eq!(rig.client.read_frame().await.close().0, Some(1001));
        rig.client.send_close(1001, "").await;
        rig.upstream.send_close(1001, "").await;
        assert_eq!(rig.outcome().await.end, end);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_is_found_although_it_is_not_read() {
    let mut rig = throttled(lenient()).await;
    rig.client_fault.break_writes();
    rig.upstream.send_frame(Text, b"are you there").await;
    assert!(rig.upstream.read_rest().await.is_empty());
    let outcome = rig.outcome().await;
    assert_eq!(outcome.ended_by, Side::Client);
    assert!(matches!(outcome.end, End::ClientLost(Loss::Error(_))));
    assert!(outcome.duration.as_secs() < 2);
}
