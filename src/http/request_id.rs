//! The name of a request, by which a client's report, the log and the upstream's log come together.

use super::random::random;
use std::fmt;

/// Sixteen hexadecimal digits that nobody can guess or has had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// Another one.
    pub fn fresh() -> Self {
        // Without entropy there is no TLS and no masking key either; an id of zeros harms nobody.
        let drawn: [u8; 8] = random().unwrap_or_default();
        let mut digits = [0; 16];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(drawn) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0xf)];
        }
        Self(digits)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        // There is nothing but digits.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_plain() {
        let (one, two) = (RequestId::fresh(), RequestId::fresh());
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 16);
        assert!(one.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
