//! An identity provider: signs tokens and publishes its key. Written without the library that the gateway
//! reads tokens with.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Who signs.
pub struct Issuer {
    key: Ed25519KeyPair,
    id: String,
}

impl Issuer {
    /// With a key of its own, which it calls `id`.
    pub fn new(id: &str) -> Self {
        Self {
            key: Ed25519KeyPair::generate().unwrap(),
            id: id.to_owned(),
        }
    }

    /// What it publishes.
    pub fn key_set(&self) -> String {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.key.public_key());
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.id, "x": x });
        json!({ "keys": [key] }).to_string()
    }

    /// For `ann`, good for an hour.
    pub fn token(&self) -> String {
        self.sign(&json!({ "sub": "ann", "exp": now() + 3600.0 }))
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({ "alg": "EdDSA", "kid": self.id }), claims)
    }

    /// With a header that it would not write.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// As tokens count time.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}
