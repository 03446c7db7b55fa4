//! Limits of what may pass: nothing is lost by waiting, nobody gets more than the limit, and who is
//! kept waiting is not blamed for it.

mod any;
mod excess;
mod flow;
mod patience;

use super::*;
use crate::frame::Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
use crate::relay::pace::{READ_SIZE_FOR_LIMITED, READ_SIZE_FOR_THROTTLED};
use crate::relay::session::{Session, Way};
use crate::relay::{
    CloseOrder, End, GatewayEnd, LegOutcome, Limit, Loss, Meter, OnExceed, Quota, Senders, Share,
    Side, Unit,
};
use bytes::Bytes;
use std::sync::Mutex;
use std::task::Waker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

fn limit(counts: Unit, per_second: u64, burst: u64, on_exceed: OnExceed) -> Limit {
    Limit {
        from: Senders::Client,
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
        limits: vec![limit],
        ..lenient()
    }
}

fn upstream_may(limit: Limit) -> Rules {
    Rules {
        limits: vec![Limit {
            from: Senders::Upstream,
            ..limit
        }],
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

/// All accounts have a burst, and what comes in a minute is more.
#[derive(Debug)]
struct Jar(Mutex<std::collections::HashMap<u64, (u64, Instant)>>);

const JAR: u64 = 10;

impl Meter for Jar {
    fn take(&self, account: u64, tokens: u64) -> Result<(), Duration> {
        assert!(tokens <= JAR);
        let mut accounts = self.0.lock().unwrap();
        let (left, since) = accounts
            .entry(account)
            .or_insert_with(|| (JAR, Instant::now()));
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
