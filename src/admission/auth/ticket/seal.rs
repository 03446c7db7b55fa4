//! Tickets are sealed (AES-256-GCM, NIST SP 800-38D): nobody but a gateway with the same secret can read,
//! change or make one.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What the key of a secret is for, so that the same secret elsewhere gives another.
const PURPOSE: &[u8] = b"wsgate ticket 1";

/// The key of one method.
pub(super) struct Seal {
    key: LessSafeKey,
    /// Bound into each ticket: one of another method is none.
    method: Vec<u8>,
}

/// What was sealed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// Each ticket has another, drawn at random.
    pub(super) number: [u8; NONCE_LEN],
    pub(super) content: Vec<u8>,
}

impl Seal {
    /// Of `secret`, or of one that nobody knows.
    pub(super) fn new(method: &str, secret: Option<&str>) -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        match secret {
            Some(secret) => {
                let pseudorandom = Salt::new(HKDF_SHA256, PURPOSE).extract(secret.as_bytes());
                pseudorandom
                    .expand(&[PURPOSE], &AES_256_GCM)?
                    .fill(&mut key)?;
            }
            None => rand::fill(&mut key)?,
        }
        Ok(Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key)?),
            method: method.as_bytes().to_vec(),
        })
    }

    /// Letters, digits, `-` and `_`.
    pub(super) fn close(&self, content: &[u8]) -> Result<String, Unspecified> {
        let mut number = [0; NONCE_LEN];
        rand::fill(&mut number)?;
        let mut sealed = content.to_vec();
        let nonce = Nonce::assume_unique_for_key(number);
        let aad = Aad::from(&self.method[..]);
        self.key.seal_in_place_append_tag(nonce, aad, &mut sealed)?;
        Ok(URL_SAFE_NO_PAD.encode([&number[..], &sealed].concat()))
    }

    /// `None` if it was not sealed by this key.
    pub(super) fn open(&self, ticket: &[u8]) -> Option<Opened> {
        let bytes = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let (number, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*number);
        let aad = Aad::from(&self.method[..]);
        let content = self.key.open_in_place(nonce, aad, &mut sealed).ok()?;
        Some(Opened {
            number: *number,
            content: content.to_vec(),
        })
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_and_nothing_else() {
        let seal = Seal::new("tickets", None).unwrap();
        let ticket = seal.close(b"content").unwrap();
        assert!(
            ticket
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert_eq!(seal.open(ticket.as_bytes()).unwrap().content, b"content");
        for at in 0..ticket.len() - 1 {
            let mut changed = ticket.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(&changed), None, "{at}");
            assert_eq!(seal.open(&ticket.as_bytes()[..at]), None, "{at}");
        }
        assert_ne!(ticket, seal.close(b"content").unwrap());
    }

    #[test]
    fn a_secret_and_a_method_make_the_key() {
        let seal = |method, secret| Seal::new(method, secret).unwrap();
        let ticket = seal("a", Some("one")).close(b"x").unwrap();
        let opens = |seal: Seal| seal.open(ticket.as_bytes()).is_some();
        assert!(opens(seal("a", Some("one"))));
        assert!(!opens(seal("a", Some("two"))));
        assert!(!opens(seal("b", Some("one"))));
        assert!(!opens(seal("a", None)));
    }
}
