//! Tokens signed with ES256, and the key that verifies them.

use crate::rig::Failure;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who signs.
pub(crate) struct Issuer {
    key: EncodingKey,
}

impl Issuer {
    /// Leaves the public key in `folder`, as `issuer.pem`.
    pub(crate) fn new(folder: &Path) -> Result<Self, Failure> {
        // ECDSA with P-256.
        let pair = KeyPair::generate()?;
        fs::write(folder.join("issuer.pem"), pair.public_key_pem())?;
        Ok(Self {
            key: EncodingKey::from_ec_der(&pair.serialize_der()),
        })
    }

    /// One with the claims that identity providers write, until `exp`.
    pub(crate) fn token(&self, number: usize, exp: f64) -> Result<String, Failure> {
        let claims = json!({
            "iss": "https://id.example.com/",
            "aud": "chat",
            "sub": format!("user-{number}"),
            "jti": format!("7a1c8f0e-0000-4000-8000-{number:012x}"),
            "scope": "openid profile chat",
            "exp": exp,
        });
        let header = Header::new(Algorithm::ES256);
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}

/// Seconds since 1970, as `exp` has it.
pub(crate) fn now() -> Result<f64, Failure> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}
