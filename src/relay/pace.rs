//! The limits of one direction of a session: how many of the bytes at hand may pass now, and what is
//! kept until the rest may.
//!
//! To wait is backpressure: the leg is not read, what had been read (one read, and a small one if the
//! direction was throttled before) is kept, and goes on first. `cashier` counts; nothing is judged here.

use super::bucket::Bucket;
use super::cashier::{Admitted, Cashier};
use super::deadlines::Tick;
use super::direction::Direction;
use super::heartbeat::Pulse;
use super::limit::Limit;
use super::session::Way;
use crate::frame::Sender;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much one read takes from a limited leg: what may not pass yet becomes the session's own memory.
pub(super) const READ_SIZE_FOR_LIMITED: usize = 64 * 1024;

/// How much, if of the last one not all could pass.
pub(super) const READ_SIZE_FOR_THROTTLED: usize = 16 * 1024;

/// What a session has of the limits of its route.
#[derive(Debug)]
pub(super) struct Pacing {
    /// One for each limit.
    buckets: Box<[Bucket]>,
    /// Whose tokens are taken where they are shared.
    account: u64,
    to_upstream: Option<Pace>,
    to_client: Option<Pace>,
}

/// A direction that has limits.
#[derive(Debug)]
pub(super) struct Pace {
    /// For each limit of the route, what was taken and not yet spent.
    credits: Box<[u64]>,
    /// What waits: empty, and then without heap, unless the direction is throttled.
    held: Vec<u8>,
    throttled_since: Instant,
    /// For how long it has been throttled, those waits that are over.
    throttled: Duration,
    /// When it was last throttled.
    last_throttled: Tick,
    /// Of what was last read not all could pass.
    was_throttled: bool,
    /// Made when it is first needed.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// A direction that has limits, with the tokens that it shares with the other one.
pub(super) struct Paced<'a> {
    pub(super) pace: &'a mut Pace,
    buckets: &'a mut [Bucket],
    account: u64,
}

impl Pacing {
    /// For a session under `limits`, if there are any.
    pub(super) fn new(limits: &[Limit], account: u64) -> Option<Box<Self>> {
        if limits.is_empty() {
            return None;
        }
        let now = Instant::now();
        let bucket = |limit: &Limit| Bucket::new(limit.quota, now);
        Some(Box::new(Self {
            buckets: limits.iter().map(bucket).collect(),
            account,
            to_upstream: Pace::new(limits, Sender::Client, now),
            to_client: Pace::new(limits, Sender::Server, now),
        }))
    }

    pub(super) const fn of(&self, way: Way) -> Option<&Pace> {
        match way {
            Way::ToUpstream => self.to_upstream.as_ref(),
            Way::ToClient => self.to_client.as_ref(),
        }
    }

    pub(super) fn of_mut(&mut self, way: Way) -> Option<Paced<'_>> {
        let pace = match way {
            Way::ToUpstream => self.to_upstream.as_mut(),
            Way::ToClient => self.to_client.as_mut(),
        };
        pace.map(|pace| Paced {
            pace,
            buckets: &mut self.buckets,
            account: self.account,
        })
    }

    /// Nothing is waited for any more, and what was kept is dropped.
    pub(super) fn stop(&mut self, now: Tick) {
        for pace in [&mut self.to_upstream, &mut self.to_client] {
            pace.as_mut().map(|pace| pace.release(now));
        }
    }
}

impl Paced<'_> {
    /// How many of `bytes` may pass in `direction`. Of `pulse` is known which pongs the gateway
    /// itself has asked for: they cost nothing.
    pub(super) fn admit(
        &mut self,
        limits: &[Limit],
        direction: &Direction,
        bytes: &[u8],
        pulse: &mut Pulse,
    ) -> Admitted {
        let cashier = Cashier {
            limits,
            buckets: self.buckets,
            credits: &mut self.pace.credits,
            sender: direction.sender(),
            account: self.account,
            now: Instant::now(),
        };
        cashier.admit(bytes, direction.left_of_frame(), pulse)
    }
}

impl Pace {
    fn new(limits: &[Limit], sender: Sender, now: Instant) -> Option<Self> {
        let is_limited = limits.iter().any(|limit| limit.concerns(sender));
        is_limited.then(|| Self {
            credits: vec![0; limits.len()].into(),
            held: Vec::new(),
            throttled_since: now,
            throttled: Duration::ZERO,
            last_throttled: Tick::START,
            was_throttled: false,
            alarm: None,
        })
    }

    /// Whether bytes wait, so that the leg is not read.
    pub(super) const fn is_throttled(&self) -> bool {
        !self.held.is_empty()
    }

    /// How many bytes are kept.
    #[cfg(test)]
    pub(super) const fn held(&self) -> usize {
        self.held.len()
    }

    /// How much may be read at once.
    pub(super) const fn read_size(&self) -> usize {
        if self.was_throttled {
            READ_SIZE_FOR_THROTTLED
        } else {
            READ_SIZE_FOR_LIMITED
        }
    }

    /// Something was read, and what could pass has passed.
    pub(super) const fn has_read(&mut self) {
        self.was_throttled = self.is_throttled();
    }

    /// For how long the direction has been throttled, but for a wait that goes on.
    pub(super) const fn throttled(&self) -> Duration {
        self.throttled
    }

    /// When it was last throttled, the tick being `now`.
    pub(super) const fn last_throttled(&self, now: Tick) -> Tick {
        if self.is_throttled() {
            now
        } else {
            self.last_throttled
        }
    }

    /// Keeps these bytes for so long.
    pub(super) fn hold(&mut self, bytes: &[u8], wait: Duration) {
        let now = Instant::now();
        self.held = bytes.to_vec();
        self.throttled_since = now;
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().reset(now + wait),
            none => *none = Some(Box::pin(sleep_until(now + wait))),
        }
    }

    /// Ready when it is worth to try again.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(alarm) = &mut self.alarm {
            ready!(alarm.as_mut().poll(cx));
        }
        Poll::Ready(())
    }

    /// Gives the kept bytes back: the wait is over.
    pub(super) fn release(&mut self, now: Tick) -> Vec<u8> {
        if self.is_throttled() {
            self.throttled += self.throttled_since.elapsed();
            self.last_throttled = now;
        }
        std::mem::take(&mut self.held)
    }
}
