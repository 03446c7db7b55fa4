//! Tokens signed as an identity provider would, and everything that may be wrong with one.

mod claims;
mod keys;
mod signature;

use super::*;
use crate::config::{ClaimValue, CredentialSource, PublicKey, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// Who issues tokens.
struct Issuer {
    algorithm: Algorithm,
    key: EncodingKey,
    /// What the world knows of it.
    jwk: Value,
}

impl Issuer {
    fn new(algorithm: Algorithm) -> Self {
        let pair = KeyPair::generate_for(match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        });
        let pair = pair.unwrap();
        let (der, public) = (pair.serialize_der(), pair.der_bytes());
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve, length: usize| {
            let (x, y) = public[1..].split_at(length);
            json!({ "kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y) })
        };
        let (key, jwk) = match algorithm {
            Algorithm::ES256 => (EncodingKey::from_ec_der(&der), point("P-256", 32)),
            Algorithm::ES384 => (EncodingKey::from_ec_der(&der), point("P-384", 48)),
            Algorithm::EdDSA => (
                EncodingKey::from_ed_der(&der),
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(public) }),
            ),
            _ => {
                let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
                let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, algorithm).unwrap();
                let mut jwk = serde_json::to_value(jwk).unwrap();
                jwk.as_object_mut().unwrap().remove("alg");
                (key, jwk)
            }
        };
        Self {
            algorithm,
            key,
            jwk,
        }
    }

    fn named(mut self, id: &str) -> Self {
        self.jwk["kid"] = json!(id);
        self
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_with(
            &json!({ "alg": format!("{:?}", self.algorithm), "kid": self.jwk["kid"] }),
            claims,
        )
    }

    /// With a header that it would not write.
    fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let mut header = header.clone();
        if header["kid"].is_null() {
            header.as_object_mut().unwrap().remove("kid");
        }
        sign(
            &header,
            claims.to_string().as_bytes(),
            &self.key,
            self.algorithm,
        )
    }
}

fn sign(header: &Value, payload: &[u8], key: &EncodingKey, algorithm: Algorithm) -> String {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn set(keys: &[&Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({ "sub": "ann", "exp": NOW + 60 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn settings() -> config::Jwt {
    config::Jwt {
        algorithms: vec![Algorithm::ES256],
        keys: TokenKeys::Secret(Secret::new(SECRET)),
        issuers: Vec::new(),
        audiences: Vec::new(),
        leeway: Duration::from_secs(30),
        require_expiry: true,
        identity_claim: "sub".to_owned(),
        require_claims: Vec::new(),
        claims_to_headers: Vec::new(),
        sources: vec![CredentialSource::Header("authorization".to_owned())],
        expire_code: Some(3000),
    }
}

/// A method with these keys.
fn method(settings: &config::Jwt, keys: KeySet) -> Jwt {
    let mut method = Jwt::new("people", settings).unwrap();
    method.keys = Keys::fixed(keys);
    method
}

/// The identity, or why there is none.
fn told(method: &Jwt, token: &str) -> String {
    match method.judge(token.as_bytes(), now()) {
        Check::Admitted(proof) => proof.identity.to_string(),
        Check::Wrong(fault) => fault.to_string(),
        Check::Denied(fault) => format!("denied: {fault}"),
        Check::Unavailable(fault) => format!("unavailable: {fault}"),
        Check::Absent | Check::Answered(_) => panic!("{token}"),
    }
}
