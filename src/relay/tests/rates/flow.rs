//! Waiting: nothing is lost, the other direction flows, and the rate is what was asked for.

use super::*;

/// A whole frame each: control frames, empty ones, and fragments of a byte.
fn floods(peer: &Peer) -> Vec<Vec<u8>> {
    vec![
        peer.frame(Ping, b""),
        peer.frame(Pong, b""),
        peer.frame(Text, b""),
        peer.frame(Binary, b"x"),
    ]
}

#[tokio::test(start_paused = true)]
async fn floods_of_pings_pongs_empty_and_tiny_frames_wait_in_line() {
    for kind in 0..4 {
        let rules = client_may(throttle(Unit::Frames, 50, 100));
        let mut rig = Rig::with(rules, Negotiated::default(), Early::default(), 1 << 16);
        let frame = &floods(&rig.client)[kind];
        let flood = many(frame, 100_000);
        let (_reading, mut writing) = tokio::io::split(rig.client.stream);
        let flooding = tokio::spawn(async move { writing.write_all(&flood).await });
        assert_eq!(arriving(&mut rig.upstream).await, 100 * frame.len());
        for _ in 0..10 {
            after(10).await;
            let frames = arriving(&mut rig.upstream).await / frame.len();
            assert!((499..=501).contains(&frames), "{frames}");
        }
        assert!(!flooding.is_finished(), "the client is not read meanwhile");
        assert!(!rig.task.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn every_fragment_counts_as_a_frame() {
    let mut rig = Rig::new(client_may(throttle(Unit::Frames, 10, 20)));
    let first = rig.client.fragment(Text, false, b"a");
    let fragment = rig.client.fragment(Continuation, false, b"b");
    let all = [first, many(&fragment, 1000)].concat();
    rig.client.send(&all).await;
    assert_eq!(arriving(&mut rig.upstream).await, 20 * fragment.len());
    after(10).await;
    assert_eq!(arriving(&mut rig.upstream).await, 100 * fragment.len());
}

#[tokio::test(start_paused = true)]
async fn a_frame_larger_than_the_burst_passes_in_pieces() {
    let mut rig = Rig::new(client_may(throttle(Unit::Bytes, 10_000, 2000)));
    let frame = rig.client.frame(Binary, &[7; 50_000]);
    rig.client.send(&frame).await;
    let begun = Instant::now();
    assert!(arriving(&mut rig.upstream).await <= 2000 + 8);
    let mut rest = vec![0; 48_000];
    rig.upstream.stream.read_exact(&mut rest).await.unwrap();
    let took = begun.elapsed().as_secs_f64();
    assert!((4.7..5.0).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_larger_than_the_burst_passes_too() {
    let mut rig = Rig::new(client_may(throttle(Unit::Bytes, 10, 20)));
    let ping = rig.client.frame(Ping, &[1; 125]);
    rig.client.send(&ping).await;
    rig.upstream.expect(&ping).await;
}

#[tokio::test(start_paused = true)]
async fn high_rates_are_reached_although_the_burst_is_small() {
    for per_second in [90, 1000, 20_000] {
        let mut rig = Rig::new(client_may(throttle(Unit::Frames, per_second, 2)));
        let frame = rig.client.frame(Text, b"x");
        let seconds = 5;
        let flood = many(&frame, (seconds * per_second) as usize);
        let begun = Instant::now();
        let mut received = vec![0; flood.len()];
        let (_, read) = tokio::join!(
            rig.client.send(&flood),
            rig.upstream.stream.read_exact(&mut received)
        );
        read.unwrap();
        let took = begun.elapsed().as_secs_f64();
        assert!((4.9..5.6).contains(&took), "{per_second}/s: {took}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_handshake_counts() {
    let client = Peer::client(tokio::io::duplex(1).0);
    let frame = client.frame(Text, b"early");
    let early = Early {
        from_client: Bytes::from(many(&frame, 50)),
        ..Early::default()
    };
    let rules = client_may(throttle(Unit::Frames, 1, 10));
    let mut rig = Rig::with(rules, Negotiated::default(), early, 1 << 20);
    assert_eq!(arriving(&mut rig.upstream).await, 10 * frame.len());
    let mut rest = vec![0; 40 * frame.len()];
    rig.upstream.stream.read_exact(&mut rest).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_other_direction_flows_meanwhile() {
    let mut rig = Rig::new(client_may(throttle(Unit::Frames, 1, 1)));
    let frame = rig.client.frame(Text, b"x");
    rig.client.send(&many(&frame, 500)).await;
    for _ in 0..200 {
        rig.upstream.send_frame(Text, b"news").await;
        assert_eq!(rig.client.read_frame().await.payload, b"news");
    }
    assert!(!rig.is_over());
}

#[tokio::test(start_paused = true)]
async fn upstreams_are_limited_likewise() {
    let mut rig = Rig::new(upstream_may(throttle(Unit::Bytes, 1000, 5000)));
    let frame = rig.upstream.frame(Binary, &[1; 1000]);
    rig.upstream.send(&many(&frame, 100)).await;
    let at_once = arriving(&mut rig.client).await;
    assert!((5 * 1000..5 * 1004 + 200).contains(&at_once), "{at_once}");
    after(20).await;
    let later = arriving(&mut rig.client).await;
    assert!((19_900..20_300).contains(&later), "{later}");
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_end_arrives_before_the_end() {
    let mut rig = Rig::new(client_may(throttle(Unit::Frames, 1, 1)));
    let frame = rig.client.frame(Text, b"x");
    rig.client.send(&many(&frame, 30)).await;
    rig.client.finish().await;
    assert_eq!(rig.upstream.read_rest().await, many(&frame, 30));
    rig.upstream.finish().await;
    let outcome = rig.outcome().await;
    assert_eq!(outcome.end, End::ClientLost(Loss::Eof));
    assert_eq!(outcome.to_upstream.messages, 30);
    assert!((28..=30).contains(&outcome.duration.as_secs()));
}

#[tokio::test(start_paused = true)]
async fn waiting_is_told_as_throttled_time() {
    let mut rig = Rig::new(client_may(throttle(Unit::Frames, 1, 1)));
    let frame = rig.client.frame(Text, b"x");
    rig.client.send(&many(&frame, 11)).await;
    rig.upstream.expect(&many(&frame, 11)).await;
    after(60).await;
    let sum = rig.courses.sum();
    assert_eq!(sum.to_upstream.throttled.as_secs(), 10);
    assert!(sum.to_client.throttled.is_zero() && sum.to_upstream.blocked.is_zero());
    rig.client.send(&many(&frame, 100)).await;
    after(20).await;
    rig.task.abort();
    assert!(rig.task.await.unwrap_err().is_cancelled());
    let throttled = rig.courses.sum().to_upstream.throttled.as_secs();
    assert!((29..=30).contains(&throttled), "{throttled}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_one_read_and_then_a_smaller_one() {
    let (client, client_end, _) = TestStream::pair(1 << 20);
    let (_upstream, upstream_end, _) = TestStream::pair(1 << 20);
    let mut client = Peer::client(client);
    let mut session = Session::new(
        client_end,
        upstream_end,
        Early::default(),
        Courses::new(Arc::new(client_may(throttle(Unit::Frames, 1000, 100)))).of(0),
        Negotiated::default(),
        0,
    );
    let control = Control::new();
    let mut poll = || {
        let polled = session.poll(&mut Context::from_waker(Waker::noop()), &control);
        assert!(polled.is_pending());
        session.pace(Way::ToUpstream).unwrap().held()
    };
    client.send_frame(Text, b"hello").await;
    assert_eq!(poll(), 0);
    let frame = client.frame(Text, b"x");
    client.send(&many(&frame, 50_000)).await;
    let held = poll();
    assert!((1..=READ_SIZE_FOR_LIMITED).contains(&held), "{held}");
    assert_eq!(poll(), held);
    let mut most = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let held = poll();
        most = if held < 1000 { 0 } else { held.max(most) };
    }
    assert!((1000..=READ_SIZE_FOR_THROTTLED).contains(&most), "{most}");
}
