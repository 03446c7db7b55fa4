//! Public keys that tokens are verified by, and which algorithm each kind of key is for (RFC 7518 §3.1).

use crate::config::kind::{Kind, Shape, existing_file, plainly};
use crate::config::problem::Problem;
use crate::config::reader::{Node, Table};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaParameters};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::json;
use std::fs;
use std::ops::RangeInclusive;
use toml::de::DeValue;

/// What a key can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// HS256, HS384, HS512: who can verify can also sign.
    Secret,
    /// RS256, RS384, RS512, PS256, PS384, PS512
    Rsa,
    /// ES256
    P256,
    /// ES384
    P384,
    /// EdDSA
    Ed25519,
}

impl KeyKind {
    /// Bits of an RSA key that signatures are verified by: fewer are too weak, more cost too much.
    pub const RSA_BITS: RangeInclusive<u32> = 2048..=8192;

    /// The only kind of key that fits `algorithm`; `None` for an algorithm that nobody knows yet.
    pub fn of(algorithm: Algorithm) -> Option<Self> {
        use Algorithm::{
            ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512,
        };
        Some(match algorithm {
            HS256 | HS384 | HS512 => Self::Secret,
            RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => Self::Rsa,
            ES256 => Self::P256,
            ES384 => Self::P384,
            EdDSA => Self::Ed25519,
            _ => return None,
        })
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Secret => "a secret",
            Self::Rsa => "an RSA key",
            Self::P256 => "a key on P-256",
            Self::P384 => "a key on P-384",
            Self::Ed25519 => "an Ed25519 key",
        }
    }

    fn algorithms(self) -> &'static str {
        match self {
            Self::Secret => "`HS256`, `HS384`, `HS512`",
            Self::Rsa => "`RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`",
            Self::P256 => "`ES256`",
            Self::P384 => "`ES384`",
            Self::Ed25519 => "`EdDSA`",
        }
    }

    /// That a key of this kind cannot be asked for `algorithm`.
    pub(super) fn mismatch(self, algorithm: &str) -> Problem {
        Problem::new(format!("`{algorithm}` is not verified by {}", self.noun()))
            .help(format!("write any of {}", self.algorithms()))
    }
}

/// A public key that signatures can be verified by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Never [`KeyKind::Secret`].
    pub kind: KeyKind,
    /// An `RSAPublicKey` in DER, a point of a curve uncompressed, or the 32 bytes of Ed25519.
    pub bytes: Vec<u8>,
}

impl PublicKey {
    /// From its bytes; `None` where they are no such key, or one too weak.
    pub fn new(kind: KeyKind, bytes: Vec<u8>) -> Option<Self> {
        let is_key = match kind {
            KeyKind::Secret => false,
            KeyKind::Rsa => {
                RsaParameters::public_modulus_len(&bytes)
                    .is_ok_and(|bits| KeyKind::RSA_BITS.contains(&bits))
                    && ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &bytes).is_ok()
            }
            KeyKind::P256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &bytes).is_ok(),
            KeyKind::P384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &bytes).is_ok(),
            KeyKind::Ed25519 => ParsedPublicKey::new(&ED25519, &bytes).is_ok(),
        };
        is_key.then_some(Self { kind, bytes })
    }

    fn from_pem(text: &str) -> Result<Self, Problem> {
        match label(text) {
            Some("PUBLIC KEY" | "RSA PUBLIC KEY") => {}
            Some(label) if label.ends_with("PRIVATE KEY") => {
                return Err(Problem::new("this is a private key").help(
                    "write the public one, so that who reads it here can sign nothing: `openssl pkey -in private.pem -pubout`",
                ));
            }
            Some("CERTIFICATE") => {
                return Err(Problem::new("this is a certificate").help(
                    "write its public key: `openssl x509 -in certificate.pem -noout -pubkey`",
                ));
            }
            _ => return Err(not_pem()),
        }
        let pem = text.as_bytes();
        let rsa = || read(DecodingKey::from_rsa_pem(pem), |_| Some(KeyKind::Rsa));
        let ec = || read(DecodingKey::from_ec_pem(pem), |point| curve(point.len()));
        let ed = || read(DecodingKey::from_ed_pem(pem), |_| Some(KeyKind::Ed25519));
        rsa().or_else(ec).or_else(ed).ok_or_else(|| {
            Problem::new("this is no key that tokens can be verified by")
                .help("keys are RSA from 2048 to 8192 bits, elliptic on P-256 or P-384, or Ed25519")
        })
    }
}

