//! Closing: who is told what, and what passes before.

use super::*;

fn leg(received: u16, sent: u16) -> LegOutcome {
    LegOutcome {
        close_received: Some(received),
        close_sent: Some(sent),
        cut_mid_frame: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_too_many_gets_1008_behind_the_answers() {
    for opcode in [Text, Ping, Pong] {
        let mut rig = Rig::new(client_may(close(Unit::Frames, 50, 100)));
        let frame = rig.client.frame(opcode, b"x");
        rig.client.send(&many(&frame, 1000)).await;
        rig.upstream.expect(&many(&frame, 100)).await;
        let told = rig.upstream.read_frame().await;
        assert_eq!(told.close(), (Some(1001), "client sent too much"));
        rig.upstream.send_frame(Text, b"answer").await;
        rig.upstream.send_close(1001, "").await;
        assert_eq!(rig.client.read_frame().await.payload, b"answer");
        let told = rig.client.read_frame().await;
        assert_eq!(told.close(), (Some(1008), "message rate exceeded"));
        assert!(rig.client.next_frame().await.is_none());
        rig.client.finish().await;
        let outcome = rig.outcome().await;
        assert_eq!(
            (outcome.ended_by, outcome.end),
            (Side::Client, End::MessageRate(Side::Client))
        );
        assert_eq!(outcome.client.close_sent, Some(1008));
        assert_eq!(outcome.upstream, leg(1001, 1001));
        assert_eq!(outcome.to_upstream.frames, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_frame_with_too_many_bytes_nothing_passes() {
    let mut rig = Rig::new(client_may(close(Unit::Bytes, 100, 1000)));
    let frame = rig.client.frame(Binary, &[1; 900]);
    rig.client.send(&frame).await;
    rig.upstream.expect(&frame).await;
    let header = rig.client.header(Binary, true, 900);
    rig.client.send(&header).await;
    let told = rig.upstream.read_frame().await;
    assert_eq!(told.close(), (Some(1001), "client sent too much"));
    rig.upstream.send_close(1001, "").await;
    let told = rig.client.read_frame().await;
    assert_eq!(told.close(), (Some(1008), "byte rate exceeded"));
    rig.client.finish().await;
    assert_eq!(rig.outcome().await.end, End::ByteRate(Side::Client));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_sends_too_much_gets_1008_and_the_client_1011() {
    let mut rig = Rig::new(upstream_may(close(Unit::Frames, 1, 3)));
    let frame = rig.upstream.frame(Text, b"x");
    rig.upstream.send(&many(&frame, 4)).await;
    rig.client.expect(&many(&frame, 3)).await;
    let told = rig.client.read_frame().await;
    assert_eq!(told.close(), (Some(1011), "upstream sent too much"));
    let told = rig.upstream.read_frame().await;
    assert_eq!(told.close(), (Some(1008), "message rate exceeded"));
    rig.client.send_close(1011, "").await;
    rig.upstream.finish().await;
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.ended_by, outcome.end),
        (Side::Upstream, End::MessageRate(Side::Upstream))
    );
}

#[tokio::test(start_paused = true)]
async fn who_keeps_to_the_rate_stays_and_a_close_is_free() {
    let mut rig = Rig::new(client_may(close(Unit::Frames, 2, 2)));
    for _ in 0..100 {
        rig.client.send_frame(Text, b"x").await;
        rig.client.send_frame(Text, b"y").await;
        rig.upstream.read_frame().await;
        rig.upstream.read_frame().await;
        after(1).await;
    }
    rig.client.send_frame(Text, b"x").await;
    rig.client.send_frame(Text, b"y").await;
    rig.client.send_close(1000, "").await;
    rig.upstream.read_frame().await;
    rig.upstream.read_frame().await;
    assert_eq!(rig.upstream.read_frame().await.close().0, Some(1000));
    rig.upstream.send_close(1000, "").await;
    assert_eq!(rig.outcome().await.end, End::ClosedByClient);
}

#[tokio::test(start_paused = true)]
async fn answers_to_the_gateways_pings_are_free_and_no_way_around_the_limit() {
    let rules = Rules {
        ping_interval: Some(Duration::from_secs(30)),
        ..client_may(Limit {
            quota: Quota::new(1, Duration::from_hours(1), 2),
            ..close(Unit::Frames, 1, 1)
        })
    };
    let Rig {
        mut client,
        mut upstream,
        task,
        ..
    } = Rig::new(rules);
    let upstream = tokio::spawn(async move {
        loop {
            let frame = upstream.read_frame().await;
            if frame.opcode() == Close {
                return upstream.send_close(1001, "").await;
            }
            upstream.send_frame(Pong, &frame.payload).await;
        }
    });
    for _ in 0..20 {
        let ping = client.read_frame().await;
        client.send_frame(Pong, &ping.payload).await;
    }
    let ping = client.read_frame().await;
    for _ in 0..1 + 2 {
        client.send_frame(Pong, &ping.payload).await;
    }
    settle().await;
    client.assert_silent();
    client.send_frame(Pong, &ping.payload).await;
    let told = client.read_frame().await;
    assert_eq!(told.close(), (Some(1008), "message rate exceeded"));
    client.finish().await;
    upstream.await.unwrap();
    assert_eq!(task.await.unwrap().end, End::MessageRate(Side::Client));
}
