//! A token as it is written (RFC 7515 §7.1), and everything that may be wrong with one.
//!
//! Nothing in here is believed: what a token says of itself only decides which of our own keys and
//! algorithms it is held against. Keys that it brings along (`jwk`, `jku`, `x5c`, `x5u`) are not read.

use super::keys::{Unverified, algorithm_named};
use crate::admission::auth::Fault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

/// A longer one is not looked into.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A token that is well formed, and not yet verified.
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// All of it.
    pub(super) whole: &'t [u8],
    /// What is signed.
    pub(super) message: &'t [u8],
    /// In base64url.
    pub(super) signature: &'t str,
    payload: &'t str,
}

/// What is wrong with a token. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::admission) enum TokenFault {
    /// Unread.
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts of base64url, a header and claims.
    #[error("the token is malformed")]
    Malformed,
    /// Unknown, `none`, or not one of those configured.
    #[error("the token is signed by an algorithm that is not accepted")]
    Algorithm,
    /// RFC 7515 §4.1.11: who does not understand them must refuse. We understand none.
    #[error("the token has critical extensions")]
    Critical,
    /// There has never been a key set.
    #[error("no key set has been fetched yet")]
    NoKeys,
    /// The key that it names is in no set that we know.
    #[error("the token is signed by a key that is not known")]
    UnknownKey,
    /// That key is for other algorithms.
    #[error("no key fits the algorithm of the token")]
    NoFittingKey,
    /// Forged, or signed by another key.
    #[error("the signature of the token is wrong")]
    Signature,
    /// `exp`
    #[error("the token has expired")]
    Expired,
    /// `nbf`
    #[error("the token is not valid yet")]
    NotYetValid,
    /// No `exp`, where there must be one.
    #[error("the token never expires")]
    NoExpiry,
    /// `iss`
    #[error("the token is of another issuer")]
    Issuer,
    /// `aud`
    #[error("the token is for another audience")]
    Audience,
    /// `aud`, where no audience is configured (RFC 7519 §4.1.3).
    #[error("the token is for an audience, and none is configured")]
    AudienceUnknown,
    /// No claim that names the user, or none that can.
    #[error("the token names no user")]
    Identity,
}

impl From<TokenFault> for Fault {
    fn from(fault: TokenFault) -> Self {
        Self(fault.to_string().into())
    }
}

impl From<Unverified> for TokenFault {
    fn from(why: Unverified) -> Self {
        match why {
            Unverified::UnknownKey => Self::UnknownKey,
            Unverified::NoFittingKey => Self::NoFittingKey,
            Unverified::Signature => Self::Signature,
        }
    }
}

impl<'t> Token<'t> {
    /// Reads the header, and finds the other parts.
    pub(super) fn parse(token: &'t [u8]) -> Result<Self, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::TooLong);
        }
        let text = std::str::from_utf8(token).map_err(|_| TokenFault::Malformed)?;
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Malformed);
        };
        let header = object(header)?;
        if header.contains_key("crit") {
            return Err(TokenFault::Critical);
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.ok_or(TokenFault::Malformed)?;
        Ok(Self {
            algorithm: algorithm_named(algorithm).ok_or(TokenFault::Algorithm)?,
            key_id: key_id(&header)?,
            whole: token,
            message: &token[..token.len() - signature.len() - 1],
            signature,
            payload,
        })
    }

    /// To be read once it is verified.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, TokenFault> {
        object(self.payload)
    }
}

fn key_id(header: &Map<String, Value>) -> Result<Option<String>, TokenFault> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(_) => Err(TokenFault::Malformed),
    }
}

fn object(part: &str) -> Result<Map<String, Value>, TokenFault> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenFault::Malformed)
}
