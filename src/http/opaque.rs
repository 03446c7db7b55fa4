//! A value that means nothing to anybody.

use super::random::random;

/// Thirty-two hexadecimal digits that nobody can guess or has had before.
pub fn opaque_value() -> String {
    // Without entropy there is no TLS either; values that are all alike only spread nobody.
    let bytes = random().unwrap_or_default();
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_differ_and_are_plain() {
        let (one, two) = (opaque_value(), opaque_value());
        assert_ne!(one, two);
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
