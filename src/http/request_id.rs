//! The name of a request, by which a client's report, the log and the upstream's log come together.

use aws_lc_rs::rand;

/// Sixteen hexadecimal digits that nobody can guess or has had before.
pub fn request_id() -> String {
    let mut bytes = [0; 8];
    // Without entropy there is no TLS and no masking key either; an id of zeros harms nobody.
    let _ = rand::fill(&mut bytes);
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
