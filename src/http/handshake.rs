//! What a client asks: to become a WebSocket, or something plain (RFC 6455 §4.2.1).

use super::deflate::DeflateOffer;
use super::extension::extensions;
use super::key::is_key;
use super::token::{elements, has_token, is_token};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use thiserror::Error;

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// To become a WebSocket.
    WebSocket(Handshake),
    /// To become something else, which is not served: why, if nobody takes it for a plain request.
    Other(HandshakeError),
    /// Anything else.
    Plain,
}

/// A client's valid ask to become a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// `Sec-WebSocket-Key`
    pub key: String,
    /// Tokens of `Sec-WebSocket-Protocol` in the client's order; no two are equal.
    pub subprotocols: Vec<String>,
    /// Valid offers of permessage-deflate, the preferred one first. Other extensions are dropped.
    pub deflate: Vec<DeflateOffer>,
}

/// Why a request with `Upgrade`, or a `CONNECT`, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// A gateway is no forward proxy.
    #[error("CONNECT is not served")]
    Connect,
    /// RFC 6455 §4.1: only GET.
    #[error("a WebSocket is opened by GET, not by {0}")]
    Method(Method),
    /// HTTP/1.0 has no Upgrade.
    #[error("an upgrade needs HTTP/1.1")]
    HttpVersion,
    /// `Upgrade` names something else, or something else too.
    #[error("Upgrade must be `websocket` alone")]
    Upgrade,
    /// `Connection` does not name Upgrade.
    #[error("Connection must name Upgrade")]
    Connection,
    /// `Content-Length` other than 0, or `Transfer-Encoding`.
    #[error("an upgrade must not have a body")]
    Body,
    /// `Sec-WebSocket-Version` is missing, repeated or not 13.
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    /// `Sec-WebSocket-Key` is missing, repeated or not 16 bytes in base64.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64, once")]
    Key,
    /// `Sec-WebSocket-Protocol` is malformed.
    #[error("malformed Sec-WebSocket-Protocol")]
    Subprotocols(#[source] SubprotocolsError),
    /// `Sec-WebSocket-Extensions` does not follow the grammar.
    #[error("malformed Sec-WebSocket-Extensions")]
    Extensions,
}

/// Why a list of subprotocols is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SubprotocolsError {
    /// Nothing between two commas.
    #[error("an element is empty")]
    Empty,
    /// A character that no token has.
    #[error("an element is no token")]
    Token,
    /// RFC 6455 §4.1: all must be unique.
    #[error("a token is repeated")]
    Repeated,
    /// More than anyone needs.
    #[error("there are more than {SUBPROTOCOLS_MAX}")]
    TooMany,
}

impl Ask {
    /// Reads the head of an HTTP/1 request.
    pub fn of(parts: &Parts) -> Result<Self, HandshakeError> {
        if parts.method == Method::CONNECT {
            return Err(HandshakeError::Connect);
        }
        if !parts.headers.contains_key(UPGRADE) {
            return Ok(Self::Plain);
        }
        match Handshake::of(parts) {
            Ok(handshake) => Ok(Self::WebSocket(handshake)),
            Err(error) if !names_websocket(&parts.headers) => Ok(Self::Other(error)),
            Err(error) => Err(error),
        }
    }
}

impl Handshake {
    fn of(parts: &Parts) -> Result<Self, HandshakeError> {
        let headers = &parts.headers;
        if parts.method != Method::GET {
            return Err(HandshakeError::Method(parts.method.clone()));
        }
        if parts.version < Version::HTTP_11 {
            return Err(HandshakeError::HttpVersion);
        }
        check_upgrade(headers)?;
        check_no_body(headers)?;
        check_version(headers)?;
        Ok(Self {
            key: key(headers)?,
            subprotocols: subprotocols(headers).map_err(HandshakeError::Subprotocols)?,
            deflate: deflate(headers)?,
        })
    }
}

