//! The tokens of one session under one limit.

use super::limit::Quota;
use std::time::Duration;
use tokio::time::Instant;

/// How many tokens there were when somebody last asked.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(quota: Quota, now: Instant) -> Self {
        Self {
            tokens: quota.burst() as f64,
            at: now,
        }
    }

    /// Takes so many, or says how long it will be until they are there.
    pub(super) fn take(&mut self, quota: Quota, tokens: u64, now: Instant) -> Result<(), Duration> {
        // The frames of one read come at the same moment.
        if now != self.at {
            let passed = now.saturating_duration_since(self.at).as_secs_f64();
            let most = quota.burst() as f64;
            self.tokens = (self.tokens + passed * quota.per_second()).min(most);
            self.at = now;
        }
        let missing = tokens as f64 - self.tokens;
        if missing > ROUNDING {
            return Err(quota.time_for(missing));
        }
        self.tokens -= tokens as f64;
        Ok(())
    }
}

/// What sums of fractions may be wrong by.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_there_at_once_and_then_what_comes() {
        let start = Instant::now();
        let quota = Quota::new(3, SECOND, 3);
        let mut bucket = Bucket::new(quota, start);
        for _ in 0..3 {
            assert_eq!(bucket.take(quota, 1, start), Ok(()));
        }
        let wait = bucket.take(quota, 1, start).unwrap_err();
        assert!((333..335).contains(&wait.as_millis()), "{wait:?}");
        assert!(bucket.take(quota, 1, start + wait / 2).is_err());
        assert_eq!(bucket.take(quota, 1, start + wait), Ok(()));
        let later = start + 1000 * SECOND;
        assert_eq!(bucket.take(quota, 3, later), Ok(()), "full, and no more");
        assert!(bucket.take(quota, 1, later).is_err());
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_burst_and_rate_and_who_waits_as_told_gets_it(
            (rate, burst) in (1u64..2000, 1u64..500),
            asks in proptest::collection::vec((1u64..100, 0u64..3_000_000), 1..200),
        ) {
            let quota = Quota::new(rate, SECOND, burst);
            let start = Instant::now();
            let (mut now, mut taken) = (start, 0);
            let mut bucket = Bucket::new(quota, now);
            for (tokens, pause) in asks {
                now += Duration::from_nanos(pause * 1000);
                let tokens = tokens.min(quota.burst());
                if let Err(wait) = bucket.take(quota, tokens, now) {
                    now += wait;
                    prop_assert_eq!(bucket.take(quota, tokens, now), Ok(()));
                }
                taken += tokens;
                let most = quota.burst() as f64 + rate as f64 * (now - start).as_secs_f64();
                prop_assert!(taken as f64 <= most + 0.001, "{} of {}", taken, most);
            }
        }
    }
}
