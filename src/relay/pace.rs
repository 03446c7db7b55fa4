//! The limits of one direction of a session: how many of the bytes at hand may pass now, and what is
//! kept until the rest may.
//!
//! To wait is backpressure: the leg is not read, what had been read (one small read) is kept, and
//! goes on first. `cashier` counts; nothing is judged here.

use super::cashier::{Admitted, Cashier, Purse};
use super::deadlines::Tick;
use super::heartbeat::Pulse;
use super::limit::Limit;
use super::rules::Rules;
use super::session::Way;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much one read takes from a limited leg: what may not pass yet becomes the session's own memory.
pub(super) const READ_SIZE_FOR_LIMITED: usize = 16 * 1024;

/// The limits of both directions.
#[derive(Debug)]
pub(super) struct Pacing {
    to_upstream: Option<Pace>,
    to_client: Option<Pace>,
}

impl Pacing {
    /// What `rules` limit, if anything.
    pub(super) fn new(rules: &Rules, account: u64) -> Option<Box<Self>> {
        let pacing = Self {
            to_upstream: Pace::new(&rules.from_client, account),
            to_client: Pace::new(&rules.from_upstream, account),
        };
        let has_limits = pacing.to_upstream.is_some() || pacing.to_client.is_some();
        has_limits.then(|| Box::new(pacing))
    }

    pub(super) const fn of(&self, way: Way) -> Option<&Pace> {
        match way {
            Way::ToUpstream => self.to_upstream.as_ref(),
            Way::ToClient => self.to_client.as_ref(),
        }
    }

    pub(super) const fn of_mut(&mut self, way: Way) -> Option<&mut Pace> {
        match way {
            Way::ToUpstream => self.to_upstream.as_mut(),
            Way::ToClient => self.to_client.as_mut(),
        }
    }

    /// Nothing is waited for any more, and what was kept is dropped.
    pub(super) fn stop(&mut self, now: Tick) {
        for pace in [&mut self.to_upstream, &mut self.to_client] {
            pace.as_mut().map(|pace| pace.release(now));
        }
    }
}

/// A direction that has limits.
#[derive(Debug)]
pub(super) struct Pace {
    purses: Box<[Purse]>,
    /// Whose tokens are taken where they are shared.
    account: u64,
    /// What waits: empty, and then without heap, unless the direction is throttled.
    held: Vec<u8>,
    throttled_since: Instant,
    /// For how long it has been throttled, those waits that are over.
    throttled: Duration,
    /// When it was last throttled.
    last_throttled: Tick,
    /// Made when it is first needed.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// For a direction under `limits`, if there are any.
    fn new(limits: &[Limit], account: u64) -> Option<Self> {
        let now = Instant::now();
        (!limits.is_empty()).then(|| Self {
            purses: limits.iter().map(|limit| Purse::new(limit, now)).collect(),
            account,
            held: Vec::new(),
            throttled_since: now,
            throttled: Duration::ZERO,
            last_throttled: Tick::START,
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

    /// How many of `bytes` may pass. `left` of them belong to the frame under way; of `pulse` is
    /// known which pongs were asked for by the gateway, and cost nothing.
    pub(super) fn admit(
        &mut self,
        limits: &[Limit],
        bytes: &[u8],
        left: u64,
        pulse: &mut Pulse,
    ) -> Admitted {
        let purses = &mut self.purses;
        Cashier::new(purses, limits, self.account).admit(bytes, left, pulse)
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
