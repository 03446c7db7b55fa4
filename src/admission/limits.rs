//! The limits of one route: how often, how many failures, how many at a time.
//!
//! Of several limits of a kind all must agree. They are looked at first and charged only if all do,
//! so that none takes a token for what another refuses; a race between two handshakes can still cost
//! one. What was taken before the credential was looked at stays taken, whatever comes of it.

use super::concurrency::{Seats, Sessions};
use super::key::KeyHash;
use super::rate::RateLimiter;
use super::{Identity, Refusal};
use crate::config::{self, LimitKey, RateLimit};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Nobody knows when a session ends.
const SESSIONS_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Which limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `handshake_rate`
    HandshakeRate,
    /// `auth_failure_rate`
    AuthFailureRate,
    /// `sessions`
    Sessions,
}

/// A limit that a handshake is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverLimit {
    /// Which.
    pub limit: Limit,
    /// Who is over it: the client, or all clients of the route together.
    pub per: LimitKey,
    /// When to come again.
    pub retry_after: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Limits {
    handshakes: Box<[Limited]>,
    auth_failures: Box<[Limited]>,
    sessions: Box<[Arc<Sessions>]>,
}

#[derive(Debug)]
struct Limited {
    per: LimitKey,
    limiter: Arc<RateLimiter>,
}

impl Limits {
    /// `has_auth`: whether there are credentials that can be wrong.
    pub(super) fn new(settings: &config::Limits, has_auth: bool) -> Self {
        let limited = |limit: &RateLimit| Limited {
            per: limit.per,
            limiter: Arc::new(RateLimiter::new(limit.rate, limit.burst)),
        };
        let auth_failures = settings.auth_failure_rate.iter().filter(|_| has_auth);
        let sessions = settings.sessions.iter().map(Sessions::new).map(Arc::new);
        Self {
            handshakes: settings.handshake_rate.iter().map(limited).collect(),
            auth_failures: auth_failures.map(limited).collect(),
            sessions: sessions.collect(),
        }
    }

    /// What can be said before it is known who it is. Takes a token of each limit.
    pub(super) fn arrived(&self, client: Option<IpAddr>) -> Result<(), OverLimit> {
        let early = |limited: &&Limited| limited.per != LimitKey::Identity;
        take(self.handshakes.iter().filter(early), client, None)
    }

    /// Whether a credential may be tried. Takes nothing.
    pub(super) fn may_try(&self, client: Option<IpAddr>) -> Result<(), OverLimit> {
        look(
            Limit::AuthFailureRate,
            self.auth_failures.iter(),
            client,
            None,
        )
    }

    /// A credential was wrong.
    pub(super) fn failed(&self, client: Option<IpAddr>) {
        for limited in &self.auth_failures {
            limited.limiter.charge(limited.key(client, None));
        }
    }

    /// What can be said only of someone who is known.
    pub(super) fn known(
        &self,
        client: Option<IpAddr>,
        identity: Option<&Identity>,
    ) -> Result<(), OverLimit> {
        let late = |limited: &&Limited| limited.per == LimitKey::Identity;
        take(self.handshakes.iter().filter(late), client, identity)
    }

    /// A seat of each limit, or none.
    pub(super) fn seats(
        &self,
        client: Option<IpAddr>,
        identity: Option<&Identity>,
    ) -> Result<Seats, OverLimit> {
        let seat = |sessions: &Arc<Sessions>| {
            let key = KeyHash::of(sessions.per, client, identity);
            sessions.enter(key).ok_or(OverLimit {
                limit: Limit::Sessions,
                per: sessions.per,
                retry_after: SESSIONS_RETRY_AFTER,
            })
        };
        let seats = self.sessions.iter().map(seat);
        Ok(Seats::new(seats.collect::<Result<_, _>>()?))
    }

    /// All that count by time, for the housekeeping.
    pub(super) fn limiters(&self) -> impl Iterator<Item = Arc<RateLimiter>> {
        let limited = self.handshakes.iter().chain(&self.auth_failures);
        limited.map(|one| Arc::clone(&one.limiter))
    }
}

impl Limited {
    fn key(&self, client: Option<IpAddr>, identity: Option<&Identity>) -> KeyHash {
        KeyHash::of(self.per, client, identity)
    }
}

fn take<'l>(
    limits: impl Iterator<Item = &'l Limited> + Clone,
    client: Option<IpAddr>,
    identity: Option<&Identity>,
) -> Result<(), OverLimit> {
    let limit = Limit::HandshakeRate;
    look(limit, limits.clone(), client, identity)?;
    for limited in limits {
        let key = limited.key(client, identity);
        limited.limiter.check(key).map_err(|wait| OverLimit {
            limit,
            per: limited.per,
            retry_after: wait,
        })?;
    }
    Ok(())
}

