//! A value that means nothing to anybody.

use aws_lc_rs::rand;

/// Thirty-two hexadecimal digits that nobody can guess or has had before.
pub fn opaque_value() -> String {
    let mut bytes = [0; 16];
    // Without entropy there is no TLS either; values that are all alike only spread nobody.
    let _ = rand::fill(&mut bytes);
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
