//! Who is believed, and how far.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;

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
        // A Host that a proxy quotes must not be read as a hop.
        ("for=192.0.2.7;host=\"a,for=203.0.113.9;x=\"", "192.0.2.7"),
        ("host=\"a;for=203.0.113.9;x=\";for=192.0.2.7", "192.0.2.7"),
        ("for=192.0.2.7;for=203.0.113.9", ""),
        ("\", for=192.0.2.7", "192.0.2.7"),
    ] {
        assert_eq!(
            hops("forwarded", &[("forwarded", value)]),
            expected,
            "{value}"
        );
    }
}

/// Scheme and host as they were told, in words.
fn seen(header: &'static str, lines: &[(&'static str, &str)]) -> String {
    let Told { scheme, host, .. } = told(header, lines);
    let scheme = scheme.map_or("-", Scheme::as_str);
    format!(
        "{scheme} {}",
        host.map_or_else(|| "-".to_owned(), |host| host.to_string())
    )
}

#[test]
fn scheme_and_host_are_as_the_client_saw_them() {
    const CHAIN: (&str, &str) = ("x-forwarded-for", "192.0.2.7, 10.0.0.2");
    const DIRECT: (&str, &str) = ("x-forwarded-for", "192.0.2.7");
    for (chain, protos, hosts, expected) in [
        (
            DIRECT,
            "https",
            "Chat.example:8443",
            "https chat.example:8443",
        ),
        (DIRECT, "WSS", "", "https -"),
        (DIRECT, "ws", "", "http -"),
        // What the client wrote itself, before the proxy that was asked by it.
        (
            DIRECT,
            "https, http",
            "evil.example, a.example",
            "http a.example",
        ),
        // Two proxies, each of which tells what it saw.
        (CHAIN, "https, http", "a.example, inside", "https a.example"),
        (
            CHAIN,
            "http, https, http",
            "evil.example, a.example, inside",
            "https a.example",
        ),
        // The outer one tells, the inner one passes it on.
        (CHAIN, "https", "a.example", "https a.example"),
        (CHAIN, "ftp, http", "a b, inside", "- -"),
        (DIRECT, "ftp", "user@a.example", "- -"),
    ] {
        let lines = [
            chain,
            ("x-forwarded-proto", protos),
            ("x-forwarded-host", hosts),
        ];
        assert_eq!(seen("x-forwarded-for", &lines), expected, "{lines:?}");
    }
    let without = [("x-forwarded-proto", "http, https")];
    assert_eq!(seen("x-forwarded-for", &without), "https -");
}

#[test]
fn each_element_of_the_standard_header_is_one_proxys_word() {
    for (value, expected) in [
        (
            "for=192.0.2.7;proto=https;host=\"a.example:8443\"",
            "https a.example:8443",
        ),
        (
            "for=192.0.2.7;proto=https;host=a.example, for=10.0.0.2;proto=http;host=inside",
            "https a.example",
        ),
        // The outer one does not tell all.
        (
            "for=192.0.2.7;proto=https, for=10.0.0.2;proto=http;host=inside",
            "https inside",
        ),
        // Its own name is all that it hides.
        ("for=_hidden;proto=https", "https -"),
        (
            "for=203.0.113.9;proto=https;host=evil.example, for=192.0.2.7;proto=http;host=a.example",
            "http a.example",
        ),
        (
            "host=evil.example;x=\", for=192.0.2.7;proto=https;host=\"a.example\"",
            "https a.example",
        ),
    ] {
        let lines = [
            ("forwarded", value),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "x"),
        ];
        assert_eq!(seen("forwarded", &lines), expected, "{value}");
    }
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

proptest! {
    #[test]
    fn nothing_a_client_writes_before_its_proxy_makes_it_another(
        forged in "[ -~\t\u{80}-\u{ff}]{0,60}|(([0-9.\u{e9}]{0,8}|for=[0-9.]{1,8}|[\",;=\\\\ ]){0,12})",
        is_one_line in any::<u8>(),
    ) {
        fuzzing::client_headers(&[&[is_one_line], forged.as_bytes()].concat());
    }

    #[test]
    fn no_bytes_are_a_panic(value in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut headers = HeaderMap::new();
        for name in [FORWARDED, X_FORWARDED_PROTO, X_FORWARDED_HOST] {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name, value);
            }
        }
        for header in [FORWARDED, X_FORWARDED_HOST] {
            Told::by(&headers, &header, |_| true);
        }
    }
}