/// Of the limits that refuse, the one that will for the longest.
fn look<'l>(
    limit: Limit,
    limits: impl Iterator<Item = &'l Limited>,
    client: Option<IpAddr>,
    identity: Option<&Identity>,
) -> Result<(), OverLimit> {
    let refusing = limits.filter_map(|limited| {
        let retry_after = limited.limiter.look(limited.key(client, identity)).err()?;
        Some(OverLimit {
            limit,
            per: limited.per,
            retry_after,
        })
    });
    match refusing.max_by_key(|over| over.retry_after) {
        Some(over) => Err(over),
        None => Ok(()),
    }
}

impl Limit {
    /// As the key in the configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::HandshakeRate => "handshake_rate",
            Self::AuthFailureRate => "auth_failure_rate",
            Self::Sessions => "sessions",
        }
    }
}

impl From<OverLimit> for Refusal {
    fn from(over: OverLimit) -> Self {
        Self::OverLimit(over)
    }
}

impl std::fmt::Display for OverLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.limit {
            Limit::HandshakeRate => "too many handshakes",
            Limit::AuthFailureRate => "too many wrong credentials",
            Limit::Sessions => "too many sessions",
        })?;
        f.write_str(match self.per {
            LimitKey::ClientIp | LimitKey::Identity => " from this client",
            LimitKey::Route => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::auth::Methods;
    use super::super::{Admission, Ask, OriginRule, Permit, Purpose};
    use super::*;
    use crate::config::{
        ApiKey, ApiKeys, AuthKind, AuthMethod, CredentialSource, OnSessions, OriginPolicy, Rate,
        SessionLimit,
    };
    use aws_lc_rs::digest::{SHA256, digest};
    use http::HeaderMap;

    fn rate(burst: u64, per: LimitKey) -> RateLimit {
        RateLimit {
            rate: Rate {
                amount: 1,
                period: Duration::from_secs(3600),
            },
            burst,
            per,
        }
    }

    fn settings() -> config::Limits {
        config::Limits {
            handshake_rate: Vec::new(),
            auth_failure_rate: Vec::new(),
            sessions: Vec::new(),
            message_rate: Vec::new(),
            byte_rate: Vec::new(),
            max_message_size: None,
            validate_utf8: true,
        }
    }

    fn sessions(max: u32, per: LimitKey) -> SessionLimit {
        SessionLimit {
            max,
            per,
            on_exceed: OnSessions::Refuse,
        }
    }

    fn open_route(settings: &config::Limits) -> Admission {
        admission(settings, Vec::new())
    }

    /// Admits `ann` and `bob` by keys of these names.
    fn keyed_route(settings: &config::Limits) -> Admission {
        let key = |name: &str| ApiKey {
            name: name.to_owned(),
            sha256: digest(&SHA256, name.as_bytes())
                .as_ref()
                .try_into()
                .unwrap(),
        };
        let method = AuthMethod {
            name: "robots".to_owned(),
            kind: AuthKind::ApiKey(ApiKeys {
                keys: vec![key("ann"), key("bob")],
                sources: vec![CredentialSource::Cookie("key".to_owned())],
            }),
        };
        admission(settings, vec![Arc::new(method)])
    }

    fn admission(settings: &config::Limits, methods: Vec<Arc<AuthMethod>>) -> Admission {
        let origin = OriginRule::new(&OriginPolicy {
            origins: None,
            require: false,
        });
        let methods = Methods::build(&methods).unwrap().all();
        Admission::new(origin, methods, Vec::new()).with_limits(settings)
    }

    async fn admit(admission: &Admission, client: &str, key: &str) -> Result<Permit, Refusal> {
        admit_for(Purpose::Session, admission, client, key).await
    }

    async fn admit_for(
        purpose: Purpose,
        admission: &Admission,
        client: &str,
        key: &str,
    ) -> Result<Permit, Refusal> {
        let mut headers = HeaderMap::new();
        if !key.is_empty() {
            headers.insert("cookie", format!("key={key}").parse().unwrap());
        }
        let ask = Ask {
            client: client.parse().ok(),
            certificate: None,
            purpose,
            ..Ask::of(&headers, None)
        };
        admission.admit(&ask).await
    }

    /// The label of what became of it.
    async fn told(admission: &Admission, client: &str, key: &str) -> &'static str {
        match admit(admission, client, key).await {
            Ok(_) => "admitted",
            Err(refusal) => refusal.label(),
        }
    }

    #[tokio::test]
    async fn handshakes_are_counted_by_network() {
        let admission = open_route(&config::Limits {
            handshake_rate: vec![rate(2, LimitKey::ClientIp)],
            ..settings()
        });
        for (client, expected) in [
            ("2001:db8::1", "admitted"),
            ("2001:db8::2", "admitted"),
            ("2001:db8::3", "handshake_rate"),
            ("2001:db8::1", "handshake_rate"),
            ("2001:db8:0:1::1", "admitted"),
            ("10.0.0.1", "admitted"),
            ("::ffff:10.0.0.1", "admitted"),
            ("10.0.0.1", "handshake_rate"),
            ("", "admitted"),
        ] {
            assert_eq!(told(&admission, client, "").await, expected, "{client}");
        }
    }

    #[tokio::test]
    async fn what_one_limit_refuses_costs_the_others_nothing() {
        let admission = open_route(&config::Limits {
            handshake_rate: vec![rate(3, LimitKey::Route), rate(1, LimitKey::ClientIp)],
            ..settings()
        });
        assert_eq!(told(&admission, "10.0.0.1", "").await, "admitted");
        for _ in 0..10 {
            assert_eq!(told(&admission, "10.0.0.1", "").await, "handshake_rate");
        }
        assert_eq!(told(&admission, "10.0.0.2", "").await, "admitted");
        assert_eq!(told(&admission, "10.0.0.3", "").await, "admitted");
        let refusal = admit(&admission, "10.0.0.4", "").await.unwrap_err();
        let Refusal::OverLimit(over) = refusal else {
            panic!("{refusal:?}");
        };
        assert_eq!(over.per, LimitKey::Route);
        assert!(over.retry_after > Duration::from_secs(3500), "{over:?}");
    }

    #[tokio::test]
    async fn an_identity_is_counted_once_it_is_known() {
        let admission = keyed_route(&config::Limits {
            handshake_rate: vec![rate(1, LimitKey::Identity)],
            ..settings()
        });
        for (client, key, expected) in [
            ("10.0.0.1", "wrong", "bad_credential"),
            ("10.0.0.1", "", "no_credential"),
            ("10.0.0.1", "ann", "admitted"),
            ("10.0.0.2", "ann", "handshake_rate"),
            ("10.0.0.1", "bob", "admitted"),
        ] {
            assert_eq!(told(&admission, client, key).await, expected, "{key}");
        }
    }

    #[tokio::test]
    async fn after_too_many_failures_no_credential_is_looked_at() {
        let admission = keyed_route(&config::Limits {
            auth_failure_rate: vec![rate(3, LimitKey::ClientIp)],
            ..settings()
        });
        for (client, key, expected) in [
            ("10.0.0.1", "ann", "admitted"),
            ("10.0.0.1", "", "no_credential"),
            ("10.0.0.1", "1", "bad_credential"),
            ("10.0.0.1", "2", "bad_credential"),
            ("10.0.0.1", "ann", "admitted"),
            ("10.0.0.1", "3", "bad_credential"),
            ("10.0.0.1", "4", "auth_failure_rate"),
            ("10.0.0.1", "ann", "auth_failure_rate"),
            ("10.0.0.1", "", "no_credential"),
            ("10.0.0.2", "ann", "admitted"),
            ("10.0.0.2", "1", "bad_credential"),
        ] {
            assert_eq!(told(&admission, client, key).await, expected, "{key}");
        }
    }

    #[tokio::test]
    async fn sessions_are_counted_while_they_last() {
        let admission = keyed_route(&config::Limits {
            sessions: vec![
                sessions(1, LimitKey::Identity),
                sessions(2, LimitKey::Route),
            ],
            ..settings()
        });
        let ann = admit(&admission, "10.0.0.1", "ann").await.unwrap();
        let again = admit(&admission, "10.0.0.2", "ann").await.unwrap_err();
        assert!(
            matches!(again, Refusal::OverLimit(over) if over.per == LimitKey::Identity),
            "{again:?}"
        );
        let bob = admit(&admission, "10.0.0.1", "bob").await.unwrap();
        assert_eq!(told(&admission, "10.0.0.1", "ann").await, "sessions");
        drop(ann);
        let ann = admit(&admission, "10.0.0.1", "ann").await.unwrap();
        drop((ann, bob));
        assert_eq!(told(&admission, "10.0.0.1", "bob").await, "admitted");
    }

    #[tokio::test]
    async fn an_ordinary_request_is_no_session_and_yet_counted() {
        let admission = open_route(&config::Limits {
            handshake_rate: vec![rate(3, LimitKey::ClientIp)],
            sessions: vec![sessions(1, LimitKey::ClientIp)],
            ..settings()
        });
        let mut permits = Vec::new();
        for purpose in [Purpose::Session, Purpose::Reading, Purpose::Writing] {
            let admitted = admit_for(purpose, &admission, "10.0.0.1", "").await;
            permits.push(admitted.unwrap());
        }
        assert_eq!(told(&admission, "10.0.0.1", "").await, "handshake_rate");
    }

    #[tokio::test]
    async fn on_an_open_route_an_address_stands_for_the_identity() {
        let admission = open_route(&config::Limits {
            sessions: vec![sessions(1, LimitKey::Identity)],
            ..settings()
        });
        let _first = admit(&admission, "10.0.0.1", "").await.unwrap();
        assert_eq!(told(&admission, "10.0.0.1", "").await, "sessions");
        assert_eq!(told(&admission, "10.0.0.2", "").await, "admitted");
    }
}
