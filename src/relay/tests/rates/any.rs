//! Random traffic under random limits, in pieces as odd as a seed wants. A failing seed replays exactly.

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

/// A few of each kind, for one direction or both.
fn limits(random: &mut Random) -> Vec<Limit> {
    let mut limits = Vec::new();
    for _ in 0..random.below(4) {
        let limit = if random.below(2) == 0 {
            let (rate, burst) = (1 + random.below(300), 1 + random.below(100));
            throttle(Unit::Frames, rate as u64, burst as u64)
        } else {
            let (rate, burst) = (100 + random.below(100_000), 1 + random.below(50_000));
            throttle(Unit::Bytes, rate as u64, burst as u64)
        };
        let from = [Senders::Client, Senders::Upstream, Senders::Both][random.below(3)];
        limits.push(Limit { from, ..limit });
    }
    limits
}

async fn send_oddly(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], mut random: Random) {
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

/// What may have been granted while something else was missing.
fn slack(limit: &Limit, all: &[Limit]) -> f64 {
    let alike = all.iter().filter(|other| other.counts == limit.counts);
    match (limit.counts, alike.count()) {
        (Unit::Frames, _) => 2.0,
        (Unit::Bytes, 1) => 2.0 * 125.0,
        (Unit::Bytes, _) => 2.0 * READ_SIZE_FOR_LIMITED as f64,
    }
}

/// In no span of time more than the burst, what the rate gives in it, and `slack`.
#[track_caller]
fn check(limit: &Limit, slack: f64, counts: &[(Instant, f64, f64)], seed: u64) {
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
            limits: limits(&mut random),
            ..lenient()
        };
        let limits = rules.limits.clone();
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
        for (arrivals, sent) in [(&at_upstream, &up), (&at_client, &down)] {
            let all: Vec<u8> = arrivals
                .iter()
                .flat_map(|(_, bytes)| bytes.clone())
                .collect();
            assert!(all == *sent, "seed {seed}: {} of {}", all.len(), sent.len());
        }
        let counts = [count(&at_upstream), count(&at_client)];
        for limit in &limits {
            let mut concerned = match limit.from {
                Senders::Client => counts[0].clone(),
                Senders::Upstream => counts[1].clone(),
                Senders::Both => counts.concat(),
            };
            concerned.sort_by_key(|(at, ..)| *at);
            check(limit, slack(limit, &limits), &concerned, seed);
        }
        let sum = courses.sum();
        throttled += (sum.to_upstream.throttled + sum.to_client.throttled).as_secs();
    }
    assert!(throttled > 60, "{throttled} s: the limits were not tried");
}
