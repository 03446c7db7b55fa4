//! The rates of a route: how much may pass from one leg, and what becomes of the rest.

use crate::frame::Sender;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// How much may pass.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Whose frames count.
    pub from: Senders,
    /// What is counted.
    pub counts: Unit,
    /// How much of it.
    pub quota: Quota,
    /// What becomes of the rest.
    pub on_exceed: OnExceed,
    /// Who counts together.
    pub share: Share,
}

/// Whose frames a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Senders {
    /// The client's.
    Client,
    /// The upstream's.
    Upstream,
    /// Those of both, together.
    Both,
}

impl Limit {
    /// Whether the frames of `sender` count.
    pub(super) const fn concerns(&self, sender: Sender) -> bool {
        match self.from {
            Senders::Client => matches!(sender, Sender::Client),
            Senders::Upstream => matches!(sender, Sender::Server),
            Senders::Both => true,
        }
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Frames, whether they hold data or are pings and pongs: fragments of a byte, and frames of
    /// none, are work as well. A Close is free, as nothing comes behind it.
    Frames,
    /// Bytes of payload.
    Bytes,
}

/// What becomes of what is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExceed {
    /// It waits, and the leg is not read meanwhile. Nothing is lost.
    Throttle,
    /// The session ends with 1008 before the first frame that is too much.
    Close,
}

/// Who counts together.
#[derive(Debug, Clone)]
pub enum Share {
    /// Each session for itself.
    Own,
    /// All sessions that were given the same account.
    Account(Arc<dyn Meter>),
}

/// Tokens that many sessions take from.
pub trait Meter: Debug + Send + Sync {
    /// Takes `tokens`, never more than the quota's burst, or says how long it will be until they
    /// may be there.
    ///
    /// # Errors
    /// The time to wait; nothing was taken.
    fn take(&self, account: u64, tokens: u64) -> Result<(), Duration>;
}

/// Tokens that come back at a steady rate, up to a most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    per_second: f64,
    burst: u64,
}

impl Quota {
    /// `tokens` in each `period`, and `burst` at once after a pause.
    ///
    /// A throttled session sleeps between its turns, so `burst` is at least what comes in
    /// ten milliseconds; with less, the rate would not be reached. Nor is it more than what comes in
    /// ten years, which clocks can count.
    pub fn new(tokens: u64, period: Duration, burst: u64) -> Self {
        let per_second = tokens.max(1) as f64 / period.as_secs_f64().max(1e-3);
        let in_a_turn = (per_second * TURN.as_secs_f64()).ceil() as u64;
        let in_years = (per_second * 3e8) as u64;
        Self {
            per_second,
            burst: burst.min(in_years).max(in_a_turn).max(1),
        }
    }

    /// How many tokens there are after a pause.
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// How many come in a second.
    pub(super) const fn per_second(self) -> f64 {
        self.per_second
    }

    /// How long it takes until so many have come.
    pub(super) fn time_for(self, tokens: f64) -> Duration {
        let time = Duration::try_from_secs_f64(tokens / self.per_second);
        time.map_or(LONGEST, |time| LONGEST.min(time + Duration::from_nanos(1)))
    }

    /// How long a session that waits sleeps at least, so that it does not wake for each token: half
    /// of the burst may come meanwhile, and the other half while it wakes.
    pub(super) fn nap(self) -> Duration {
        TURN.min(self.time_for(self.burst as f64 / 2.0))
    }

    /// How many tokens are waited for together if more are wanted than are there.
    pub(super) fn portion(self) -> u64 {
        let in_a_turn = (self.per_second * TURN.as_secs_f64()) as u64;
        in_a_turn.max(PORTION).min(self.burst)
    }
}

/// How long a throttled session sleeps between its turns, or more.
const TURN: Duration = Duration::from_millis(10);

/// Smaller pieces of a long payload are not worth a packet.
const PORTION: u64 = 512;

/// Nobody sleeps longer without a look at the clock.
const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_never_less_than_what_comes_in_a_turn() {
        let second = Duration::from_secs(1);
        assert_eq!(Quota::new(50, second, 7).burst(), 7);
        assert_eq!(Quota::new(50, second, 0).burst(), 1);
        assert_eq!(Quota::new(1_000_000, second, 1).burst(), 10_000);
        let slow = Quota::new(1, 60 * second, 1);
        assert!(Quota::new(1, second, u64::MAX).burst() < 1 << 32);
        assert_eq!(slow.time_for(1.0).as_secs(), 60);
        assert!(slow.nap() <= TURN && !slow.nap().is_zero());
        assert_eq!(Quota::new(1, 60 * second, 1 << 40).time_for(1e9), LONGEST);
    }
}
