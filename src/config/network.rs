//! Networks, and the proxies in front of the gateway whose word is believed.

use super::kind::{Parsed, parsed};
use super::problem::{Log, Problem};
use super::root::Root;
use super::{EndpointAddress, ProxyProtocol};
use ipnet::IpNet;
use std::net::IpAddr;

/// One of `trusted_proxies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Whoever has an address in it.
    Network(IpNet),
    /// Whoever comes by a unix socket.
    Unix,
}

impl TrustedProxy {
    /// Whether a peer of this address is meant; `None` for one on a unix socket.
    pub fn is(self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Self::Network(network), Some(address)) => network.contains(&address),
            (Self::Unix, None) => true,
            _ => false,
        }
    }
}

/// A kind: an address, or a network in CIDR notation.
pub(super) fn network() -> Parsed<IpNet> {
    parsed(
        "a network (`\"10.0.0.0/8\"`, `\"2001:db8::/32\"`) or an address",
        ".",
        parse,
    )
}

/// A kind: the same, or `"unix"`.
pub(super) fn trusted_proxy() -> Parsed<TrustedProxy> {
    parsed(
        "a network (`\"10.0.0.0/8\"`, `\"2001:db8::/32\"`), an address, or `\"unix\"`",
        ".",
        |text| match text {
            "unix" => Ok(TrustedProxy::Unix),
            _ => parse(text).map(TrustedProxy::Network),
        },
    )
}

fn parse(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| {
        Problem::new(format!("`{text}` is not a network"))
            .help("write an address, or a network such as `10.0.0.0/8` or `2001:db8::/32`")
    })?;
    if network != network.trunc() {
        return Err(
            Problem::new(format!("`{text}` is an address within a network"))
                .help(format!("the network is `{}`", network.trunc()))
                .help(format!("the address alone is `{}`", network.addr())),
        );
    }
    Ok(canonical(network))
}

/// An IPv4 network that was written as IPv6 (RFC 4291 §2.5.5.2): clients of a `[::]` listener appear
/// with their IPv4 addresses.
fn canonical(network: IpNet) -> IpNet {
    match (
        network.addr().to_canonical(),
        network.prefix_len().checked_sub(96),
    ) {
        (address @ IpAddr::V4(_), Some(prefix)) if network.addr().is_ipv6() => {
            IpNet::new(address, prefix).unwrap_or(network)
        }
        _ => network,
    }
}

/// Reports PROXY protocol headers that nobody is trusted to send, and those that nobody reads.
pub(super) fn check(root: &Root, log: &Log) {
    check_listeners(root, log);
    check_upstreams(root, log);
}

fn check_listeners(root: &Root, log: &Log) {
    let trusts_nobody = root
        .server
        .as_ref()
        .is_some_and(|server| server.trusted_proxies.is_empty());
    if !trusts_nobody {
        return;
    }
    for listener in root.listeners.iter().flatten() {
        if listener.value.proxy_protocol.value {
            log.add(
                Problem::new("`proxy_protocol` is on, and no proxy is trusted to speak it")
                    .at(&listener.value.proxy_protocol.place)
                    .help(
                        "name the load balancers whose word on the client's address is believed:\n\
                         [server]\ntrusted_proxies = [\"10.0.0.0/8\"]",
                    ),
            );
        }
    }
}

fn check_upstreams(root: &Root, log: &Log) {
    for (name, upstream) in &root.upstreams {
        let is_lost = upstream.as_ref().is_some_and(|upstream| {
            let mut endpoints = upstream.endpoints.iter();
            upstream.proxy_protocol != ProxyProtocol::Off
                && endpoints.all(|endpoint| endpoint.address == EndpointAddress::Echo)
        });
        if is_lost {
            let title = format!(
                "`proxy_protocol` of `{}` has no effect: its endpoints are built in",
                name.value
            );
            log.add(
                Problem::new(title)
                    .at(&name.place)
                    .help("leave `proxy_protocol` out"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_meant() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected);
        }
        for text in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "localhost",
            "10.*",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn peers_are_trusted_by_address_or_socket() {
        let network = TrustedProxy::Network("10.0.0.0/8".parse().unwrap());
        let address = |text: &str| Some(text.parse().unwrap());
        assert!(network.is(address("10.1.2.3")));
        assert!(!network.is(address("11.1.2.3")));
        assert!(!network.is(address("::1")));
        assert!(!network.is(None));
        assert!(TrustedProxy::Unix.is(None));
        assert!(!TrustedProxy::Unix.is(address("10.1.2.3")));
    }
}
