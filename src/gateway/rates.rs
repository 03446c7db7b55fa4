//! `message_rate` and `byte_rate` of a route as the relay keeps them, and the tokens that all
//! sessions of one identity share.

use crate::admission::Identity;
use crate::config::{self, LimitedDirection, OnTraffic, TrafficKey, TrafficLimit};
use crate::relay::{Limit, Meter, OnExceed, Quota, Senders, Share, Unit};
use governor::RateLimiter;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How much the sessions of a route may carry.
#[derive(Debug)]
pub(super) struct Rates {
    limits: Vec<Limit>,
    /// Those of the limits that sessions share.
    shared: Vec<Arc<Accounts>>,
    hasher: RandomState,
    opened: AtomicUsize,
}

impl Rates {
    /// Compiles the limits of a route.
    pub(super) fn new(settings: &config::Limits) -> Self {
        let mut rates = Self {
            limits: Vec::new(),
            shared: Vec::new(),
            hasher: RandomState::new(),
            opened: AtomicUsize::new(0),
        };
        for limit in &settings.message_rate {
            rates.add(limit, Unit::Frames);
        }
        for limit in &settings.byte_rate {
            rates.add(limit, Unit::Bytes);
        }
        rates
    }

    /// What the relay has to keep to.
    pub(super) fn limits(&self) -> Vec<Limit> {
        self.limits.clone()
    }

    /// With whom a session shares: its identity, or on an open route its address. To be asked once
    /// for a session.
    pub(super) fn account(&self, identity: Option<&Identity>, client: Option<IpAddr>) -> u64 {
        if self.shared.is_empty() {
            return 0;
        }
        if self.opened.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.shared.iter().for_each(|accounts| accounts.forget());
        }
        match identity {
            Some(identity) => self.hasher.hash_one(identity),
            None => self.hasher.hash_one(client.map(network)),
        }
    }

    fn add(&mut self, limit: &TrafficLimit, counts: Unit) {
        let quota = Quota::new(limit.rate.amount, limit.rate.period, limit.burst);
        let share = match limit.per {
            TrafficKey::Session => Share::Own,
            TrafficKey::Identity => {
                let accounts = Arc::new(Accounts::new(quota));
                self.shared.push(accounts.clone());
                Share::Account(accounts)
            }
        };
        self.limits.push(Limit {
            from: match limit.direction {
                LimitedDirection::FromClient => Senders::Client,
                LimitedDirection::FromUpstream => Senders::Upstream,
                LimitedDirection::Both => Senders::Both,
            },
            counts,
            quota,
            on_exceed: match limit.on_exceed {
                OnTraffic::Throttle => OnExceed::Throttle,
                OnTraffic::Close => OnExceed::Close,
            },
            share,
        });
    }
}

/// So many sessions on, those accounts are forgotten that have all their tokens again: work and
/// memory in proportion to the sessions that come.
const FORGET_EVERY: usize = 1024;

/// What one client has to itself: an address, or of IPv6 a /64.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// What is left to each account, whichever worker carries its sessions.
#[derive(Debug)]
struct Accounts {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, DefaultClock>,
    clock: DefaultClock,
    cell: Cell,
}

/// What is taken at once. Clocks count nanoseconds, so that where tokens come faster, they are
/// taken by several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    tokens: u64,
    /// How long it takes until one has come.
    interval: Duration,
}

impl Accounts {
    fn new(quota: Quota) -> Self {
        let cell = Cell::of(quota);
        let interval = cell.interval.max(Duration::from_nanos(1));
        let burst = cell.in_cells(quota.burst());
        Self {
            limiter: RateLimiter::dashmap(governor_quota(interval, burst)),
            clock: DefaultClock::default(),
            cell,
        }
    }

    /// Forgets those who have all their tokens.
    fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

fn governor_quota(interval: Duration, burst: NonZeroU32) -> governor::Quota {
    governor::Quota::with_period(interval)
        .unwrap_or_else(|| governor::Quota::per_second(burst))
        .allow_burst(burst)
}

impl Meter for Accounts {
    fn take(&self, account: u64, tokens: u64) -> Result<(), Duration> {
        let taken = self
            .limiter
            .check_key_n(&account, self.cell.in_cells(tokens));
        match taken {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(self.clock.now())),
            // Never asked for more than a burst; if it were, a burst's time is the answer.
            Err(_) => Err(self.cell.interval),
        }
    }
}

