//! What a method has found out of a client, and for how long that is good.

use super::Recheck;
use crate::admission::Identity;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::time::Instant;

/// Who a client is, by one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Who it is.
    pub identity: Identity,
    /// Until when it is good; `None`: for as long as the method does not take it back.
    pub lifetime: Option<Lifetime>,
    /// What names the token or the certificate itself, so that it can be revoked: `jti`, a serial number.
    pub token_id: Option<Box<str>>,
    /// When it was found out, where that was in an earlier request; what was taken back since then does
    /// not count any more.
    pub since: Option<Instant>,
    /// What the upstream is told of it beside the identity.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who is asked again whether it is still good, while the session lives.
    pub recheck: Option<Arc<Recheck>>,
}

/// When a proof ends, and its session with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime {
    /// By a clock that nobody can set: the date that a token names is looked at once, when it is shown, so
    /// that a jump of the wall clock ends no session early and keeps none for ever.
    pub ends: Instant,
    /// The close code for the client.
    pub code: u16,
}

/// Why a credential does not admit. It is for logs and never holds the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub Cow<'static, str>);

/// What a method says to a handshake.
#[derive(Debug, PartialEq, Eq)]
pub enum Check {
    /// This is who it is.
    Admitted(Box<Proof>),
    /// There is no credential of this kind.
    Absent,
    /// There is one, and it is not good.
    Wrong(Fault),
    /// There is one, it is good, and whose it is may not enter.
    Denied(Fault),
    /// There is one, and it cannot be looked at now.
    Unavailable(Fault),
    /// A service says what the client is to be answered.
    Answered(Box<ServiceAnswer>),
}

/// What a service that was asked about a client answers to it: where to log in, most often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAnswer {
    /// 401, 403 or a redirect.
    pub status: StatusCode,
    /// Those that are meant for the client.
    pub headers: HeaderMap,
    /// Bounded.
    pub body: Bytes,
}

impl Proof {
    /// That `method` has found this out, for people.
    pub(super) fn told_by(&self, method: &str) -> String {
        let mut told = format!("{method}: it is `{}`", self.identity);
        if let Some(lifetime) = self.lifetime {
            let left = lifetime.ends.saturating_duration_since(Instant::now());
            let (seconds, code) = (left.as_secs(), lifetime.code);
            told.push_str(&format!(
                ", and the session ends in {seconds} s with {code}"
            ));
        }
        told
    }

    /// That it is `identity`, and no more.
    pub fn of(identity: Identity) -> Self {
        Self {
            identity,
            lifetime: None,
            token_id: None,
            since: None,
            headers: Vec::new(),
            recheck: None,
        }
    }
}

impl Check {
    /// Of a credential that stands for `identity`.
    pub(super) fn admitted(identity: Identity) -> Self {
        Self::Admitted(Box::new(Proof::of(identity)))
    }

    /// Of a credential that is not good.
    pub(super) const fn wrong(why: &'static str) -> Self {
        Self::Wrong(Fault::of(why))
    }
}

impl Fault {
    /// Always the same one.
    pub const fn of(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
