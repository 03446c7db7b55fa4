//! So many in so long for each key: governor's GCRA over a store of our own that cannot grow beyond
//! a bound (`store.rs`).
//!
//! The clock is the monotonic one, so nothing happens when somebody sets the time.

use super::key::KeyHash;
use super::store::{Act, Cell, Store};
use crate::config::Rate;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::{NotUntil, Quota};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Keys that have a bucket of their own, at most; the others share (see [`RateLimiter`]). A key takes
/// about 35 bytes (`benches/limiter.rs` measures it), so a limiter never holds more than 20 MiB.
const KEYS_MAX: usize = 1 << 18;

/// How often keys that nobody uses any more are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// A longer time for a whole burst to come back is no different to anyone; the clock has 584 years.
const REFILL_MAX_NANOS: u64 = 100 * 365 * 24 * 3600 * 1_000_000_000;

/// Tokens for each key: `burst` at first, and again as `rate` says. Shared by all threads.
///
/// As long as there is room each key has its own. A new one for which there is none falls, by its
/// hash, into one of a fixed number of shared buckets: memory has a bound, and nobody gets a free
/// pass while somebody fills it.
pub struct RateLimiter<C: Clock = MonotonicClock> {
    limiter: Governor<C>,
    clock: C,
    /// How many of what is counted a token stands for.
    unit: u64,
    /// In tokens.
    burst: u32,
}

type Governor<C> = governor::RateLimiter<Cell, Store, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl RateLimiter {
    /// Counts one by one.
    pub fn new(rate: Rate, burst: u64) -> Self {
        Self::with(rate, burst, 1, KEYS_MAX, MonotonicClock)
    }

    /// Counts many at a time, such as bytes: where the clock is not fine enough for each, a few share
    /// a token, of which at least one is taken.
    pub fn of_amounts(rate: Rate, burst: u64) -> Self {
        let unit = unit(rate, burst);
        Self::with(rate, burst, unit, KEYS_MAX, MonotonicClock)
    }
}

