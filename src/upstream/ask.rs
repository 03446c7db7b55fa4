//! What the upstream is asked for: the head of our own handshake (RFC 6455 §4.1).

use super::error::OpenError;
use super::greeting::Source;
use super::rendezvous::Affinity;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// A handshake for the upstream, made from the client's.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is asked for, query included.
    pub path_and_query: String,
    /// `Host` as the client sent it, port included.
    pub host: String,
    /// The client's connection, for upstreams that expect a PROXY protocol header; `None` if it has
    /// no address.
    pub source: Option<Source>,
    /// What binds the client to an endpoint, where the upstream balances by that.
    pub affinity: Option<Affinity>,
    /// End-to-end headers. Those of the handshake itself are written here, whatever this holds.
    pub headers: HeaderMap,
    /// What the upstream may choose from, in the client's order.
    pub subprotocols: Vec<String>,
    /// The offer of permessage-deflate, if any.
    pub deflate: Option<HeaderValue>,
}

/// Written by [`Ask::head`] itself, or never part of a handshake.
const OURS: [HeaderName; 10] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_ACCEPT,
];

impl Ask {
    /// The bytes of the request. What could end a line early is an error here, whoever should have
    /// caught it before: a split request would be answered twice.
    pub(super) fn head(&self, host: &str, key: &str) -> Result<Vec<u8>, OpenError> {
        check("target", self.path_and_query.as_bytes(), is_target)?;
        check("host", host.as_bytes(), is_target)?;
        let mut head = Vec::with_capacity(1024);
        for part in [
            "GET ",
            &self.path_and_query,
            " HTTP/1.1\r\nHost: ",
            host,
            "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
            key,
            "\r\n",
        ] {
            head.extend_from_slice(part.as_bytes());
        }
        if !self.subprotocols.is_empty() {
            let offer = self.subprotocols.join(", ");
            check("subprotocol", offer.as_bytes(), is_value)?;
            line(&mut head, "Sec-WebSocket-Protocol", offer.as_bytes());
        }
        if let Some(deflate) = &self.deflate {
            line(&mut head, "Sec-WebSocket-Extensions", deflate.as_bytes());
        }
        for (name, value) in &self.headers {
            if !OURS.contains(name) {
                line(&mut head, name.as_str(), value.as_bytes());
            }
        }
        head.extend_from_slice(b"\r\n");
        Ok(head)
    }
}

pub(super) fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

pub(super) fn check(
    part: &'static str,
    bytes: &[u8],
    allowed: fn(u8) -> bool,
) -> Result<(), OpenError> {
    let is_fine = !bytes.is_empty() && bytes.iter().all(|&byte| allowed(byte));
    is_fine.then_some(()).ok_or(OpenError::BadAsk { part })
}

pub(super) fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

fn is_value(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str) -> Ask {
        Ask {
            path_and_query: path.to_owned(),
            host: "chat.test".to_owned(),
            source: None,
            affinity: None,
            headers: HeaderMap::new(),
            subprotocols: Vec::new(),
            deflate: None,
        }
    }

    fn head(ask: &Ask) -> String {
        String::from_utf8(ask.head("chat.test", "the key").unwrap()).unwrap()
    }

    #[test]
    fn the_least_handshake_has_five_headers() {
        assert_eq!(
            head(&ask("/room?id=1")),
            "GET /room?id=1 HTTP/1.1\r\nHost: chat.test\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: the key\r\n\r\n"
        );
    }

    #[test]
    fn offers_and_end_to_end_headers_follow() {
        let mut ask = ask("/");
        ask.subprotocols = vec!["chat.v2".to_owned(), "chat.v1".to_owned()];
        ask.deflate = Some(HeaderValue::from_static("permessage-deflate"));
        ask.headers
            .append("cookie", HeaderValue::from_static("a=1"));
        ask.headers
            .append("cookie", HeaderValue::from_static("b=2"));
        let head = head(&ask);
        assert!(head.ends_with(
            "Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\ncookie: a=1\r\ncookie: b=2\r\n\r\n"
        ));
    }

    #[test]
    fn headers_of_the_handshake_are_ours_alone() {
        let mut ask = ask("/");
        for name in OURS {
            ask.headers.append(name, HeaderValue::from_static("client"));
        }
        assert!(!head(&ask).contains("client"));
    }

    #[test]
    fn nothing_can_end_a_line_early() {
        let target = ask("/a\r\nX: y").head("chat.test", "k");
        assert!(matches!(target, Err(OpenError::BadAsk { part: "target" })));
        let spaced = ask("/a b").head("chat.test", "k");
        assert!(matches!(spaced, Err(OpenError::BadAsk { part: "target" })));
        let host = ask("/").head("chat.test\r\n", "k");
        assert!(matches!(host, Err(OpenError::BadAsk { part: "host" })));
        let mut offer = ask("/");
        offer.subprotocols = vec!["a\r\nb".to_owned()];
        let offer = offer.head("chat.test", "k");
        assert!(matches!(
            offer,
            Err(OpenError::BadAsk {
                part: "subprotocol"
            })
        ));
    }
}
