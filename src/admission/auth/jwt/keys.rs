//! What signatures are verified by: a set of public keys as a provider publishes it (RFC 7517), or
//! the one key of the configuration.
//!
//! A set comes from elsewhere, so it is bounded, and what it says is checked once, when it is read.
//! Keys that cannot verify a token are left out; secrets are never taken from a set, as whoever can
//! read it could then sign.

use super::signatures::Signatures;
use super::token::Token;
use crate::config::{KeyKind, PublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// A longer set is refused unread.
pub(in crate::admission::auth) const KEY_SET_BYTES_MAX: usize = 512 * 1024;
const KEYS_MAX: usize = 256;
/// Of those that a token may be signed by, if it does not say by which.
const TRIED_MAX: usize = 8;

/// Keys that verify tokens.
#[derive(Debug)]
pub(in crate::admission) struct KeySet {
    keys: Vec<Key>,
    /// What they have verified already.
    verified: Signatures,
}

#[derive(Debug)]
struct Key {
    /// As tokens name it; `None`: they need not.
    id: Option<Box<str>>,
    kind: KeyKind,
    /// The only one that it is for, if it says so.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

/// Why a key set is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::admission) enum KeySetError {
    /// Nobody needs so much.
    #[error("the key set is longer than {KEY_SET_BYTES_MAX} bytes")]
    TooLong,
    /// Not a JSON object with a list of `keys`.
    #[error("this is not a key set: {0}")]
    Malformed(String),
    /// Nobody needs so many.
    #[error("the key set has {0} keys, more than {KEYS_MAX}")]
    TooMany(usize),
    /// None of a known kind, for signatures, and strong enough.
    #[error("none of the {0} keys in the set can verify a token")]
    NoneUsable(usize),
}

/// Why no key of a set verifies a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unverified {
    /// The token names a key that is not there.
    UnknownKey,
    /// No key that it may be signed by is for that algorithm.
    NoFittingKey,
    /// It is not a signature of the token.
    Signature,
}

impl KeySet {
    /// Reads a JWK Set.
    pub(super) fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        if json.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetError::TooLong);
        }
        let malformed = |error: serde_json::Error| KeySetError::Malformed(error.to_string());
        let Document { keys } = serde_json::from_slice(json).map_err(malformed)?;
        let written = keys.len();
        if written > KEYS_MAX {
            return Err(KeySetError::TooMany(written));
        }
        let keys: Vec<Key> = keys.into_iter().filter_map(Key::of_jwk).collect();
        match keys.is_empty() {
            true => Err(KeySetError::NoneUsable(written)),
            false => Ok(Self::of(keys)),
        }
    }

    /// The one public key of a configuration, whatever tokens call it.
    pub(super) fn of_public_key(key: &PublicKey) -> Self {
        let keys = vec![Key {
            id: None,
            kind: key.kind,
            algorithm: None,
            key: decoding_key(key),
        }];
        Self::of(keys)
    }

    /// The secret of a configuration.
    pub(super) fn of_secret(secret: &str) -> Self {
        let keys = vec![Key {
            id: None,
            kind: KeyKind::Secret,
            algorithm: None,
            key: DecodingKey::from_secret(secret.as_bytes()),
        }];
        Self::of(keys)
    }

    fn of(keys: Vec<Key>) -> Self {
        Self {
            keys,
            verified: Signatures::default(),
        }
    }

    /// How many keys can verify tokens; at least one.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether a token is signed by the key that it names.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), Unverified> {
        match KeyKind::of(token.algorithm) {
            // A hash costs as much as looking it up.
            Some(KeyKind::Secret) => self.verify_anew(token),
            _ => self.verified.check(token.whole, || self.verify_anew(token)),
        }
    }

    fn verify_anew(&self, token: &Token<'_>) -> Result<(), Unverified> {
        let (id, algorithm) = (token.key_id.as_deref(), token.algorithm);
        let is_named = |key: &&Key| id.is_some() && key.id.as_deref() == id;
        let is_known = self.keys.iter().any(|key| is_named(&key));
        let may_be = |key: &&Key| match (id, is_known) {
            (None, _) => true,
            (Some(_), true) => is_named(key),
            // A set whose keys have no names has one that is meant.
            (Some(_), false) => key.id.is_none(),
        };
        let mut named = self.keys.iter().filter(may_be).peekable();
        if named.peek().is_none() {
            return Err(Unverified::UnknownKey);
        }
        let mut fitting = named.filter(|key| key.fits(algorithm)).peekable();
        if fitting.peek().is_none() {
            return Err(Unverified::NoFittingKey);
        }
        let verifies = |key: &Key| {
            let verified =
                jsonwebtoken::crypto::verify(token.signature, token.message, &key.key, algorithm);
            verified.unwrap_or(false)
        };
        match fitting.take(TRIED_MAX).any(verifies) {
            true => Ok(()),
            false if id.is_some() && !is_known && self.has_names() => Err(Unverified::UnknownKey),
            false => Err(Unverified::Signature),
        }
    }

    fn has_names(&self) -> bool {
        self.keys.iter().any(|key| key.id.is_some())
    }
}

