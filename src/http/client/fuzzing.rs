//! What the fuzz target and the property tests call.

use super::Told;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

/// Any bytes, before what trusted proxies add to them. The first byte says whether that is done in
/// the same line; the rest is what the client sent, in each header that is read.
///
/// Nothing of it changes what the proxies tell.
pub fn client_headers(input: &[u8]) {
    let Some((&choice, forged)) = input.split_first() else {
        return;
    };
    for (header, lines) in ADDED {
        let header = HeaderName::from_static(header);
        let Some(honest) = request(&[], lines, false) else {
            return;
        };
        let Some(forged) = request(forged, lines, choice & 1 == 1) else {
            return;
        };
        let expected = told(&honest, &header);
        assert!(expected.hops.len() == 2 && expected.scheme.is_some() && expected.host.is_some());
        assert_eq!(told(&forged, &header), expected, "{forged:?}");
    }
}

type Lines = &'static [(&'static str, &'static str)];

/// What a trusted proxy that sits before another adds, by the header in which clients are told.
const ADDED: [(&str, Lines); 3] = [
    (
        "x-forwarded-for",
        &[
            ("x-forwarded-for", "[2001:db8::7]:4711, 10.0.0.2"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "chat.example, inside.example"),
        ],
    ),
    (
        "forwarded",
        &[(
            "forwarded",
            "for=\"[2001:db8::7]:4711\";proto=https;host=\"chat.example\", for=10.0.0.2;by=_a",
        )],
    ),
    (
        "cf-connecting-ip",
        &[
            ("cf-connecting-ip", "192.0.2.7, 10.0.0.2"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "chat.example, inside.example"),
        ],
    ),
];

/// What reaches the gateway of `forged` in all headers; `None` if no header can hold it.
fn request(forged: &[u8], lines: Lines, is_one_line: bool) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for name in [
        "x-forwarded-for",
        "forwarded",
        "x-forwarded-proto",
        "x-forwarded-host",
        "cf-connecting-ip",
    ] {
        let added = lines.iter().find(|line| line.0 == name).map(|line| line.1);
        let value = match added {
            Some(added) if is_one_line => [forged, b", ", added.as_bytes()].concat(),
            _ => forged.to_vec(),
        };
        headers.append(name, HeaderValue::from_bytes(&value).ok()?);
        if let (Some(added), false) = (added, is_one_line) {
            headers.append(name, HeaderValue::from_static(added));
        }
    }
    Some(headers)
}

fn told(headers: &HeaderMap, header: &HeaderName) -> Told {
    let is_trusted = |hop: std::net::IpAddr| hop.to_string().starts_with("10.");
    Told::by(headers, header, is_trusted)
}
