//! `Sec-WebSocket-Key` and the `Sec-WebSocket-Accept` that proves it was read (RFC 6455 §4).

use super::random::random;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a server answers to `key` in `Sec-WebSocket-Accept`.
pub fn accept_key(key: &str) -> String {
    let text = [key.as_bytes(), GUID].concat();
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text))
}

/// A new key for a handshake of the gateway's own.
pub fn fresh_key() -> String {
    let nonce: [u8; NONCE_LEN] =
        random().expect("the system's random numbers never run out once seeded");
    STANDARD.encode(nonce)
}

/// Whether `value` is the base64 form of 16 bytes. The four bits of the last character that carry
/// nothing may be anything: some clients make up the text rather than encode bytes.
pub(super) fn is_key(value: &[u8]) -> bool {
    let Some(digits) = value.strip_suffix(b"==") else {
        return false;
    };
    digits.len() == 22
        && digits
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// RFC 6455 §4.1: "a randomly selected 16-byte value".
const NONCE_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_that_of_the_rfc() {
        assert_eq!(
            accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn fresh_keys_are_valid_and_differ() {
        let (one, other) = (fresh_key(), fresh_key());
        assert!(is_key(one.as_bytes()) && is_key(other.as_bytes()));
        assert_ne!(one, other);
    }

    #[test]
    fn a_key_is_sixteen_bytes_of_base64() {
        for (value, expected) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", true),
            ("AQIDBAUGBwgJCgsMDQ4PEC==", true),
            ("abcdefghijklmnopqrstuv==", true),
            ("", false),
            ("==", false),
            ("dGhlIHNhbXBsZSBub25jZQ", false),
            ("dGhlIHNhbXBsZSBub25jZQ=", false),
            ("dGhlIHNhbXBsZSBub25j", false),
            ("dGhlIHNhbXBsZSBub25jZWQ=", false),
            ("dGhlIHNhbXBsZSBub25jZQ===", false),
            ("dGhlIHNhbXBsZSBub25jZ-==", false),
            ("dGhlIHNhbXBs ZSBub25jZ==", false),
        ] {
            assert_eq!(is_key(value.as_bytes()), expected, "{value}");
        }
    }
}
