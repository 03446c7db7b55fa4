//! Who the client is, when trusted proxies stand between: what their headers tell, and how far it is
//! believed (RFC 7239, and the `X-Forwarded-*` that came before it).

use super::{Authority, Scheme};
use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, SocketAddr};

/// What trusted proxies tell of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// From the client to the hop before the connection's own peer, as far as trusted proxies vouch
    /// for it. Empty: nothing that could be believed.
    pub hops: Vec<IpAddr>,
    /// How the client reached the outermost hop that tells.
    pub scheme: Option<Scheme>,
    /// The host that the client asked for.
    pub host: Option<Authority>,
}

impl Told {
    /// Reads `header`, and what goes with it, of a request whose peer is trusted.
    ///
    /// Addresses are read from right to left, as each proxy adds its own peer there: up to the first
    /// that is not trusted, or that cannot be read.
    pub fn by(
        headers: &HeaderMap,
        header: &HeaderName,
        is_trusted: impl Fn(IpAddr) -> bool,
    ) -> Self {
        let is_standard = *header == FORWARDED;
        let address: fn(&str) -> Option<IpAddr> = if is_standard {
            |element| node(&parameter(element, "for")?)
        } else {
            node
        };
        let mut hops = Vec::new();
        for entry in entries(headers, header).take(HOPS_MAX) {
            let Some(hop) = address(entry) else { break };
            hops.push(hop);
            if !is_trusted(hop) {
                break;
            }
        }
        hops.reverse();
        let claim = |name: &str, other: HeaderName| match is_standard {
            true => entries(headers, header)
                .next()
                .and_then(|element| parameter(element, name)),
            false => entries(headers, &other).next().map(str::to_owned),
        };
        Self {
            hops,
            scheme: claim("proto", X_FORWARDED_PROTO).and_then(|text| scheme(&text)),
            host: claim("host", X_FORWARDED_HOST).and_then(|text| Authority::parse(&text).ok()),
        }
    }
}

/// Entries of a list over all lines of a header, the last first.
fn entries<'a>(
    headers: &'a HeaderMap,
    header: &HeaderName,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines: Vec<&HeaderValue> = headers.get_all(header).iter().collect();
    lines.into_iter().rev().flat_map(|line| {
        // What is no text is no entry either; it ends the walk.
        let text = line.to_str().unwrap_or("-");
        text.rsplit(',')
            .map(|entry| entry.trim_matches([' ', '\t']))
    })
}

/// An address with or without a port; IPv6 with a port stands in brackets.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address: Option<IpAddr> = text.parse().ok();
    let address = address.or_else(with_port).or_else(bracketed);
    address.map(|address| address.to_canonical())
}

/// A parameter of an element of `Forwarded`, without its quotes.
fn parameter(element: &str, name: &str) -> Option<String> {
    let value = element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim_matches([' ', '\t'])
            .eq_ignore_ascii_case(name)
            .then_some(value.trim_matches([' ', '\t']))
    })?;
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    Some(quoted.map_or_else(|| value.to_owned(), |inner| inner.replace('\\', "")))
}

fn scheme(text: &str) -> Option<Scheme> {
    match text.to_ascii_lowercase().as_str() {
        "http" | "ws" => Some(Scheme::Http),
        "https" | "wss" => Some(Scheme::Https),
        _ => None,
    }
}