/// `h2c` beside `websocket` is refused too: which of both a server behind takes is not ours to guess.
fn check_upgrade(headers: &HeaderMap) -> Result<(), HandshakeError> {
    let is_websocket =
        elements(headers, &UPGRADE).all(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    if !is_websocket {
        return Err(HandshakeError::Upgrade);
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(HandshakeError::Connection);
    }
    Ok(())
}

/// Whether a WebSocket is asked for in whatever spelling: that must be done rightly.
fn names_websocket(headers: &HeaderMap) -> bool {
    const NAME: &[u8] = b"websocket";
    let mut protocols = elements(headers, &UPGRADE);
    protocols.any(|protocol| {
        protocol
            .get(..NAME.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(NAME))
    })
}

fn check_no_body(headers: &HeaderMap) -> Result<(), HandshakeError> {
    let is_zero = |length: &HeaderValue| length.as_bytes() == b"0";
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || !headers.get_all(CONTENT_LENGTH).into_iter().all(is_zero);
    if has_body {
        Err(HandshakeError::Body)
    } else {
        Ok(())
    }
}

fn check_version(headers: &HeaderMap) -> Result<(), HandshakeError> {
    match sole(headers, &SEC_WEBSOCKET_VERSION) {
        Some(version) if version.as_bytes() == b"13" => Ok(()),
        _ => Err(HandshakeError::Version),
    }
}

fn key(headers: &HeaderMap) -> Result<String, HandshakeError> {
    sole(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .and_then(|key| key.to_str().ok())
        .map(str::to_owned)
        .ok_or(HandshakeError::Key)
}

fn subprotocols(headers: &HeaderMap) -> Result<Vec<String>, SubprotocolsError> {
    let mut found: Vec<String> = Vec::new();
    for element in elements(headers, &SEC_WEBSOCKET_PROTOCOL) {
        if element.is_empty() {
            return Err(SubprotocolsError::Empty);
        }
        if found.len() == SUBPROTOCOLS_MAX {
            return Err(SubprotocolsError::TooMany);
        }
        let token = str::from_utf8(element)
            .ok()
            .filter(|_| is_token(element))
            .ok_or(SubprotocolsError::Token)?;
        if found.iter().any(|earlier| earlier == token) {
            return Err(SubprotocolsError::Repeated);
        }
        found.push(token.to_owned());
    }
    Ok(found)
}

fn deflate(headers: &HeaderMap) -> Result<Vec<DeflateOffer>, HandshakeError> {
    let offered = extensions(headers).map_err(|_| HandshakeError::Extensions)?;
    Ok(offered.iter().filter_map(DeflateOffer::of).collect())
}

/// The value of a header that has exactly one line.
fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).into_iter();
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

/// Subprotocols in one offer at most.
const SUBPROTOCOLS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// A good handshake without the header lines named in `lines`, and then with `lines`.
    fn ask(method: &str, version: Version, lines: &[(&str, &[u8])]) -> Result<Ask, HandshakeError> {
        let good: [(&str, &[u8]); 5] = [
            ("host", b"a.example"),
            ("upgrade", b"websocket"),
            ("connection", b"Upgrade"),
            ("sec-websocket-version", b"13"),
            ("sec-websocket-key", KEY.as_bytes()),
        ];
        let is_replaced = |name: &str| lines.iter().any(|(other, _)| *other == name);
        let mut request = Request::builder().method(method).version(version).uri("/");
        for (name, value) in good
            .iter()
            .filter(|(name, _)| !is_replaced(name))
            .chain(lines)
        {
            if *value != ABSENT {
                request = request.header(*name, *value);
            }
        }
        Ask::of(&request.body(()).unwrap().into_parts().0)
    }

    fn handshake(lines: &[(&str, &str)]) -> Result<Handshake, HandshakeError> {
        let lines: Vec<(&str, &[u8])> = lines.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        ask("GET", Version::HTTP_11, &lines).and_then(|ask| match ask {
            Ask::WebSocket(handshake) => Ok(handshake),
            Ask::Other(error) => Err(error),
            Ask::Plain => panic!("the ask is plain"),
        })
    }

    /// Takes a header of the good handshake out.
    const ABSENT: &[u8] = b"-";

    #[test]
    fn the_plain_handshake_is_understood() {
        let found = handshake(&[]).unwrap();
        assert_eq!(found.key, KEY);
        assert!(found.subprotocols.is_empty() && found.deflate.is_empty());
    }

    #[test]
    fn spellings_of_browsers_and_proxies_are_accepted() {
        for lines in [
            &[("connection", "keep-alive, Upgrade")][..],
            &[("connection", "keep-alive"), ("connection", "uPGRADE")],
            &[("connection", "upgrade,keep-alive")],
            &[("upgrade", "WebSocket")],
            &[("upgrade", "websocket"), ("upgrade", "WEBSOCKET")],
            &[("content-length", "0")],
            &[("sec-websocket-extensions", "x-webkit-deflate-frame")],
        ] {
            assert!(handshake(lines).is_ok(), "{lines:?}");
        }
    }

    #[test]
    fn malformed_handshakes_say_what_is_wrong() {
        use HandshakeError::*;
        let twice_key = [("sec-websocket-key", KEY), ("sec-websocket-key", KEY)];
        for (lines, expected) in [
            (&[("upgrade", "h2c")][..], Upgrade),
            (&[("upgrade", "websocket, h2c")], Upgrade),
            (&[("upgrade", "h2c"), ("upgrade", "websocket")], Upgrade),
            (&[("upgrade", "websocket/13")], Upgrade),
            (&[("upgrade", "")], Upgrade),
            (&[("upgrade", "websocket,")], Upgrade),
            (&[("connection", "-")], Connection),
            (&[("connection", "keep-alive")], Connection),
            (&[("connection", "\"upgrade\"")], Connection),
            (&[("content-length", "5")], Body),
            (&[("content-length", "0"), ("content-length", "5")], Body),
            (&[("content-length", "+0")], Body),
            (&[("transfer-encoding", "chunked")], Body),
            (&[("transfer-encoding", "identity")], Body),
            (&[("sec-websocket-version", "-")], Version),
            (&[("sec-websocket-version", "8")], Version),
            (&[("sec-websocket-version", "7")], Version),
            (&[("sec-websocket-version", "013")], Version),
            (&[("sec-websocket-version", "13, 13")], Version),
            (&[("sec-websocket-version", "13, 8")], Version),
            (
                &[
                    ("sec-websocket-version", "13"),
                    ("sec-websocket-version", "13"),
                ],
                Version,
            ),
            (&[("sec-websocket-key", "-")], Key),
            (&[("sec-websocket-key", "")], Key),
            (&[("sec-websocket-key", "c2hvcnQ=")], Key),
            (
                &[(
                    "sec-websocket-key",
                    "dGhlIHNhbXBsZSBub25jZSB0aGF0IGlzIGxvbmc=",
                )],
                Key,
            ),
            (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25j*===")], Key),
            (&twice_key, Key),
            (
                &[("sec-websocket-extensions", "permessage-deflate;")],
                Extensions,
            ),
            (&[("sec-websocket-extensions", "a, , b")], Extensions),
        ] {
            assert_eq!(handshake(lines), Err(expected), "{lines:?}");
        }
    }

    #[test]
    fn the_version_is_told_before_what_other_versions_lack() {
        let lines = [("sec-websocket-version", "8"), ("sec-websocket-key", "x")];
        assert_eq!(handshake(&lines), Err(HandshakeError::Version));
    }

    #[test]
    fn method_and_http_version_count_only_with_upgrade() {
        let post = HandshakeError::Method(Method::POST);
        let none: &[(&str, &[u8])] = &[("upgrade", ABSENT)];
        for (method, version, lines, expected) in [
            ("POST", Version::HTTP_11, &[][..], Err(post)),
            (
                "GET",
                Version::HTTP_10,
                &[],
                Err(HandshakeError::HttpVersion),
            ),
            (
                "CONNECT",
                Version::HTTP_11,
                &[],
                Err(HandshakeError::Connect),
            ),
            (
                "CONNECT",
                Version::HTTP_11,
                none,
                Err(HandshakeError::Connect),
            ),
            ("POST", Version::HTTP_11, none, Ok(Ask::Plain)),
            ("GET", Version::HTTP_10, none, Ok(Ask::Plain)),
            ("OPTIONS", Version::HTTP_11, none, Ok(Ask::Plain)),
        ] {
            assert_eq!(
                ask(method, version, lines),
                expected,
                "{method} {version:?}"
            );
        }
    }

    #[test]
    fn subprotocols_keep_the_order_of_the_client() {
        let name = "sec-websocket-protocol";
        for (lines, expected) in [
            (&["chat"][..], &["chat"][..]),
            (&["chat.v2,chat.v1"], &["chat.v2", "chat.v1"]),
            (&["b , a", "c"], &["b", "a", "c"]),
            (&["chat, Chat"], &["chat", "Chat"]),
            (&["!#$%&'*+-.^_`|~"], &["!#$%&'*+-.^_`|~"]),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| (name, *line)).collect();
            assert_eq!(handshake(&lines).unwrap().subprotocols, expected);
        }
        let most: Vec<String> = (0..SUBPROTOCOLS_MAX)
            .map(|number| format!("p{number}"))
            .collect();
        assert_eq!(
            handshake(&[(name, &most.join(","))]).unwrap().subprotocols,
            most
        );
    }

    #[test]
    fn malformed_subprotocols_are_refused() {
        use SubprotocolsError::*;
        let many = (0..=SUBPROTOCOLS_MAX).map(|number| format!("p{number}"));
        let many = many.collect::<Vec<_>>().join(", ");
        // A quadratic reader of this line takes seconds (CVE-2021-32640 of the package `ws`).
        let spaces = format!("b{}x", " ".repeat(32_000));
        for (line, expected) in [
            ("", Empty),
            ("a,", Empty),
            (",a", Empty),
            ("a,,b", Empty),
            ("a, \t,b", Empty),
            ("a b", Token),
            ("a/b", Token),
            ("a;b", Token),
            ("\"a\"", Token),
            ("ä", Token),
            ("a, a", Repeated),
            (spaces.as_str(), Token),
            (many.as_str(), TooMany),
        ] {
            let found = handshake(&[("sec-websocket-protocol", line)]);
            assert_eq!(found, Err(HandshakeError::Subprotocols(expected)), "{line}");
        }
    }

    #[test]
    fn only_valid_deflate_offers_are_kept() {
        let name = "sec-websocket-extensions";
        for (lines, expected) in [
            (
                &["permessage-deflate; client_max_window_bits"][..],
                "permessage-deflate; client_max_window_bits",
            ),
            (
                &["foo, permessage-deflate; server_max_window_bits=7, permessage-deflate"],
                "permessage-deflate",
            ),
            (
                &["bar; x=\"y\"", "permessage-deflate"],
                "permessage-deflate",
            ),
            (&["permessage-bzip2"], ""),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| (name, *line)).collect();
            let offers = handshake(&lines).unwrap().deflate;
            let shown: Vec<_> = offers.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(", "), expected);
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(
            name in 0..7_usize,
            value in proptest::collection::vec(prop_oneof![Just(9), 32..=126_u8, 128..=255_u8], 0..60),
        ) {
            let name = [
                "upgrade", "connection", "content-length", "sec-websocket-version", "sec-websocket-key",
                "sec-websocket-protocol", "sec-websocket-extensions",
            ][name];
            let _ = ask("GET", Version::HTTP_11, &[(name, &value)]);
        }
    }
}
