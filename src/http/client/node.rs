//! Addresses as proxies write them (RFC 7239 §6, and what `X-Forwarded-For` has become).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

/// An address with or without a port; IPv6 with a port stands in brackets. The zone of a link-local
/// one means nothing elsewhere, and an IPv4 address that was mapped is itself. `unknown` and hidden
/// names are no addresses.
pub(super) fn node(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, behind) = rest.split_once(']')?;
            let is_port = behind
                .strip_prefix(':')
                .is_some_and(|port| port.parse::<u16>().is_ok());
            (behind.is_empty() || is_port).then(|| ipv6(inner))?
        }
        None => ipv6(text).or_else(|| ipv4(text)),
    };
    address.map(|address| address.to_canonical())
}

fn ipv4(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|address: SocketAddrV4| *address.ip());
    let address: Option<Ipv4Addr> = text.parse().ok();
    address.or_else(with_port).map(IpAddr::from)
}

/// With or without a zone (RFC 4007 §11).
fn ipv6(text: &str) -> Option<IpAddr> {
    let address = match text.split_once('%') {
        Some((_, "")) => return None,
        Some((address, _)) => address,
        None => text,
    };
    address.parse::<Ipv6Addr>().ok().map(IpAddr::from)
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
            ("fe80::1%eth0", Some("fe80::1")),
            ("[fe80::1%25eth0]:80", Some("fe80::1")),
            ("fe80::1%", None),
            ("192.0.2.7%eth0", None),
            ("[2001:db8::7]:", None),
            ("[2001:db8::7]:-1", None),
            ("[[2001:db8::7]]", None),
            ("2001:db8::7:g", None),
            ("0x7f.0.0.1", None),
            ("2130706433", None),
            (" 192.0.2.7", None),
        ] {
            let found = node(text).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
