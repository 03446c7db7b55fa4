//! What a verified token says (RFC 7519 §4), and whether that is for us and for now.

use super::token::TokenFault;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names and token ids longer than this are nobody's.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// The furthest end that is looked at: no session lives so long, and no clock overflows.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The claims of a verified token.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claims(pub(super) Map<String, Value>);

/// What claims are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    /// Any of them; empty: whoever.
    pub(super) issuers: Vec<String>,
    /// Any of them; empty: none.
    pub(super) audiences: Vec<String>,
    pub(super) leeway: Duration,
    pub(super) require_expiry: bool,
}

impl Claims {
    /// The claim at `path`. A name is taken whole first, as some have dots in them; then each dot may
    /// lead into an object.
    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        find(&self.0, path)
    }

    /// A string or a number that can stand in names, headers and logs.
    pub(super) fn name(&self, path: &str) -> Option<String> {
        let name = match self.get(path)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let is_fit = (1..=NAME_BYTES_MAX).contains(&name.len());
        (is_fit && !name.contains(char::is_control)).then_some(name)
    }
}

fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let inner = claims.get(&path[..dot])?.as_object()?;
        find(inner, &path[dot + 1..])
    })
}

impl Terms {
    /// Whether they hold at `now`.
    pub(super) fn check(&self, claims: &Claims, now: SystemTime) -> Result<(), TokenFault> {
        let (now, leeway) = (seconds(now), self.leeway.as_secs_f64());
        match date(claims, "exp")? {
            Some(end) if now >= end + leeway => return Err(TokenFault::Expired),
            None if self.require_expiry => return Err(TokenFault::NoExpiry),
            _ => {}
        }
        if date(claims, "nbf")?.is_some_and(|start| now + leeway < start) {
            return Err(TokenFault::NotYetValid);
        }
        self.check_issuer(claims)?;
        self.check_audience(claims)
    }

    /// How long from `now` the token is good; `None`: for ever. One that is only good because clocks
    /// may differ is so until they cannot differ as much.
    pub(super) fn remaining(&self, claims: &Claims, now: SystemTime) -> Option<Duration> {
        let end = date(claims, "exp").ok()??;
        let now = seconds(now);
        let rest = match end > now {
            true => end - now,
            false => end + self.leeway.as_secs_f64() - now,
        };
        let rest = Duration::try_from_secs_f64(rest.max(0.0)).unwrap_or(LONGEST);
        Some(rest.min(LONGEST))
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), TokenFault> {
        let issuer = claims.0.get("iss").and_then(Value::as_str);
        let is_known = |issuer: &str| self.issuers.iter().any(|known| known == issuer);
        match self.issuers.is_empty() || issuer.is_some_and(is_known) {
            true => Ok(()),
            false => Err(TokenFault::Issuer),
        }
    }

    /// RFC 7519 §4.1.3: a token that is for others is not for us.
    fn check_audience(&self, claims: &Claims) -> Result<(), TokenFault> {
        let is_ours = |audience: &Value| {
            let audience = audience.as_str();
            audience.is_some_and(|audience| self.audiences.iter().any(|own| own == audience))
        };
        match claims.0.get("aud") {
            None if self.audiences.is_empty() => Ok(()),
            Some(_) if self.audiences.is_empty() => Err(TokenFault::AudienceUnknown),
            Some(Value::Array(all)) if all.iter().any(is_ours) => Ok(()),
            Some(one) if is_ours(one) => Ok(()),
            _ => Err(TokenFault::Audience),
        }
    }
}

/// RFC 7519 §2: a NumericDate.
fn date(claims: &Claims, name: &str) -> Result<Option<f64>, TokenFault> {
    let Some(value) = claims.0.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite());
    seconds.map(Some).ok_or(TokenFault::Malformed)
}

fn seconds(time: SystemTime) -> f64 {
    // A clock before 1970 is not set: no token is good then.
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
