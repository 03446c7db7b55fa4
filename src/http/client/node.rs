//! Addresses as proxies write them (RFC 7239 §6, and what `X-Forwarded-For` has become).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An address with or without a port; IPv6 with a port stands in brackets. An IPv4 address that was
/// mapped is itself. `unknown` and hidden names are no addresses.
pub(super) fn node(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::from)
    };
    let address: Option<IpAddr> = text.parse().ok();
    let address = address.or_else(with_port).or_else(bracketed);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_spelling() {
        for (text, expected) in [
            ("192.0.2.7", Some("192.0.2.7")),
            ("192.0.2.7:4711", Some("192.0.2.7")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("[2001:db8::7]:4711", Some("2001:db8::7")),
            ("2001:DB8:0::7", Some("2001:db8::7")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("[::ffff:192.0.2.7]:1", Some("192.0.2.7")),
            ("", None),
            ("unknown", None),
            ("_hidden", None),
            ("localhost", None),
            ("192.0.2", None),
            ("192.0.2.07", None),
            ("192.0.2.7:", None),
            ("192.0.2.7:x", None),
            ("192.0.2.7:65536", None),
            ("[192.0.2.7]", None),
            ("[192.0.2.7]:1", None),
            ("[2001:db8::7", None),
            ("2001:db8::7]", None),
            ("[2001:db8::7]x", None),
            ("fe80::1%eth0", None),
            (" 192.0.2.7", None),
        ] {
            let found = node(text).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
