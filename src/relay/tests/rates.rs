//! Limits of what may pass: nothing is lost by waiting, nobody gets more than the limit, and who is
//! kept waiting is not blamed for it.

use super::*;
use crate::frame::Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
use crate::relay::pace::READ_SIZE_FOR_LIMITED;
use crate::relay::session::{Session, Way};
use crate::relay::{
    CloseOrder, End, GatewayEnd, LegOutcome, Limit, Loss, Meter, OnExceed, Quota, Share, Side, Unit,
};
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Waker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

fn limit(counts: Unit, per_second: u64, burst: u64, on_exceed: OnExceed) -> Limit {
    Limit {
        counts,
        quota: Quota::new(per_second, Duration::from_secs(1), burst),
        on_exceed,
        share: Share::Own,
    }
}

fn throttle(counts: Unit, per_second: u64, burst: u64) -> Limit {
    limit(counts, per_second, burst, OnExceed::Throttle)
}

fn close(counts: Unit, per_second: u64, burst: u64) -> Limit {
    limit(counts, per_second, burst, OnExceed::Close)
}

fn client_may(limit: Limit) -> Rules {
    Rules {
        from_client: vec![limit],
        ..lenient()
    }
}

fn upstream_may(limit: Limit) -> Rules {
    Rules {
        from_upstream: vec![limit],
        ..lenient()
    }
}

/// So many of the same frame.
fn many(frame: &[u8], count: usize) -> Vec<u8> {
    frame.repeat(count)
}

/// How many bytes arrive now, without waiting.
async fn arriving(peer: &mut Peer) -> usize {
    settle().await;
    let mut room = vec![0; 1 << 20];
    let reading = peer.stream.read(&mut room);
    timeout(Duration::ZERO, reading)
        .await
        .map_or(0, Result::unwrap)
}

mod flow {
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

    #[tokio::test]
    async fn what_waits_is_one_small_read_and_then_nothing() {
        let (client, client_end, _) = TestStream::pair(1 << 20);
        let (_upstream, upstream_end, _) = TestStream::pair(1 << 20);
        let mut client = Peer::client(client);
        let mut session = Session::new(
            client_end,
            upstream_end,
            Early::default(),
            Courses::new(Arc::new(client_may(throttle(Unit::Frames, 1, 100)))).of(0),
            Negotiated::default(),
            0,
            Arc::new(Control::new()),
        );
        let mut poll = || {
            let polled = Pin::new(&mut session).poll(&mut Context::from_waker(Waker::noop()));
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
    }
}

mod excess {
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
}

mod patience {
    use super::*;

    /// A client that has sent far more than it may, of which one frame has passed.
    async fn throttled(rules: Rules) -> Rig {
        let slow = Limit {
            quota: Quota::new(1, Duration::from_hours(1), 1),
            ..throttle(Unit::Frames, 1, 1)
        };
        let rules = Rules {
            from_client: vec![slow],
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
}

/// All accounts have a burst, and what comes in a minute is more.
#[derive(Debug)]
struct Jar(Mutex<std::collections::HashMap<u64, (u64, Instant)>>);

const JAR: u64 = 10;

impl Meter for Jar {
    fn take(&self, account: u64, tokens: u64) -> Result<(), Duration> {
        assert!(tokens <= JAR);
        let mut accounts = self.0.lock().unwrap();
        let (left, since) = accounts.entry(account).or_insert((JAR, Instant::now()));
        let minute = Duration::from_secs(60);
        if since.elapsed() >= minute {
            (*left, *since) = (JAR, Instant::now());
        }
        if tokens > *left {
            return Err(minute - since.elapsed());
        }
        *left -= tokens;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_of_one_account_share_its_tokens() {
    let jar = Arc::new(Jar(Mutex::default()));
    let shared = Limit {
        quota: Quota::new(JAR, Duration::from_secs(60), JAR),
        share: Share::Account(jar),
        ..throttle(Unit::Frames, 1, 1)
    };
    let courses = Courses::new(Arc::new(client_may(shared)));
    let mut upstreams = Vec::new();
    let mut clients = Vec::new();
    for account in [1, 1, 2] {
        let (client, client_end, _) = TestStream::pair(1 << 20);
        let (upstream, upstream_end, _) = TestStream::pair(1 << 20);
        let control = Arc::new(Control::new());
        tokio::spawn(relay(
            client_end,
            upstream_end,
            Early::default(),
            courses.of(0),
            Negotiated::default(),
            account,
            control,
        ));
        let mut client = Peer::client(client);
        let frame = client.frame(Text, b"x");
        client.send(&many(&frame, 100)).await;
        clients.push(client);
        upstreams.push(Peer::server(upstream));
    }
    for _ in 0..3 {
        let mut counts = Vec::new();
        for upstream in &mut upstreams {
            counts.push(arriving(upstream).await as u64 / 7);
        }
        assert_eq!((counts[0] + counts[1], counts[2]), (JAR, JAR), "{counts:?}");
        after(60).await;
    }
}

mod any {
    use super::*;
    use crate::frame::Header;
    use stream::Random;

    /// What arrived, and when.
    type Arrivals = Vec<(Instant, Vec<u8>)>;

    fn traffic(peer: &Peer, random: &mut Random) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..random.below(60) {
            let most = [1, 10, 126, 700, 40_000][random.below(5)];
            let payload = vec![b'x'; random.below(most)];
            let opcode = [Binary, Text, Ping, Pong][random.below(4)];
            let payload = match opcode {
                Ping | Pong => &payload[..payload.len().min(125)],
                _ => &payload[..],
            };
            bytes.extend(peer.frame(opcode, payload));
        }
        bytes.extend(peer.close_frame(1000, ""));
        bytes
    }

    fn limits(random: &mut Random) -> Vec<Limit> {
        let mut limits = Vec::new();
        if random.below(3) > 0 {
            let (rate, burst) = (1 + random.below(300), 1 + random.below(100));
            limits.push(throttle(Unit::Frames, rate as u64, burst as u64));
        }
        if random.below(3) > 0 {
            let (rate, burst) = (100 + random.below(100_000), 1 + random.below(50_000));
            limits.push(throttle(Unit::Bytes, rate as u64, burst as u64));
        }
        limits
    }

    async fn send_oddly(
        stream: &mut (impl AsyncWriteExt + Unpin),
        bytes: &[u8],
        mut random: Random,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = [3, 100, 3000, 60_000][random.below(4)];
            let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(most)));
            stream.write_all(piece).await.unwrap();
            rest = behind;
            if random.below(10) == 0 {
                tokio::time::sleep(Duration::from_millis(random.next() % 500)).await;
            }
        }
    }

