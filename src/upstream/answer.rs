//! The upstream's answer to the handshake: its head, and whether it may switch (RFC 6455 §4.2.2).
//!
//! Pure. Reading from a stream is `open.rs`, the body of a refusal is `body.rs`.

use super::ask::Ask;
use super::error::BrokenAnswer;
use crate::http::{Agreed, Asked, check_answer, keep_end_to_end};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use memchr::memchr;

/// Bytes of one head at most.
pub(super) const HEAD_LIMIT: usize = 16 * 1024;
/// Header lines of one head at most.
const HEADERS_LIMIT: usize = 100;
/// What every answer that can be understood begins with.
const BEGINNING: &[u8] = b"HTTP/1.";

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    /// Any that HTTP knows.
    pub(super) status: StatusCode,
    /// HTTP/1.1, not 1.0.
    pub(super) is_http_11: bool,
    /// All of them, as they came.
    pub(super) headers: HeaderMap,
}

/// Where a head ends, looking for it from `scanned`; everything before has been looked at.
pub(super) fn end_of_head(bytes: &[u8], scanned: usize) -> Option<usize> {
    let mut from = scanned.saturating_sub(2);
    loop {
        let rest = bytes.get(from..)?;
        from += memchr(b'\n', rest)? + 1;
        match &bytes[from..] {
            [b'\n', ..] => return Some(from + 1),
            [b'\r', b'\n', ..] => return Some(from + 2),
            _ => {}
        }
    }
}

/// Whether what came so far can still become an answer: a peer of another protocol is told apart
/// by its first bytes, not by a time-out.
pub(super) fn may_be_http(bytes: &[u8]) -> bool {
    let length = bytes.len().min(BEGINNING.len());
    bytes[..length] == BEGINNING[..length]
}

impl Head {
    /// Parses a whole head, its empty line included.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BrokenAnswer> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
        let mut answer = httparse::Response::new(&mut lines);
        let parsed = answer.parse(bytes).map_err(BrokenAnswer::Malformed)?;
        let (httparse::Status::Complete(_), Some(code)) = (parsed, answer.code) else {
            return Err(BrokenAnswer::NotHttp);
        };
        let status = StatusCode::from_u16(code)
            .map_err(|_| BrokenAnswer::Malformed(httparse::Error::Status))?;
        Ok(Self {
            status,
            is_http_11: answer.version == Some(1),
            headers: header_map(answer.headers)?,
        })
    }

    /// Whether this is the answer to `ask` with `key`, and what it has chosen.
    pub(super) fn check(&self, key: &str, ask: &Ask) -> Result<Agreed, BrokenAnswer> {
        if !self.is_http_11 {
            return Err(BrokenAnswer::OldVersion);
        }
        let asked = Asked {
            key,
            subprotocols: &ask.subprotocols,
            deflate: ask.deflate.as_ref(),
        };
        Ok(check_answer(&asked, self.status, &self.headers)?)
    }
}

/// What of an answer's headers is for the client: neither those of the connection to the upstream
/// nor those of the handshake, of which each leg has its own.
pub(super) fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    keep_end_to_end(&mut headers);
    headers.remove(header::CONTENT_LENGTH);
    headers
}

fn header_map(lines: &[httparse::Header<'_>]) -> Result<HeaderMap, BrokenAnswer> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes())
            .map_err(|_| BrokenAnswer::Malformed(httparse::Error::HeaderName))?;
        let value = HeaderValue::from_bytes(line.value)
            .map_err(|_| BrokenAnswer::Malformed(httparse::Error::HeaderValue))?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn ask(subprotocols: &[&str]) -> Ask {
        Ask {
            path_and_query: "/".to_owned(),
            host: "chat.test".to_owned(),
            source: None,
            affinity: None,
            headers: HeaderMap::new(),
            subprotocols: subprotocols.iter().map(ToString::to_string).collect(),
            deflate: None,
        }
    }

    const GOOD: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn head(lines: &str) -> Result<Head, BrokenAnswer> {
        Head::parse(format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n\r\n").as_bytes())
    }

    #[test]
    fn a_good_answer_agrees_to_what_was_offered() {
        let lines = format!("{GOOD}\r\nSec-WebSocket-Protocol: b\r\nContent-Length: 0");
        let agreed = head(&lines).unwrap().check(KEY, &ask(&["a", "b"])).unwrap();
        assert_eq!(agreed.subprotocol.as_deref(), Some("b"));
    }

    #[test]
    fn an_answer_that_was_not_asked_for_is_broken() {
        let lines = format!("{GOOD}\r\nSec-WebSocket-Protocol: b");
        let error = head(&lines).unwrap().check(KEY, &ask(&["a"])).unwrap_err();
        assert!(matches!(error, BrokenAnswer::Negotiation(_)), "{error:?}");
    }

    #[test]
    fn heads_that_others_would_read_differently_are_malformed() {
        for line in [
            "no colon",
            "Spaced : name",
            "X: folded\r\n value",
            "X: nul\0",
            ": nameless",
        ] {
            let error = head(&format!("{GOOD}\r\n{line}")).unwrap_err();
            assert!(matches!(error, BrokenAnswer::Malformed(_)), "{line:?}");
        }
        let many = "X: y\r\n".repeat(HEADERS_LIMIT);
        let error = head(&format!("{many}{GOOD}")).unwrap_err();
        assert!(matches!(error, BrokenAnswer::Malformed(_)));
    }

    #[test]
    fn http_1_0_cannot_switch() {
        let head = format!("HTTP/1.0 101 Switching Protocols\r\n{GOOD}\r\n\r\n");
        let head = Head::parse(head.as_bytes()).unwrap();
        let error = head.check(KEY, &ask(&[])).unwrap_err();
        assert!(matches!(error, BrokenAnswer::OldVersion));
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_the_last_look_ended() {
        for (bytes, end) in [
            ("HTTP/1.1 101 X\r\nA: b\r\n\r\nrest", 24),
            ("HTTP/1.1 101 X\nA: b\n\nrest", 21),
        ] {
            for scanned in 0..end {
                assert_eq!(end_of_head(bytes.as_bytes(), scanned), Some(end));
            }
            for length in 0..end {
                assert_eq!(end_of_head(&bytes.as_bytes()[..length], 0), None);
            }
        }
    }

    #[test]
    fn other_protocols_are_told_apart_by_their_first_bytes() {
        for bytes in ["", "H", "HTTP/1.", "HTTP/1.1 200 OK"] {
            assert!(may_be_http(bytes.as_bytes()), "{bytes}");
        }
        for bytes in ["h", "HTTP/2", "SSH-2.0-x", "\r\nHTTP/1.1", "\x15\x03"] {
            assert!(!may_be_http(bytes.as_bytes()), "{bytes}");
        }
    }

    #[test]
    fn only_end_to_end_headers_are_for_the_client() {
        let lines = format!(
            "{GOOD}\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nAlt-Svc: h3\r\n\
             Proxy-Authenticate: Basic\r\nSet-Cookie: a=1\r\nServer: x\r\nContent-Length: 3"
        )
        .replace("Connection: Upgrade", "Connection: Upgrade, x-hop");
        let head = format!("HTTP/1.1 101 X\r\n{lines}\r\n\r\n");
        let headers = end_to_end(Head::parse(head.as_bytes()).unwrap().headers);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["server", "set-cookie"]);
    }
}
