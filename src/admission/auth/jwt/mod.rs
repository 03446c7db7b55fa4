//! `kind = "jwt"`: signed tokens. What a token says is looked at only once its signature is right; from
//! then on it says who it is, for how long, and what the upstream is told.

mod claims;
mod keys;
mod rules;
mod signatures;
#[cfg(test)]
mod tests;
mod token;
mod verifier;

use super::jwks::{Keys, KeysError};
use super::proof::{Fault, Lifetime, Proof};
use super::source::Source;
use super::{Check, MethodError, quoted, sources};
use crate::admission::{Ask, Identity};
use crate::config::{self, ClaimRule, KeySetPlace, TokenKeys};
use claims::{Claims, Terms};
use http::HeaderName;
use http::header::InvalidHeaderName;
pub(super) use keys::KEY_SET_BYTES_MAX;
use keys::KeySet;
use rules::Unspeakable;
use std::time::SystemTime;
use token::TokenFault;
use tokio::time::Instant;
use verifier::Verifier;

/// One `[auth.*]` of this kind.
#[derive(Debug)]
pub(super) struct Jwt {
    method: String,
    verifier: Verifier,
    keys: Keys<KeySet>,
    identity_claim: String,
    require_claims: Vec<(String, ClaimRule)>,
    claims_to_headers: Vec<(String, HeaderName)>,
    sources: Vec<Source>,
    /// `None`: a session goes on when its token has expired.
    expire_code: Option<u16>,
}

impl Jwt {
    pub(super) fn new(method: &str, settings: &config::Jwt) -> Result<Self, MethodError> {
        let header = |(claim, name): &(String, String)| {
            let name = HeaderName::from_bytes(name.as_bytes());
            Ok((claim.clone(), name.map_err(|why| invalid(method, why))?))
        };
        let headers = settings.claims_to_headers.iter().map(header);
        Ok(Self {
            method: method.to_owned(),
            verifier: Verifier {
                algorithms: settings.algorithms.clone(),
                terms: Terms {
                    issuers: settings.issuers.clone(),
                    audiences: settings.audiences.clone(),
                    leeway: settings.leeway,
                    require_expiry: settings.require_expiry,
                },
            },
            keys: keys(method, &settings.keys)?,
            identity_claim: settings.identity_claim.clone(),
            require_claims: settings.require_claims.clone(),
            claims_to_headers: headers.collect::<Result<_, _>>()?,
            sources: sources(method, &settings.sources)?,
            expire_code: settings.expire_code,
        })
    }

    /// The first place where there is a token decides.
    pub(super) fn check(&self, ask: &Ask<'_>) -> Check {
        let mut presented = self.sources.iter().filter_map(|one| one.read(ask));
        match presented.find(|token| !token.is_empty()) {
            None => Check::Absent,
            Some(token) => self.judge(&token, SystemTime::now()),
        }
    }

    fn judge(&self, token: &[u8], now: SystemTime) -> Check {
        let keys = self.keys.current();
        let verified = self.verifier.verify(keys.as_deref(), token, now);
        match verified.and_then(|claims| Ok((self.identity(&claims)?, claims))) {
            Ok((identity, claims)) => self.admit(identity, &claims, now),
            Err(fault @ TokenFault::NoKeys) => Check::Unavailable(fault.into()),
            Err(fault) => {
                if fault == TokenFault::UnknownKey {
                    self.keys.unknown_kid();
                }
                Check::Wrong(fault.into())
            }
        }
    }

    fn identity(&self, claims: &Claims) -> Result<Identity, TokenFault> {
        let name = claims.name(&self.identity_claim);
        name.and_then(|name| Identity::new(self.method.as_str(), name))
            .ok_or(TokenFault::Identity)
    }

    /// The token is good: is it good enough?
    fn admit(&self, identity: Identity, claims: &Claims, now: SystemTime) -> Check {
        let broken = |(path, rule): &&(String, ClaimRule)| !rules::holds(rule, claims.get(path));
        if let Some((path, _)) = self.require_claims.iter().find(broken) {
            return Check::Denied(Fault(
                format!("the claim `{path}` is not what it must be").into(),
            ));
        }
        match rules::headers(&self.claims_to_headers, claims) {
            Err(Unspeakable(path)) => Check::Denied(Fault(
                format!("the claim `{path}` cannot stand in a header").into(),
            )),
            Ok(headers) => Check::Admitted(Box::new(Proof {
                identity,
                lifetime: self.lifetime(claims, now),
                token_id: claims.name("jti").map(String::into_boxed_str),
                headers,
                since: None,
                recheck: None,
            })),
        }
    }

    fn lifetime(&self, claims: &Claims, now: SystemTime) -> Option<Lifetime> {
        let ends = Instant::now() + self.verifier.terms.remaining(claims, now)?;
        self.expire_code.map(|code| Lifetime { ends, code })
    }

    /// Never ends: keeps the keys up to date.
    pub(super) async fn follow(&self) {
        self.keys.follow(&self.method).await;
    }

    /// See [`Keys::fetch_now`].
    pub(super) async fn fetch_keys(&self) -> Result<(), KeysError> {
        self.keys.fetch_now(&self.method).await
    }

    /// RFC 6750 §3.
    pub(super) fn challenge(&self) -> String {
        format!("Bearer realm={}", quoted(&self.method))
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        self.sources.clone()
    }

    /// What it tells the upstream in, so that no client can.
    pub(super) fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.claims_to_headers.iter().map(|(_, name)| name)
    }
}

fn keys(method: &str, settings: &TokenKeys) -> Result<Keys<KeySet>, MethodError> {
    let keys = match settings {
        TokenKeys::Set { place, ca } => match place {
            KeySetPlace::File(path) => Keys::file(path.clone(), read),
            KeySetPlace::Url(url) => Keys::url(url.clone(), ca.clone(), read),
        },
        TokenKeys::Public(key) => Ok(Keys::fixed(KeySet::of_public_key(key))),
        TokenKeys::Secret(secret) => Ok(Keys::fixed(KeySet::of_secret(secret.expose()))),
    };
    keys.map_err(|source| MethodError::Keys {
        method: method.to_owned(),
        source: Box::new(source),
    })
}

fn read(json: &[u8]) -> Result<KeySet, String> {
    KeySet::parse(json).map_err(|error| error.to_string())
}

fn invalid(method: &str, source: InvalidHeaderName) -> MethodError {
    MethodError::Header {
        method: method.to_owned(),
        source,
    }
}