    async fn receive(stream: &mut (impl AsyncReadExt + Unpin)) -> Arrivals {
        let mut arrivals = Vec::new();
        let mut room = vec![0; 1 << 20];
        loop {
            let len = stream.read(&mut room).await.unwrap();
            if len == 0 {
                return arrivals;
            }
            arrivals.push((Instant::now(), room[..len].to_vec()));
        }
    }

    /// Frames (by the end of their headers) and bytes of payload in each arrival; the Close is free.
    fn count(arrivals: &Arrivals) -> Vec<(Instant, f64, f64)> {
        let (mut counts, mut seen, mut left, mut is_free) = (Vec::new(), Vec::new(), 0, false);
        for (at, bytes) in arrivals {
            seen.extend_from_slice(bytes);
            let (mut frames, mut payload) = (0, 0);
            loop {
                let here = left.min(seen.len());
                payload += if is_free { 0 } else { here };
                left -= here;
                seen.drain(..here);
                let Ok(Some(header)) = Header::parse(&seen) else {
                    break;
                };
                seen.drain(..header.header_len);
                left = header.payload_len as usize;
                is_free = header.opcode == Close;
                frames += usize::from(!is_free);
            }
            counts.push((*at, frames as f64, payload as f64));
        }
        counts
    }

    /// In no span of time more than the burst, what the rate gives in it, and `slack`.
    #[track_caller]
    fn check(limit: &Limit, counts: &[(Instant, f64, f64)], seed: u64) {
        let slack = match limit.counts {
            Unit::Frames => 1.0,
            Unit::Bytes => 125.0,
        };
        let most = limit.quota.burst() as f64 + slack;
        let (mut level, mut before) = (most, None::<Instant>);
        for (at, frames, bytes) in counts {
            let passed = before.map_or(0.0, |before| (*at - before).as_secs_f64());
            before = Some(*at);
            level = most.min(level + passed * limit.quota.per_second());
            level -= match limit.counts {
                Unit::Frames => frames,
                Unit::Bytes => bytes,
            };
            assert!(level > -0.01, "seed {seed}: {level} under {limit:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn limits_and_pieces_lose_nothing_and_admit_no_more_than_they_say() {
        let mut throttled = 0;
        for seed in 0..60 {
            let mut random = Random(seed);
            let rules = Rules {
                close: Duration::from_hours(24),
                from_client: limits(&mut random),
                from_upstream: limits(&mut random),
                ..lenient()
            };
            let both = [rules.from_client.clone(), rules.from_upstream.clone()];
            let (client, client_end, _) = TestStream::pair(1 << 20);
            let (upstream, upstream_end, _) = TestStream::pair(1 << 20);
            let courses = Courses::new(Arc::new(rules));
            let task = tokio::spawn(relay(
                client_end.chopped(random.next()),
                upstream_end.chopped(random.next()),
                Early::default(),
                courses.of(0),
                Negotiated::default(),
                0,
                Arc::new(Control::new()),
            ));
            let up = traffic(&Peer::client(tokio::io::duplex(1).0), &mut random);
            let down = traffic(&Peer::server(tokio::io::duplex(1).0), &mut random);
            let (mut from_client, mut to_client) = tokio::io::split(client);
            let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream);
            let (_, _, at_upstream, at_client, outcome) = tokio::join!(
                send_oddly(&mut to_client, &up, Random(random.next())),
                send_oddly(&mut to_upstream, &down, Random(random.next())),
                receive(&mut from_upstream),
                receive(&mut from_client),
                task,
            );
            outcome.unwrap();
            let arrived = [at_upstream, at_client];
            for ((arrivals, sent), limits) in arrived.iter().zip([&up, &down]).zip(&both) {
                let all: Vec<u8> = arrivals
                    .iter()
                    .flat_map(|(_, bytes)| bytes.clone())
                    .collect();
                assert!(all == *sent, "seed {seed}: {} of {}", all.len(), sent.len());
                let counts = count(arrivals);
                limits.iter().for_each(|limit| check(limit, &counts, seed));
            }
            let sum = courses.sum();
            throttled += (sum.to_upstream.throttled + sum.to_client.throttled).as_secs();
        }
        assert!(throttled > 60, "{throttled} s: the limits were not tried");
    }
}