/// More proxies than stand in any row.
const HOPS_MAX: usize = 32;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests {
    use super::*;

    fn told(header: &'static str, lines: &[(&'static str, &str)]) -> Told {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Told::by(&headers, &HeaderName::from_static(header), |address| {
            address.to_string().starts_with("10.") || address.to_string().starts_with("fd00:")
        })
    }

    fn hops(header: &'static str, lines: &[(&'static str, &str)]) -> String {
        let hops: Vec<String> = told(header, lines)
            .hops
            .iter()
            .map(ToString::to_string)
            .collect();
        hops.join(" ")
    }

    #[test]
    fn the_walk_ends_at_the_first_that_is_not_trusted() {
        for (value, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, 10.0.0.2", "192.0.2.7 10.0.0.2"),
            (
                "1.1.1.1, 192.0.2.7, 10.0.0.2,10.0.0.3",
                "192.0.2.7 10.0.0.2 10.0.0.3",
            ),
            ("10.0.0.1, 10.0.0.2", "10.0.0.1 10.0.0.2"),
            ("192.0.2.7:4711, 10.0.0.2:80", "192.0.2.7 10.0.0.2"),
            ("2001:db8::7, fd00::2", "2001:db8::7 fd00::2"),
            ("[2001:db8::7], [fd00::2]:443", "2001:db8::7 fd00::2"),
            ("::ffff:192.0.2.7, ::ffff:10.0.0.2", "192.0.2.7 10.0.0.2"),
            ("spoofed, 10.0.0.2", "10.0.0.2"),
            ("192.0.2.7, unknown, 10.0.0.2", "10.0.0.2"),
            ("192.0.2.7, , 10.0.0.2", "10.0.0.2"),
            ("192.0.2.7, 10.0.0.2,", ""),
            ("localhost", ""),
            ("", ""),
        ] {
            assert_eq!(
                hops("x-forwarded-for", &[("x-forwarded-for", value)]),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [
            ("x-forwarded-for", "1.1.1.1, 192.0.2.7"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(hops("x-forwarded-for", &lines), "192.0.2.7 10.0.0.2");
        let lines = [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-for", "\u{e9}"),
        ];
        assert_eq!(hops("x-forwarded-for", &lines), "");
    }

    #[test]
    fn only_the_one_header_counts() {
        let lines = [
            ("x-forwarded-for", "192.0.2.7"),
            ("forwarded", "for=192.0.2.8"),
        ];
        assert_eq!(hops("x-real-ip", &lines), "");
        assert_eq!(hops("forwarded", &lines), "192.0.2.8");
    }

    #[test]
    fn the_standard_header_has_its_own_grammar() {
        for (value, expected) in [
            (
                "for=192.0.2.7;proto=https, for=10.0.0.2",
                "192.0.2.7 10.0.0.2",
            ),
            ("For=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("by=1.1.1.1;for=192.0.2.7", "192.0.2.7"),
            ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("for=unknown", ""),
            ("proto=https", ""),
            ("for=\"192.0.2.7, for=10.0.0.2\"", ""),
        ] {
            assert_eq!(
                hops("forwarded", &[("forwarded", value)]),
                expected,
                "{value}"
            );
        }
        let told = told(
            "forwarded",
            &[
                ("forwarded", "for=192.0.2.7;proto=http;host=evil.example"),
                (
                    "forwarded",
                    "for=10.0.0.2;proto=https;host=\"chat.example:8443\"",
                ),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "evil.example"),
            ],
        );
        assert_eq!(told.scheme, Some(Scheme::Https));
        assert_eq!(told.host.unwrap().to_string(), "chat.example:8443");
    }

    #[test]
    fn scheme_and_host_are_those_of_the_nearest_proxy() {
        let told = told(
            "x-forwarded-for",
            &[
                ("x-forwarded-proto", "http, WSS"),
                ("x-forwarded-host", "evil.example, Chat.example"),
                ("forwarded", "proto=http;host=evil.example"),
            ],
        );
        assert_eq!(told.scheme, Some(Scheme::Https));
        assert_eq!(told.host.unwrap().to_string(), "chat.example");
    }

    #[test]
    fn what_is_no_scheme_and_no_host_is_not_told() {
        let told = told(
            "x-forwarded-for",
            &[("x-forwarded-proto", "ftp"), ("x-forwarded-host", "a b")],
        );
        assert_eq!((told.scheme, told.host), (None, None));
    }

    #[test]
    fn the_walk_is_bounded() {
        let many = vec!["10.0.0.1"; 1000].join(",");
        assert_eq!(
            told("x-forwarded-for", &[("x-forwarded-for", &many)])
                .hops
                .len(),
            HOPS_MAX
        );
    }
}
