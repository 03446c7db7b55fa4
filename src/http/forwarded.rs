//! What an upstream learns of the client behind the gateway.
//!
//! Whatever a client claims of itself in such headers is taken out first, under every name that
//! servers are known to believe.

use super::Scheme;
use super::headers::{Reserved, folded, remove_where};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::LazyLock;

/// The client's side of a request, as the gateway knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded<'a> {
    /// The client first, then the proxies up to the gateway's own peer; empty for a client on a unix
    /// socket.
    pub chain: &'a [IpAddr],
    /// How the client reached the gateway.
    pub scheme: Scheme,
    /// `Host` as the client wrote it, with its port.
    pub host: &'a str,
    /// What was taken off the front of the path.
    pub prefix: Option<&'a str>,
    /// The gateway's name for this request.
    pub request_id: &'a str,
}

impl Forwarded<'_> {
    /// Puts the gateway's word in the place of the client's.
    pub fn apply(self, headers: &mut HeaderMap) {
        remove_claims(headers);
        let chain = self.named_chain();
        if let Some(client) = chain.split(", ").next().filter(|client| !client.is_empty()) {
            set(headers, X_REAL_IP, client);
            set(headers, X_FORWARDED_FOR, &chain);
        }
        let scheme = HeaderValue::from_static(self.scheme.as_str());
        headers.insert(X_FORWARDED_PROTO, scheme);
        set(headers, X_FORWARDED_HOST, self.host);
        set(headers, X_REQUEST_ID, self.request_id);
        if let Some(prefix) = self.prefix {
            set(headers, X_FORWARDED_PREFIX, prefix);
        }
    }

    /// An IPv6 client that came over an IPv4 socket is an IPv4 client.
    fn named_chain(&self) -> String {
        let mut named = String::with_capacity(self.chain.len() * USUAL_ADDRESS);
        for hop in self.chain {
            if !named.is_empty() {
                named.push_str(", ");
            }
            // Writing to a String cannot fail.
            let _ = write!(named, "{}", hop.to_canonical());
        }
        named
    }
}

/// Takes out all that a client says of its own address, scheme, host and request id.
fn remove_claims(headers: &mut HeaderMap) {
    let is_claim = |name: &HeaderName| {
        let name = name.as_str();
        folded(name).take(FORWARDED.len()).eq(FORWARDED.bytes()) || CLAIMS.contains(name)
    };
    remove_where(headers, is_claim);
}

/// A value that no header may hold is left out; hosts, prefixes and ids are checked where they
/// come from.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Room for an address with the comma before it, as far as most need it.
const USUAL_ADDRESS: usize = 24;

/// All that begin so are claims.
const FORWARDED: &str = "x-forwarded-";

/// Other claims: the standard one, ours, and those of proxies and networks that upstreams may trust.
static CLAIMS: LazyLock<Reserved> = LazyLock::new(|| {
    Reserved::new([
        "forwarded",
        "x-forwarded",
        "forwarded-for",
        "x-original-forwarded-for",
        "x-forward-for",
        "x-real-ip",
        "x-request-id",
        "client-ip",
        "http-client-ip",
        "proxy-client-ip",
        "wl-proxy-client-ip",
        "remote-addr",
        "x-remote-addr",
        "x-remote-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-originating-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "cf-visitor",
        "cloudfront-forwarded-proto",
        "cloudfront-viewer-address",
        "do-connecting-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "x-azure-clientip",
        "x-envoy-external-address",
        "front-end-https",
        "x-scheme",
        "x-url-scheme",
        "x-host",
        "x-http-host-override",
        "x-original-host",
        "x-original-url",
        "x-rewrite-url",
    ])
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By way of `chain`.
    fn apply(headers: &mut HeaderMap, chain: &[&str], prefix: Option<&str>) {
        let chain: Vec<IpAddr> = chain.iter().map(|hop| hop.parse().unwrap()).collect();
        let forwarded = Forwarded {
            chain: &chain,
            scheme: Scheme::Https,
            host: "a.example:8443",
            prefix,
            request_id: "r1",
        };
        forwarded.apply(headers);
    }

    #[test]
    fn the_gateway_speaks_for_the_client() {
        let mut headers = HeaderMap::new();
        apply(&mut headers, &["2001:db8::1"], Some("/chat"));
        for (name, value) in [
            ("x-forwarded-for", "2001:db8::1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "a.example:8443"),
            ("x-forwarded-prefix", "/chat"),
            ("x-real-ip", "2001:db8::1"),
            ("x-request-id", "r1"),
        ] {
            assert_eq!(headers.get(name).unwrap(), value);
        }
        assert_eq!(headers.len(), 6);
    }

    #[test]
    fn proxies_on_the_way_follow_the_client() {
        let mut headers = HeaderMap::new();
        apply(&mut headers, &["192.0.2.1", "10.0.0.2", "10.0.0.3"], None);
        let told = headers.get("x-forwarded-for").unwrap();
        assert_eq!(told, "192.0.2.1, 10.0.0.2, 10.0.0.3");
        assert_eq!(headers.get("x-real-ip").unwrap(), "192.0.2.1");
    }

    #[test]
    fn a_client_on_a_unix_socket_has_no_address_to_be_told() {
        let mut headers = HeaderMap::new();
        apply(&mut headers, &[], None);
        assert!(headers.get("x-forwarded-for").is_none());
        assert!(headers.get("x-real-ip").is_none());
    }

    #[test]
    fn mapped_addresses_are_told_as_what_they_are() {
        let mut headers = HeaderMap::new();
        apply(&mut headers, &["::ffff:192.0.2.1"], None);
        assert_eq!(headers.get("x-forwarded-for").unwrap(), "192.0.2.1");
    }

    #[test]
    fn claims_of_the_client_are_taken_out() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-forwarded-for",
            "x_forwarded_for",
            "x.forwarded.host",
            "x-forwarded-user",
            "x-forwarded-prefix",
            "forwarded",
            "x-real-ip",
            "x_real_ip",
            "x-request-id",
            "true-client-ip",
            "client-ip",
        ] {
            headers.append(name, HeaderValue::from_static("spoofed"));
            headers.append(name, HeaderValue::from_static("spoofed"));
        }
        headers.insert("x-forward", HeaderValue::from_static("mine"));
        apply(&mut headers, &["192.0.2.1"], None);
        assert!(headers.values().all(|value| value != "spoofed"));
        assert!(headers.get("x-forwarded-prefix").is_none());
        assert_eq!(headers.get("x-forward").unwrap(), "mine");
        assert_eq!(headers.len(), 6);
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_claim_passes(
            name in prop_oneof![
                proptest::sample::select(CLAIMS.names().to_vec()),
                "x-forwarded-[a-z-]{0,12}",
            ],
            signs in proptest::collection::vec(proptest::sample::select(b"-_.!#$%&'*+^`|~".to_vec()), 40),
        ) {
            let mut signs = signs.into_iter();
            let mut spell = |byte| if byte == b'-' { signs.next().unwrap_or(b'_') } else { byte };
            let spelled: Vec<u8> = name.bytes().map(&mut spell).collect();
            let mut headers = HeaderMap::new();
            let name = HeaderName::from_bytes(&spelled).unwrap();
            for _ in 0..3 {
                headers.append(&name, HeaderValue::from_static("spoofed"));
            }
            apply(&mut headers, &["192.0.2.1"], Some("/chat"));
            prop_assert!(headers.values().all(|value| value != "spoofed"), "{:?}", headers);
        }
    }
}