/// By the length of an uncompressed point.
fn curve(length: usize) -> Option<KeyKind> {
    match length {
        65 => Some(KeyKind::P256),
        97 => Some(KeyKind::P384),
        _ => None,
    }
}

fn read(
    key: jsonwebtoken::errors::Result<DecodingKey>,
    kind: fn(&[u8]) -> Option<KeyKind>,
) -> Option<PublicKey> {
    let key = key.ok()?;
    let bytes = key.try_get_as_bytes().ok()?;
    PublicKey::new(kind(bytes)?, bytes.to_vec())
}

/// What the first block of a PEM file calls itself.
fn label(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    rest.split_once("-----").map(|(label, _)| label)
}

fn not_pem() -> Problem {
    Problem::new("this is not a public key in PEM").help(
        "it begins with `-----BEGIN PUBLIC KEY-----`; `{ file = \"path\" }` reads it from a file",
    )
}

/// A kind: a public key in PEM, or `{ file = "path" }` with one.
pub(super) fn public_key() -> Pem {
    Pem
}

/// See [`public_key`].
pub(super) struct Pem;

const WHAT: &str = "a public key in PEM or `{ file = \"path\" }`";

impl Kind for Pem {
    type Out = PublicKey;

    fn read(&self, node: &Node<'_>) -> Option<PublicKey> {
        // It may be a private one.
        node.hide_strings(&["file"]);
        let text = match node.value() {
            DeValue::String(_) => node.text(WHAT)?,
            DeValue::Table(_) => from_file(node)?,
            _ => return node.expected(WHAT),
        };
        match PublicKey::from_pem(&text) {
            Ok(key) => Some(key),
            Err(problem) => node.refuse(problem),
        }
    }

    fn shape(&self) -> Shape {
        let string = Shape::new(
            "a public key in PEM",
            json!({ "type": "string", "minLength": 1 }),
        );
        string.or(Shape::new(
            "`{ file = \"path\" }`",
            json!({
                "type": "object",
                "properties": { "file": { "type": "string" } },
                "required": ["file"],
                "additionalProperties": false,
            }),
        ))
    }
}

fn from_file(node: &Node<'_>) -> Option<String> {
    let table = Table::new(node.clone(), "a public key")?;
    let path = table.required("file", &existing_file("a public key"));
    table.finish();
    match fs::read_to_string(path?) {
        Ok(text) => Some(text),
        Err(error) => {
            let title = format!("can't read this: {}", plainly(&error));
            node.refuse(Problem::new(title))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
    use rcgen::{PKCS_RSA_SHA256, PublicKeyData as _};

    #[test]
    fn public_keys_are_read_and_known_by_kind() {
        for (algorithm, kind) in [
            (&PKCS_ECDSA_P256_SHA256, KeyKind::P256),
            (&PKCS_ECDSA_P384_SHA384, KeyKind::P384),
            (&PKCS_ED25519, KeyKind::Ed25519),
            (&PKCS_RSA_SHA256, KeyKind::Rsa),
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let key = PublicKey::from_pem(&pair.public_key_pem()).unwrap();
            assert_eq!(key.kind, kind);
            if kind != KeyKind::Rsa {
                assert_eq!(key.bytes, pair.der_bytes());
            }
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let pair = KeyPair::generate().unwrap();
        let public = pair.public_key_pem();
        let refused = |text: &str| PublicKey::from_pem(text).unwrap_err().title;
        assert_eq!(refused(&pair.serialize_pem()), "this is a private key");
        let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        assert_eq!(refused(&certificate.cert.pem()), "this is a certificate");
        assert_eq!(refused(""), "this is not a public key in PEM");
        assert_eq!(refused("secret"), "this is not a public key in PEM");
        let cut: String = public.lines().take(2).collect();
        assert!(refused(&cut).starts_with("this is no key"), "{cut}");
        // On P-521, for which no token is accepted.
        let p521 = "-----BEGIN PUBLIC KEY-----\n\
            MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBMTtU0A==\n-----END PUBLIC KEY-----\n";
        assert!(refused(p521).starts_with("this is no key"));
    }

    #[test]
    fn a_point_off_its_curve_is_no_key() {
        let pair = KeyPair::generate().unwrap();
        let mut bytes = pair.der_bytes().to_vec();
        assert!(PublicKey::new(KeyKind::P256, bytes.clone()).is_some());
        bytes[64] ^= 1;
        assert!(PublicKey::new(KeyKind::P256, bytes.clone()).is_none());
        assert!(PublicKey::new(KeyKind::P384, bytes.clone()).is_none());
        assert!(PublicKey::new(KeyKind::Secret, bytes).is_none());
    }
}
