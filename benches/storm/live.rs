//! Sessions that talk all the time, and how long they wait for each answer.
//!
//! The clock of a message starts when it was due, not when it could be sent: an answer that is late
//! makes the messages behind it late too, as a user would notice.

use crate::client::{Attempt, Dialer};
use crate::gateway::LIVE_USER;
use crate::rig::Failure;
use crate::rig::random::Random;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::client::TlsStream;

const PAYLOAD: usize = 125;
/// A masked frame of that length, and the bare one that comes back.
const FRAME: usize = 2 + 4 + PAYLOAD;
const ECHO: usize = 2 + PAYLOAD;
const OPENED_AT_ONCE: usize = 50;
const ALL_TALK_WITHIN: Duration = Duration::from_secs(120);

/// What the talking sessions have seen.
#[derive(Debug, Default)]
pub(crate) struct Live {
    talking: AtomicUsize,
    is_over: AtomicBool,
    slowest_us: AtomicU64,
    waited: Mutex<Vec<Duration>>,
}

impl Live {
    /// Waits until `count` sessions talk.
    pub(crate) async fn all_talk(&self, count: usize) -> Result<(), Failure> {
        let all = async {
            while self.talking.load(Ordering::Relaxed) < count {
                sleep(Duration::from_millis(20)).await;
            }
        };
        Ok(timeout(ALL_TALK_WITHIN, all).await?)
    }

    /// How long each answer took since the last time, in order of length.
    pub(crate) fn take(&self) -> Vec<Duration> {
        self.slowest_us.store(0, Ordering::Relaxed);
        let mut waited = std::mem::take(&mut *self.lock());
        waited.sort_unstable();
        waited
    }

    /// From now on sessions may end.
    pub(crate) fn over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn slowest(&self) -> Duration {
        Duration::from_micros(self.slowest_us.load(Ordering::Relaxed))
    }

    fn note(&self, waited: Duration) {
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.slowest_us.fetch_max(us, Ordering::Relaxed);
        self.lock().push(waited);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Duration>> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens `count` sessions and lets them talk; ends only if one of them does too early.
pub(crate) async fn run(
    dialer: Dialer,
    count: usize,
    live: std::sync::Arc<Live>,
) -> Result<(), Failure> {
    let mut talks = JoinSet::new();
    let mut opening = JoinSet::new();
    for _ in 0..count {
        if opening.len() == OPENED_AT_ONCE
            && let Some(stream) = opening.join_next().await
        {
            talks.spawn(talk(stream??, live.clone()));
        }
        let dialer = dialer.clone();
        opening.spawn(async move { open(&dialer).await });
    }
    while let Some(stream) = opening.join_next().await {
        talks.spawn(talk(stream??, live.clone()));
    }
    match talks.join_next().await {
        Some(ended) if !live.is_over.load(Ordering::Relaxed) => ended?,
        _ => std::future::pending().await,
    }
}

async fn open(dialer: &Dialer) -> Result<TlsStream<TcpStream>, Failure> {
    match dialer.attempt(LIVE_USER).await? {
        Attempt::Entered(stream) => Ok(*stream),
        Attempt::Refused { status, .. } => Err(format!("refused with {status}").into()),
    }
}

/// A message every 100 to 200 ms, to the end of the process.
async fn talk(mut stream: TlsStream<TcpStream>, live: std::sync::Arc<Live>) -> Result<(), Failure> {
    let mut frame = [0x5A; FRAME];
    frame[..2].copy_from_slice(&[0x82, 0x80 | PAYLOAD as u8]);
    let mut echo = [0; ECHO];
    let mut pause = Pauses::new();
    let mut due = Instant::now() + pause.next();
    live.talking.fetch_add(1, Ordering::Relaxed);
    loop {
        sleep_until(due).await;
        stream.write_all(&frame).await?;
        stream.flush().await?;
        stream.read_exact(&mut echo).await?;
        if echo[..2] != [0x82, PAYLOAD as u8] {
            return Err(format!("a session was answered {:?}", &echo[..16]).into());
        }
        live.note(due.elapsed());
        due += pause.next();
    }
}

/// Between 100 and 200 ms, so that sessions don't march in step.
pub(crate) struct Pauses(Random);

impl Pauses {
    pub(crate) fn new() -> Self {
        let key = wsgate::http::fresh_key();
        let seed = key.bytes().fold(1, |seed: u64, byte| {
            seed.wrapping_mul(31).wrapping_add(byte.into())
        });
        Self(Random::new(seed))
    }

    fn next(&mut self) -> Duration {
        Duration::from_micros(100_000 + self.below(100_000))
    }

    /// From 0 up to `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.below(limit)
    }
}
