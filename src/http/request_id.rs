//! The name of a request, by which a client's report, the log and the upstream's log come together.

use super::random::random;

/// Sixteen hexadecimal digits that nobody can guess or has had before.
pub fn request_id() -> String {
    // Without entropy there is no TLS and no masking key either; an id of zeros harms nobody.
    let bytes = random().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_plain() {
        let (one, two) = (request_id(), request_id());
        assert_ne!(one, two);
        assert_eq!(one.len(), 16);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
