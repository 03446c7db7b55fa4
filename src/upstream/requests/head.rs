//! The head of a request as it goes over the wire (RFC 9112 §3, §6). What frames the body is
//! written here alone, whatever the headers of the client said of it.

use super::{Length, Request};
use crate::upstream::ask::{check, is_target, line};
use crate::upstream::error::OpenError;
use bytes::Bytes;
use http::{HeaderName, Method, header};
use std::io::Write;

/// Written here, or never part of an ordinary request to an upstream. The gateway itself tells the
/// client to go on, so no upstream is asked whether it may (`Expect`).
const OURS: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

impl Request {
    /// The bytes of the head. What could end a line early is an error here, whoever should have
    /// caught it before: a split request would be answered twice.
    pub(in crate::upstream) fn head(
        &self,
        host: &str,
        may_persist: bool,
    ) -> Result<Bytes, OpenError> {
        check("target", self.ask.path_and_query.as_bytes(), is_target)?;
        check("host", host.as_bytes(), is_target)?;
        let mut head = Vec::with_capacity(1024);
        // Writing to a Vec cannot fail.
        let _ = write!(
            head,
            "{} {} HTTP/1.1\r\nHost: {host}\r\n",
            self.method, self.ask.path_and_query
        );
        if !may_persist {
            line(&mut head, "Connection", b"close");
        }
        match self.length {
            Length::Known(length) => {
                line(&mut head, "Content-Length", length.to_string().as_bytes());
            }
            Length::Unknown => line(&mut head, "Transfer-Encoding", b"chunked"),
            Length::None if has_body_usually(&self.method) => {
                line(&mut head, "Content-Length", b"0");
            }
            Length::None => {}
        }
        for (name, value) in &self.ask.headers {
            if !OURS.contains(name) {
                line(&mut head, name.as_str(), value.as_bytes());
            }
        }
        head.extend_from_slice(b"\r\n");
        Ok(head.into())
    }
}

/// RFC 9110 §8.6: where the method gives a body a meaning, its absence is said.
fn has_body_usually(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Ask;
    use http::{HeaderMap, HeaderValue};

    fn request(method: Method, path: &str, length: Length) -> Request {
        Request {
            method,
            ask: Ask {
                path_and_query: path.to_owned(),
                host: "chat.test".to_owned(),
                source: None,
                affinity: None,
                headers: HeaderMap::new(),
                subprotocols: Vec::new(),
                deflate: None,
            },
            length,
            response: None,
            body: None,
        }
    }

    fn head(request: &Request, may_persist: bool) -> String {
        let head = request.head("chat.test", may_persist).unwrap();
        String::from_utf8(head.to_vec()).unwrap()
    }

    #[test]
    fn each_length_is_framed_in_its_way() {
        for (method, length, may_persist, expected) in [
            (Method::GET, Length::None, true, ""),
            (Method::GET, Length::None, false, "Connection: close\r\n"),
            (Method::POST, Length::None, true, "Content-Length: 0\r\n"),
            (Method::GET, Length::Known(0), true, "Content-Length: 0\r\n"),
            (Method::PUT, Length::Known(7), true, "Content-Length: 7\r\n"),
            (
                Method::POST,
                Length::Unknown,
                true,
                "Transfer-Encoding: chunked\r\n",
            ),
        ] {
            let name = method.to_string();
            assert_eq!(
                head(&request(method, "/a?b", length), may_persist),
                format!("{name} /a?b HTTP/1.1\r\nHost: chat.test\r\n{expected}\r\n")
            );
        }
    }

    #[test]
    fn nobody_else_frames_the_body() {
        let mut request = request(Method::POST, "/", Length::Known(2));
        for name in OURS {
            let value = HeaderValue::from_static("client");
            request.ask.headers.append(name, value);
        }
        let range = HeaderValue::from_static("bytes=0-1");
        request.ask.headers.append("range", range);
        assert_eq!(
            head(&request, true),
            "POST / HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 2\r\nrange: bytes=0-1\r\n\r\n"
        );
    }

    #[test]
    fn nothing_can_end_a_line_early() {
        for path in ["/a\r\nX: y", "/a b", "/a\n", ""] {
            let error = request(Method::GET, path, Length::None).head("a", true);
            assert!(error.is_err(), "{path:?}");
        }
        let error = request(Method::GET, "/", Length::None).head("a\r\nb", true);
        assert!(error.is_err());
    }
}