impl<C: Clock + Clone> RateLimiter<C> {
    fn with(rate: Rate, burst: u64, unit: u64, keys_max: usize, clock: C) -> Self {
        let period = nanos_for(rate, unit).clamp(1, REFILL_MAX_NANOS);
        let tokens = (burst / unit).clamp(1, REFILL_MAX_NANOS / period);
        let burst = NonZeroU32::new(u32::try_from(tokens).unwrap_or(u32::MAX));
        let burst = burst.unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_nanos(period))
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let debt = period * u64::from(burst.get() - 1);
        let store = Store::new(keys_max, debt.into());
        Self {
            limiter: Governor::new(quota, store, clock.clone()),
            clock,
            unit,
            burst: burst.get(),
        }
    }

    /// Takes a token; else says when there is one.
    pub fn check(&self, key: KeyHash) -> Result<(), Duration> {
        self.ask(key, Act::Take)
    }

    /// Takes `n` of what is counted, all or none; else says when there are so many. More than
    /// a whole burst can never be there at once: of these it takes all there may be, and callers
    /// that mind ask for less at a time ([`Self::burst`]).
    pub fn check_n(&self, key: KeyHash, n: u64) -> Result<(), Duration> {
        let tokens = u32::try_from(n.div_ceil(self.unit)).unwrap_or(u32::MAX);
        let Some(tokens) = NonZeroU32::new(tokens.min(self.burst)) else {
            return Ok(());
        };
        let act = Act::Take;
        match self.limiter.check_key_n(&Cell { key, act }, tokens) {
            Ok(Err(until)) => Err(self.wait(&until)),
            // The latter cannot be: it is no more than the burst.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Whether there is a token, without taking it.
    pub fn look(&self, key: KeyHash) -> Result<(), Duration> {
        self.ask(key, Act::Look)
    }

    /// Takes a token for something that has happened already: even one that is not there, down to
    /// as many below none as a burst has, so that who does many things at once pays for each.
    pub fn charge(&self, key: KeyHash) {
        // Deeper it does not go.
        let _ = self.ask(key, Act::Charge);
    }

    /// How many may come at once.
    pub fn burst(&self) -> u64 {
        u64::from(self.burst) * self.unit
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.limiter.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.limiter.is_empty()
    }

    fn ask(&self, key: KeyHash, act: Act) -> Result<(), Duration> {
        let asked = self.limiter.check_key(&Cell { key, act });
        asked.map_err(|until| self.wait(&until))
    }

    fn wait(&self, until: &NotUntil<C::Instant>) -> Duration {
        until.wait_time_from(self.clock.now())
    }

    /// Forgets the keys that have all their tokens back. Takes milliseconds where there are many.
    pub fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// How many a token stands for: so many that it takes the clock 100 ticks until there is a next one, and
/// that a burst is a number of tokens that can be counted.
fn unit(rate: Rate, burst: u64) -> u64 {
    let by_rate = u128::from(rate.amount) * 100 / rate.period.as_nanos().max(1);
    let by_burst = burst / u64::from(u32::MAX);
    u64::try_from(by_rate).unwrap_or(u64::MAX - 1).max(by_burst) + 1
}

/// After how long there are `count` more; rounded up, so that there are never more than `rate` allows.
fn nanos_for(rate: Rate, count: u64) -> u64 {
    let nanos = rate.period.as_nanos() * u128::from(count);
    u64::try_from(nanos.div_ceil(u128::from(rate.amount.max(1)))).unwrap_or(u64::MAX)
}

/// Never ends: forgets, time and again, keys that nobody uses any more, on a thread where it hinders
/// nobody.
pub async fn housekeeping(limiters: Vec<Arc<RateLimiter>>) {
    if limiters.is_empty() {
        return std::future::pending().await;
    }
    let limiters: Arc<[_]> = limiters.into();
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let limiters = Arc::clone(&limiters);
        let sweep = move || limiters.iter().for_each(|limiter| limiter.sweep());
        if tokio::task::spawn_blocking(sweep).await.is_err() {
            tracing::warn!("the sweep of a limiter failed");
        }
    }
}

impl<C: Clock> fmt::Debug for RateLimiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("keys", &self.limiter.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LimitKey;
    use governor::clock::FakeRelativeClock;
    use std::net::{IpAddr, Ipv4Addr};

    fn key(number: u32) -> KeyHash {
        let address = IpAddr::V4(Ipv4Addr::from_bits(number));
        KeyHash::of(LimitKey::ClientIp, Some(address), None)
    }

    fn rate(amount: u64, seconds: u64) -> Rate {
        Rate {
            amount,
            period: Duration::from_secs(seconds),
        }
    }

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Five a second, ten at once.
    fn limiter(keys_max: usize) -> (RateLimiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::with(rate(5, 1), 10, 1, keys_max, clock.clone());
        (limiter, clock)
    }

    fn passed(limiter: &RateLimiter<FakeRelativeClock>, key: KeyHash, tries: usize) -> usize {
        (0..tries).filter(|_| limiter.check(key).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (limiter, clock) = limiter(100);
        assert_eq!(passed(&limiter, key(1), 20), 10);
        assert_eq!(limiter.check(key(1)), Err(millis(200)));
        clock.advance(millis(199));
        assert_eq!(limiter.check(key(1)), Err(millis(1)));
        clock.advance(millis(1));
        assert_eq!(passed(&limiter, key(1), 20), 1);
        clock.advance(millis(60_000));
        assert_eq!(passed(&limiter, key(1), 20), 10, "no more than a burst");
    }

    #[test]
    fn keys_do_not_share_while_there_is_room() {
        let (limiter, _) = limiter(100);
        assert_eq!(passed(&limiter, key(1), 20), 10);
        assert_eq!(passed(&limiter, key(2), 20), 10);
        assert_eq!(limiter.len(), 2);
    }

    #[test]
    fn many_are_taken_all_or_none() {
        let (limiter, clock) = limiter(100);
        assert_eq!(limiter.check_n(key(1), 0), Ok(()));
        assert_eq!(limiter.check_n(key(1), 7), Ok(()));
        assert_eq!(limiter.check_n(key(1), 4), Err(millis(200)));
        assert_eq!(limiter.check_n(key(1), 3), Ok(()));
        clock.advance(millis(2000));
        assert_eq!(limiter.check_n(key(1), 1000), Ok(()), "as all there may be");
        assert_eq!(limiter.check(key(1)), Err(millis(200)));
    }

    #[test]
    fn looking_takes_nothing() {
        let (limiter, _) = limiter(100);
        for _ in 0..20 {
            assert_eq!(limiter.look(key(1)), Ok(()));
        }
        assert!(limiter.is_empty(), "and leaves nothing");
        assert_eq!(passed(&limiter, key(1), 9), 9);
        for _ in 0..20 {
            assert_eq!(limiter.look(key(1)), Ok(()));
        }
        assert_eq!(limiter.check(key(1)), Ok(()));
        assert_eq!(limiter.look(key(1)), Err(millis(200)));
    }

    #[test]
    fn what_has_happened_is_paid_for_later() {
        let (limiter, clock) = limiter(100);
        for _ in 0..12 {
            limiter.charge(key(1));
        }
        assert_eq!(limiter.look(key(1)), Err(millis(600)), "two owed and one");
        for _ in 0..1000 {
            limiter.charge(key(1));
        }
        assert_eq!(limiter.look(key(1)), Err(millis(2000)), "a burst at most");
        clock.advance(millis(2000));
        assert_eq!(limiter.look(key(1)), Ok(()));
        assert_eq!(passed(&limiter, key(1), 20), 1);
    }

    #[test]
    fn a_full_house_neither_grows_nor_lets_anyone_pass_for_free() {
        let (limiter, clock) = limiter(50);
        for number in 0..50 {
            assert_eq!(limiter.check(key(number)), Ok(()));
        }
        let mut passed_in_all = 0;
        for number in 1000..101_000 {
            passed_in_all += passed(&limiter, key(number), 1);
        }
        assert_eq!(limiter.len(), 50);
        assert!(
            passed_in_all <= 10 * Store::CROWD,
            "{passed_in_all} passed of 100,000"
        );
        assert!(passed_in_all >= 9 * Store::CROWD, "{passed_in_all}");
        assert_eq!(passed(&limiter, key(1), 20), 9, "who was there before");
        assert!(limiter.look(key(1000)).is_err(), "the crowd is used up");
        limiter.charge(key(1001));

        // After a while they are forgotten, and there is room again.
        clock.advance(millis(60_000));
        limiter.sweep();
        assert_eq!(limiter.len(), 0);
        assert_eq!(passed(&limiter, key(1000), 20), 10);
        assert_eq!(limiter.len(), 1);
    }

    #[test]
    fn the_sweep_keeps_who_still_owes() {
        let (limiter, clock) = limiter(100);
        assert_eq!(passed(&limiter, key(1), 20), 10);
        assert_eq!(passed(&limiter, key(2), 1), 1);
        clock.advance(millis(1000));
        limiter.sweep();
        assert_eq!(limiter.len(), 1);
        assert_eq!(passed(&limiter, key(1), 20), 5, "not a whole burst");
        assert_eq!(passed(&limiter, key(2), 20), 10);
    }

    #[test]
    fn the_slowest_and_the_fastest_rates_hold() {
        let clock = FakeRelativeClock::default();
        let slow = RateLimiter::with(rate(1, 3600), 1_000_000_000, 1, 100, clock.clone());
        assert_eq!(slow.burst(), 876_000, "what comes back in a hundred years");
        assert_eq!(slow.check_n(key(1), slow.burst()), Ok(()));
        assert_eq!(slow.check(key(1)), Err(Duration::from_secs(3600)));
        let fast = RateLimiter::with(rate(1_000_000_000, 1), 1, 1, 100, clock);
        assert_eq!(fast.check(key(1)), Ok(()));
        assert_eq!(fast.check(key(1)), Err(Duration::from_nanos(1)));
    }

    #[test]
    fn amounts_are_counted_in_units_that_the_clock_can_tell_apart() {
        let limiter = RateLimiter::of_amounts(rate(1 << 40, 1), 1 << 40);
        assert_eq!(limiter.check_n(key(1), 1 << 20), Ok(()));
        let error = (1_i64 << 40) - i64::try_from(limiter.burst()).unwrap();
        assert!((0..1 << 21).contains(&error), "{error}");
        let slow = RateLimiter::of_amounts(rate(1024, 60), 2048);
        assert_eq!(slow.burst(), 2048);
    }

    #[test]
    fn the_long_run_is_never_above_the_rate_and_hardly_below() {
        for amount in [1, 999, 1 << 20, 10_000_000, 123_456_789, 1 << 40] {
            for burst in [1, amount, 1 << 40] {
                let rate = rate(amount, 1);
                let unit = unit(rate, burst);
                let reached = unit as f64 / nanos_for(rate, unit) as f64 * 1e9;
                assert!(reached <= amount as f64 * 1.000_001, "{amount}: {reached}");
                assert!(reached >= amount as f64 * 0.98, "{amount}: {reached}");
            }
        }
    }

    #[test]
    fn what_was_taken_of_an_amount_comes_back_by_the_rate() {
        let clock = FakeRelativeClock::default();
        let bytes = rate(1 << 20, 1);
        let limiter = RateLimiter::with(bytes, 1 << 20, unit(bytes, 1 << 20), 10, clock.clone());
        assert_eq!(limiter.check_n(key(1), 1 << 20), Ok(()));
        let wait = limiter.check_n(key(1), 1 << 19).unwrap_err();
        assert!(wait.abs_diff(millis(500)) < millis(1), "{wait:?}");
        clock.advance(wait);
        assert_eq!(limiter.check_n(key(1), 1 << 19), Ok(()));
        assert!(limiter.check_n(key(1), 1).is_err());
    }

    #[test]
    fn threads_share_one_bucket() {
        let (limiter, _) = limiter(100);
        let passed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| passed(&limiter, key(1), 100)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(passed, 10);
    }
}