impl Key {
    /// `None`: not one that verifies tokens.
    fn of_jwk(jwk: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let is_to_verify = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk
                .operations
                .as_ref()
                .is_none_or(|all| all.iter().any(|one| one == "verify"));
        if !is_to_verify {
            return None;
        }
        let (kind, key) = jwk.key()?;
        let algorithm = match jwk.algorithm.as_deref() {
            None => None,
            // One that is for something else, such as encryption, has no algorithm of ours.
            Some(name) => Some(algorithm_named(name)?),
        };
        let is_consistent = algorithm.is_none_or(|one| KeyKind::of(one) == Some(kind));
        is_consistent.then(|| Self {
            id: jwk.id.map(String::into_boxed_str),
            kind,
            algorithm,
            key,
        })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        KeyKind::of(algorithm) == Some(self.kind)
            && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

/// By its name in a token or a key; RFC 9864 gives `EdDSA` with this curve a name of its own.
pub(super) fn algorithm_named(name: &str) -> Option<Algorithm> {
    match name {
        "Ed25519" => Some(Algorithm::EdDSA),
        name => name.parse().ok(),
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// RFC 7517 §4, RFC 7518 §6, RFC 8037 §2: as much of it as verifies signatures.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(rename = "key_ops")]
    operations: Option<Vec<String>>,
    #[serde(rename = "alg")]
    algorithm: Option<String>,
    #[serde(rename = "kid")]
    id: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwk {
    fn key(&self) -> Option<(KeyKind, DecodingKey)> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => self.point(KeyKind::P256, 32),
            ("EC", Some("P-384")) => self.point(KeyKind::P384, 48),
            ("OKP", Some("Ed25519")) => {
                let key = PublicKey::new(KeyKind::Ed25519, decode(self.x.as_deref())?)?;
                Some((KeyKind::Ed25519, decoding_key(&key)))
            }
            ("RSA", _) => self.rsa(),
            _ => None,
        }
    }

    fn point(&self, kind: KeyKind, length: usize) -> Option<(KeyKind, DecodingKey)> {
        let x = decode(self.x.as_deref())?;
        let y = decode(self.y.as_deref())?;
        let is_whole = x.len() == length && y.len() == length;
        // SEC 1 §2.3.3: uncompressed.
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let key = PublicKey::new(kind, point).filter(|_| is_whole)?;
        Some((kind, decoding_key(&key)))
    }

    fn rsa(&self) -> Option<(KeyKind, DecodingKey)> {
        let modulus = decode(self.n.as_deref())?;
        let exponent = decode(self.e.as_deref())?;
        // Some encoders write a sign before the first bit.
        let modulus = without_leading_zeros(&modulus);
        let exponent = without_leading_zeros(&exponent);
        let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        let is_strong = KeyKind::RSA_BITS.contains(&u32::try_from(bits).ok()?);
        let is_usual = (1..=8).contains(&exponent.len()) && exponent.last()? % 2 == 1;
        let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
        (is_strong && is_usual).then_some((KeyKind::Rsa, key))
    }
}

fn decode(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok()
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn decoding_key(key: &PublicKey) -> DecodingKey {
    match key.kind {
        KeyKind::Rsa => DecodingKey::from_rsa_der(&key.bytes),
        KeyKind::P256 | KeyKind::P384 => DecodingKey::from_ec_der(&key.bytes),
        KeyKind::Ed25519 => DecodingKey::from_ed_der(&key.bytes),
        KeyKind::Secret => DecodingKey::from_secret(&key.bytes),
    }
}