impl Cell {
    /// The smallest that takes long enough for the clock to tell it from its neighbours, to one
    /// per cent, and of which a burst is a number that can be counted.
    fn of(quota: Quota) -> Self {
        let mut tokens = 1;
        loop {
            let nanos = (tokens as f64 / quota.per_second() * 1e9).ceil();
            if nanos >= 100.0 && quota.burst() / tokens < u64::from(u32::MAX) {
                let interval = Duration::from_nanos(nanos as u64);
                return Self { tokens, interval };
            }
            tokens *= 2;
        }
    }

    fn in_cells(self, tokens: u64) -> NonZeroU32 {
        let cells = u32::try_from(tokens.div_ceil(self.tokens)).unwrap_or(u32::MAX);
        NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_account_has_a_burst_and_then_waits_and_others_have_their_own() {
        let accounts = Accounts::new(Quota::new(10, SECOND, 20));
        assert_eq!(accounts.take(1, 15), Ok(()));
        assert_eq!(accounts.take(1, 5), Ok(()));
        let wait = accounts.take(1, 10).unwrap_err();
        assert!(wait <= SECOND && wait > SECOND / 2, "{wait:?}");
        assert_eq!(accounts.take(2, 20), Ok(()));
    }

    #[test]
    fn a_whole_burst_can_be_taken_at_once_however_large_it_is() {
        for (rate, burst) in [(1, 1), (1 << 20, 4 << 20), (1 << 40, 1 << 40), (7, 1 << 40)] {
            let quota = Quota::new(rate, SECOND, burst);
            let accounts = Accounts::new(quota);
            assert_eq!(accounts.take(1, quota.burst()), Ok(()), "{rate} {burst}");
            let again = accounts.take(1, quota.burst());
            assert!(again.is_err(), "{rate} {burst}");
        }
    }

    #[test]
    fn the_long_run_is_never_above_the_rate_and_hardly_below() {
        for rate in [1, 999, 1 << 20, 10_000_000, 123_456_789, 1 << 40] {
            let Cell { tokens, interval } = Cell::of(Quota::new(rate, SECOND, 1));
            let reached = tokens as f64 / interval.as_secs_f64();
            assert!(reached <= rate as f64 * 1.000_001, "{rate}: {reached}");
            assert!(reached >= rate as f64 * 0.98, "{rate}: {reached}");
        }
    }

    #[test]
    fn accounts_with_all_their_tokens_are_forgotten() {
        let accounts = Accounts::new(Quota::new(1_000_000, SECOND, 1));
        for account in 0..100 {
            assert_eq!(accounts.take(account, 1), Ok(()));
        }
        let slow = Accounts::new(Quota::new(1, SECOND * 3600, 2));
        assert_eq!(slow.take(1, 1), Ok(()));
        while !accounts.limiter.is_empty() {
            std::thread::yield_now();
            accounts.forget();
        }
        slow.forget();
        assert_eq!(slow.limiter.len(), 1);
    }

    #[test]
    fn an_identity_is_one_account_and_so_is_an_address() {
        let limit = TrafficLimit {
            rate: config::Rate {
                amount: 1,
                period: SECOND,
            },
            burst: 1,
            per: TrafficKey::Identity,
            direction: LimitedDirection::Both,
            on_exceed: OnTraffic::Close,
        };
        let mut rates = Rates {
            limits: Vec::new(),
            shared: Vec::new(),
            hasher: RandomState::new(),
            opened: AtomicUsize::new(0),
        };
        rates.add(&limit, Unit::Frames);
        let identity = |name| Identity::new("people", name).unwrap();
        let by_name = |name| rates.account(Some(&identity(name)), None);
        let by_address = |text: &str| rates.account(None, Some(text.parse().unwrap()));
        assert_eq!(by_name("ann"), by_name("ann"));
        assert_ne!(by_name("ann"), by_name("bob"));
        assert_eq!(by_address("192.0.2.1"), by_address("::ffff:192.0.2.1"));
        assert_ne!(by_address("192.0.2.1"), by_address("192.0.2.2"));
        assert_eq!(by_address("2001:db8::1"), by_address("2001:db8::2"));
        assert_ne!(by_address("2001:db8::1"), by_address("2001:db8:0:1::1"));
    }
}
