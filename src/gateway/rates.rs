//! `message_rate` and `byte_rate` of a route as the relay keeps them, and the tokens that all
//! sessions of one identity share.

use crate::admission::{Identity, KeyHash, RateLimiter};
use crate::config::{self, LimitKey, LimitedDirection, OnTraffic, TrafficKey, TrafficLimit};
use crate::relay::{Limit, Meter, OnExceed, Quota, Senders, Share, Unit};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How much the sessions of a route may carry.
#[derive(Debug, Default)]
pub(super) struct Rates {
    limits: Vec<Limit>,
    /// Those of the limits that sessions share.
    shared: Vec<Arc<RateLimiter>>,
}

impl Rates {
    /// Compiles the limits of a route.
    pub(super) fn new(settings: &config::Limits) -> Self {
        let mut rates = Self::default();
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

    /// What sessions share, for the housekeeping.
    pub(super) fn shared(&self) -> &[Arc<RateLimiter>] {
        &self.shared
    }

    /// With whom a session shares: its identity, or on an open route its address.
    pub(super) fn account(&self, identity: Option<&Identity>, client: Option<IpAddr>) -> u64 {
        match self.shared.is_empty() {
            true => 0,
            false => KeyHash::of(LimitKey::Identity, client, identity).number(),
        }
    }

    fn add(&mut self, limit: &TrafficLimit, counts: Unit) {
        let quota = Quota::new(limit.rate.amount, limit.rate.period, limit.burst);
        let share = match limit.per {
            TrafficKey::Session => Share::Own,
            TrafficKey::Identity => {
                let accounts = Arc::new(RateLimiter::of_amounts(limit.rate, quota.burst()));
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

/// What is left to each account, whichever worker carries its sessions.
impl Meter for RateLimiter {
    fn take(&self, account: u64, tokens: u64) -> Result<(), Duration> {
        self.check_n(KeyHash::numbered(account), tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rates(amount: u64, burst: u64) -> Rates {
        let mut rates = Rates::default();
        let limit = TrafficLimit {
            rate: config::Rate {
                amount,
                period: SECOND,
            },
            burst,
            per: TrafficKey::Identity,
            direction: LimitedDirection::Both,
            on_exceed: OnTraffic::Close,
        };
        rates.add(&limit, Unit::Frames);
        rates
    }

    #[test]
    fn an_account_has_a_burst_and_then_waits_and_others_have_their_own() {
        let rates = rates(10, 20);
        let Share::Account(accounts) = &rates.limits()[0].share else {
            panic!("{rates:?}");
        };
        assert_eq!(accounts.take(1, 15), Ok(()));
        assert_eq!(accounts.take(1, 5), Ok(()));
        let wait = accounts.take(1, 10).unwrap_err();
        assert!(wait <= SECOND && wait > SECOND / 2, "{wait:?}");
        assert_eq!(accounts.take(2, 20), Ok(()));
    }

    #[test]
    fn a_whole_burst_can_be_taken_at_once_however_large_it_is() {
        for (rate, burst) in [(1, 1), (1 << 20, 4 << 20), (1 << 40, 1 << 40), (7, 1 << 40)] {
            let rates = rates(rate, burst);
            let (accounts, quota) = (&rates.shared()[0], rates.limits()[0].quota);
            assert_eq!(accounts.take(1, quota.burst()), Ok(()), "{rates:?} {burst}");
            let again = accounts.take(1, quota.burst());
            assert!(again.is_err(), "{rates:?} {burst}");
        }
    }

    #[test]
    fn an_identity_is_one_account_and_so_is_an_address() {
        let rates = rates(1, 1);
        let identity = |name| Identity::new("people", name).unwrap();
        let by_name = |name| rates.account(Some(&identity(name)), None);
        let by_address = |text: &str| rates.account(None, Some(text.parse().unwrap()));
        assert_eq!(by_name("ann"), by_name("ann"));
        assert_ne!(by_name("ann"), by_name("bob"));
        assert_eq!(by_address("192.0.2.1"), by_address("::ffff:192.0.2.1"));
        assert_ne!(by_address("192.0.2.1"), by_address("192.0.2.2"));
        assert_eq!(by_address("2001:db8::1"), by_address("2001:db8::2"));
        assert_ne!(by_address("2001:db8::1"), by_address("2001:db8:0:1::1"));
        let alone = Rates::default();
        assert_eq!(alone.account(Some(&identity("ann")), None), 0, "no need");
    }
}
