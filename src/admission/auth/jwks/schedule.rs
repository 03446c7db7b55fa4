//! When a key set is fetched: a function of what came of the last fetch, and when that was.

use crate::admission::auth::lot::lot;
use crate::http::CacheControl;
use std::time::Duration;
use tokio::time::Instant;

/// Where the answer does not say for how long it is good.
const USUALLY: Duration = Duration::from_secs(15 * 60);
/// It is not asked for more often, whatever it says of itself, nor for unknown keys.
const AT_LEAST: Duration = Duration::from_secs(60);
/// It is not used for longer unasked.
const AT_MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// After the first failure.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// After many.
const RETRY_AT_MOST: Duration = Duration::from_secs(5 * 60);

/// The time of the next fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    due: Instant,
    /// For an unknown key.
    due_if_wanted: Instant,
    failures: u32,
}

impl Schedule {
    /// At once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now,
            due_if_wanted: now,
            failures: 0,
        }
    }

    /// When to fetch.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// When to fetch if somebody has shown a key that is not in the set.
    pub(super) fn due_if_wanted(&self) -> Instant {
        self.due.min(self.due_if_wanted)
    }

    /// At `asked` it was asked for, and came; `told` of itself is for how long it is good.
    pub(super) fn fetched(&mut self, asked: Instant, told: CacheControl) {
        let good_for = match told.is_forbidden {
            true => Duration::ZERO,
            false => told.max_age.unwrap_or(USUALLY),
        };
        *self = Self {
            due: asked + shortened(good_for.clamp(AT_LEAST, AT_MOST), AT_LEAST, lot()),
            due_if_wanted: asked + AT_LEAST,
            failures: 0,
        };
    }

    /// At `asked` it was asked for, in vain.
    pub(super) fn failed(&mut self, asked: Instant) {
        let doubled = RETRY_FIRST.saturating_mul(1 << self.failures.min(16));
        let pause = shortened(doubled.min(RETRY_AT_MOST), RETRY_FIRST, lot());
        *self = Self {
            due: asked + pause,
            due_if_wanted: asked + pause.max(AT_LEAST),
            failures: self.failures + 1,
        };
    }
}

/// Up to a fifth off, by `lot`, so that not all gateways of a fleet come at once; `least` stays.
fn shortened(pause: Duration, least: Duration, lot: u8) -> Duration {
    (pause - pause / 5 * u32::from(lot) / 255).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether `pause` is `full`, or up to a fifth less, but never less than `least`.
    fn is_about(pause: Duration, full: Duration, least: Duration) -> bool {
        pause <= full && pause >= (full * 4 / 5).max(least)
    }

    #[test]
    fn an_answer_says_when_to_ask_again_within_bounds() {
        for (told, seconds) in [
            ("max-age=300", 300),
            ("max-age=0", 60),
            ("max-age=1", 60),
            ("max-age=604800", 86_400),
            ("public", 15 * 60),
            ("no-store", 60),
            ("no-cache, max-age=3600", 60),
        ] {
            let now = Instant::now();
            let mut schedule = Schedule::new(now);
            assert_eq!((schedule.due(), schedule.due_if_wanted()), (now, now));
            schedule.fetched(now, CacheControl::from(told));
            let pause = schedule.due() - now;
            assert!(
                is_about(pause, SECOND * seconds, AT_LEAST),
                "{told}: {pause:?}"
            );
        }
    }

    #[test]
    fn failures_make_pauses_longer_and_a_success_ends_that() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300, 300] {
            schedule.failed(now);
            let pause = schedule.due() - now;
            assert!(
                is_about(pause, SECOND * seconds, RETRY_FIRST),
                "{seconds}: {pause:?}"
            );
        }
        for _ in 0..100 {
            schedule.failed(now);
        }
        assert!(schedule.due() - now <= RETRY_AT_MOST);
        schedule.fetched(now, CacheControl::default());
        schedule.failed(now);
        assert!(schedule.due() - now <= RETRY_FIRST);
    }

    #[test]
    fn unknown_keys_bring_it_forward_but_not_within_a_minute() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        schedule.fetched(now, CacheControl::from("max-age=3600"));
        assert_eq!(schedule.due_if_wanted() - now, AT_LEAST);
        // An outage is not asked about more often for it either.
        let mut schedule = Schedule::new(now);
        for _ in 0..10 {
            schedule.failed(now);
            assert_eq!(schedule.due_if_wanted(), schedule.due());
        }
    }

    #[test]
    fn a_fleet_does_not_come_at_once() {
        let hour = SECOND * 3600;
        assert_eq!(shortened(hour, AT_LEAST, 0), hour);
        assert_eq!(shortened(hour, AT_LEAST, 255), hour * 4 / 5);
        assert_eq!(shortened(AT_LEAST, AT_LEAST, 255), AT_LEAST);
    }
}
