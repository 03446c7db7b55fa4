//! The head of a request before any parser sees it (RFC 9112 §2 to §6).
//!
//! hyper forgives more than a gateway may: bare line feeds, `Content-Length` beside
//! `Transfer-Encoding`, fragments. What passes here has one reading, ends where everyone thinks it
//! ends, and hyper takes it.

use super::framing::{Head, check_lines};
use super::line::{Line, LineFault, text_len};
use http::StatusCode;
use thiserror::Error;

/// Looks for the end of a head in bytes that arrive little by little; never at a byte twice.
///
/// Stops at the first byte that no head may have, so that what is no HTTP at all is told at once
/// and not at a deadline. The result does not depend on how the bytes were cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadScan {
    limit: usize,
    /// Bytes looked at.
    seen: usize,
    place: Place,
    /// Whether an empty line came before the request line.
    is_late: bool,
}

/// Where the scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the request line.
    Before,
    /// Behind the CR of an empty line before the request line.
    BeforeCr,
    /// In the lines.
    In(Line),
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeadError {
    /// No end within the limit.
    #[error("the request head is larger than {0} bytes")]
    TooLarge(usize),
    /// More than [`MAX_HEADERS`] lines.
    #[error("the request has more than {MAX_HEADERS} header lines")]
    TooManyHeaders,
    /// A line feed without carriage return, or the other way round.
    #[error("lines must end with CRLF")]
    LineEnd,
    /// NUL, another control, DEL.
    #[error("the request head has a control character")]
    Control,
    /// Not `METHOD target HTTP/1.1`.
    #[error("malformed request line")]
    RequestLine,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("only HTTP/1.1 is served")]
    Version,
    /// A gateway is no forward proxy.
    #[error("CONNECT is not served")]
    Connect,
    /// A target that is no URI, or has a fragment.
    #[error("malformed request target")]
    Target,
    /// A header line that begins with white space: obsolete folding.
    #[error("a header line begins with white space")]
    Folded,
    /// A header name that is no token, as with a space before the colon; or a line without colon.
    #[error("malformed header name")]
    HeaderName,
    /// `Content-Length` that is repeated or no number.
    #[error("malformed Content-Length")]
    ContentLength,
    /// `Transfer-Encoding` that is not `chunked` alone, or in HTTP/1.0.
    #[error("malformed Transfer-Encoding")]
    TransferEncoding,
    /// Both, so that the end of the body has two readings.
    #[error("Content-Length and Transfer-Encoding exclude each other")]
    TwoLengths,
    /// More than one `Authorization`: it is no list, and whoever reads it picks one.
    #[error("several Authorization lines")]
    TwoCredentials,
}

impl HeadError {
    /// What the client is answered.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) | Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Header lines in one head at most: hyper's own limit.
pub const MAX_HEADERS: usize = 100;

/// Checks the head at the start of `bytes` in one go; `None` if it is not whole yet.
pub fn check_head(bytes: &[u8], limit: usize) -> Result<Option<Head>, HeadError> {
    HeadScan::new(limit).scan(bytes)
}

impl HeadScan {
    /// Heads of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            seen: 0,
            place: Place::Before,
            is_late: false,
        }
    }

    /// Goes on with `bytes`: all that has arrived since the head began, in one piece. Once it has
    /// given a head or an error the scan is over; the next head needs a new one.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<Head>, HeadError> {
        let within = bytes.len().min(self.limit);
        while self.seen < within {
            if self.place == Place::In(Line::Text) {
                self.seen += text_len(&bytes[self.seen..within]);
            }
            let Some(&byte) = bytes[..within].get(self.seen) else {
                break;
            };
            self.seen += 1;
            if self.take(byte)? {
                return check_lines(&bytes[..self.seen]).map(Some);
            }
        }
        if self.seen == self.limit {
            return Err(HeadError::TooLarge(self.limit));
        }
        Ok(None)
    }

    /// Whether `byte` is the last one.
    fn take(&mut self, byte: u8) -> Result<bool, HeadError> {
        let line = match (self.place, byte) {
            (Place::Before, b'\r') => {
                self.place = Place::BeforeCr;
                return Ok(false);
            }
            // RFC 9112 §2.2: one empty line before a request is forgiven.
            (Place::BeforeCr, b'\n') if !self.is_late => {
                self.is_late = true;
                self.place = Place::Before;
                return Ok(false);
            }
            (Place::BeforeCr, b'\n') => return Err(HeadError::RequestLine),
            (Place::BeforeCr, _) => return Err(HeadError::LineEnd),
            (Place::Before, _) => Line::Start,
            (Place::In(line), _) => line,
        };
        let Some(next) = line.after(byte)? else {
            return Ok(true);
        };
        self.place = Place::In(next);
        Ok(false)
    }
}

impl From<LineFault> for HeadError {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::End => Self::LineEnd,
            LineFault::Control => Self::Control,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Body, fuzzing};
    use proptest::prelude::*;

    /// Checks `bytes` in one go and byte by byte; both must say the same.
    fn check(bytes: &[u8]) -> Result<Option<Head>, HeadError> {
        let whole = check_head(bytes, LIMIT);
        let mut scan = HeadScan::new(LIMIT);
        let cut = (0..=bytes.len())
            .map(|end| scan.scan(&bytes[..end]))
            .find(|found| *found != Ok(None));
        assert_eq!(cut.unwrap_or(Ok(None)), whole, "{}", bytes.escape_ascii());
        whole
    }

    const LIMIT: usize = 8192;

    #[test]
    fn heads_end_at_the_empty_line() {
        for (text, body, upgrade) in [
            ("GET / HTTP/1.1\r\n\r\n", Body::None, false),
            ("\r\nGET / HTTP/1.1\r\n\r\n", Body::None, false),
            ("GET /a?b=c HTTP/1.0\r\nHost: a\r\n\r\n", Body::None, false),
            (
                "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
                Body::None,
                false,
            ),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Body::None, false),
            (
                "GET / HTTP/1.1\r\nA:\r\nB:\t b \t\r\nC: \u{e9}\r\n\r\n",
                Body::None,
                false,
            ),
            (
                "GET / HTTP/1.1\r\nUPGRADE: websocket\r\n\r\n",
                Body::None,
                true,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
                Body::None,
                false,
            ),
            (
                "POST / HTTP/1.1\r\ncontent-length:5\r\n\r\n",
                Body::Length(5),
                false,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n",
                Body::Length(u64::MAX),
                false,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n",
                Body::Chunked,
                false,
            ),
            ("BREW / HTTP/1.1\r\n\r\n", Body::None, false),
        ] {
            let len = text.len();
            let expected = Head { len, body, upgrade };
            let behind = [text.as_bytes(), b"\0behind\n"].concat();
            assert_eq!(check(&behind), Ok(Some(expected)), "{text:?}");
            assert_eq!(check(&text.as_bytes()[..len - 1]), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn heads_with_two_readings_are_refused() {
        use HeadError::*;
        for (text, expected) in [
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", RequestLine),
            ("\nGET / HTTP/1.1\r\n\r\n", LineEnd),
            ("GET / HTTP/1.1\n\n", LineEnd),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", LineEnd),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", LineEnd),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", LineEnd),
            ("GET / HTTP/1.1\rHost: a\r\n\r\n", LineEnd),
            ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", LineEnd),
            ("GET / HTTP/1.1\r\r\n\r\n", LineEnd),
            ("\rGET / HTTP/1.1\r\n\r\n", LineEnd),
            ("GET / HTTP/1.1\r\nA: \0\r\n\r\n", Control),
            ("GET / HTTP/1.1\r\nA\0: b\r\n\r\n", Control),
            ("GET / HTTP/1.1\r\nA: \x1b[1m\r\n\r\n", Control),
            ("GET / HTTP/1.1\r\nA: \x7f\r\n\r\n", Control),
            ("GET /\0 HTTP/1.1\r\n\r\n", Control),
            ("\x16\x03\x01\x02\0\x01", Control),
            ("GET /\r\n\r\n", RequestLine),
            ("GET  / HTTP/1.1\r\n\r\n", RequestLine),
            ("GET / HTTP/1.1 \r\n\r\n", RequestLine),
            (" GET / HTTP/1.1\r\n\r\n", RequestLine),
            ("G(T / HTTP/1.1\r\n\r\n", RequestLine),
            ("GET\t/\tHTTP/1.1\r\n\r\n", RequestLine),
            ("GET / http/1.1\r\n\r\n", RequestLine),
            ("GET / FTP/1.1\r\n\r\n", RequestLine),
            ("hello\r\n\r\n", RequestLine),
            ("GET / HTTP/1.2\r\n\r\n", Version),
            ("GET / HTTP/0.9\r\n\r\n", Version),
            ("GET / HTTP/1.10\r\n\r\n", Version),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Connect),
            ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", Connect),
            ("GET /a#b HTTP/1.1\r\n\r\n", Target),
            ("GET /a?b#c HTTP/1.1\r\n\r\n", Target),
            ("GET http://a/#b HTTP/1.1\r\n\r\n", Target),
            ("GET a/b HTTP/1.1\r\n\r\n", Target),
            ("GET /a\tb HTTP/1.1\r\n\r\n", Target),
            ("GET /a<b HTTP/1.1\r\n\r\n", Target),
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Folded),
            ("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", Folded),
            ("GET / HTTP/1.1\r\n A: b\r\n\r\n", Folded),
            ("GET / HTTP/1.1\r\n \r\n\r\n", Folded),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeaderName),
            ("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", HeaderName),
            ("GET / HTTP/1.1\r\nHo st: a\r\n\r\n", HeaderName),
            ("GET / HTTP/1.1\r\n: a\r\n\r\n", HeaderName),
            ("GET / HTTP/1.1\r\nHost\r\n\r\n", HeaderName),
            ("GET / HTTP/1.1\r\nH\u{e9}: a\r\n\r\n", HeaderName),
            (
                "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
                ContentLength,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
                ContentLength,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
                ContentLength,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
                ContentLength,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                ContentLength,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n",
                ContentLength,
            ),
            ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", ContentLength),
            (
                "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
                ContentLength,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                TransferEncoding,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
                TransferEncoding,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: \x0cchunked\r\n\r\n",
                Control,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n",
                TransferEncoding,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                TransferEncoding,
            ),
            (
                "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
                TransferEncoding,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
                TwoLengths,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
                TwoLengths,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\nauthorization: Bearer z\r\n\r\n",
                TwoCredentials,
            ),
        ] {
            assert_eq!(check(text.as_bytes()), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_told_at_the_limit() {
        let line = "GET / HTTP/1.1\r\nA: ";
        let fill = |len: usize| format!("{line}{}\r\n\r\n", "x".repeat(len - line.len() - 4));
        let most = fill(LIMIT);
        assert_eq!(check(most.as_bytes()).unwrap().unwrap().len, LIMIT);
        let more = fill(LIMIT + 1);
        assert_eq!(check(more.as_bytes()), Err(HeadError::TooLarge(LIMIT)));
        assert_eq!(check(&more.as_bytes()[..LIMIT - 1]), Ok(None));
        assert_eq!(
            check(&more.as_bytes()[..LIMIT]),
            Err(HeadError::TooLarge(LIMIT))
        );
    }

    #[test]
    fn header_lines_are_counted() {
        let head = |lines| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(lines));
        assert!(check(head(MAX_HEADERS).as_bytes()).unwrap().is_some());
        let found = check(head(MAX_HEADERS + 1).as_bytes());
        assert_eq!(found, Err(HeadError::TooManyHeaders));
    }

    #[test]
    fn errors_have_the_status_of_their_kind() {
        for (error, status) in [
            (HeadError::TooLarge(1), 431),
            (HeadError::TooManyHeaders, 431),
            (HeadError::Connect, 405),
            (HeadError::LineEnd, 400),
            (HeadError::TwoLengths, 400),
        ] {
            assert_eq!(error.status(), status);
        }
    }

    /// Pieces of which heads are made, good and bad.
    fn piece() -> impl Strategy<Value = &'static [u8]> {
        let pieces: Vec<&'static [u8]> = vec![
            b"GET / HTTP/1.1\r\n",
            b"Host: a\r\n",
            b"Upgrade: websocket\r\n",
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b" ",
            b"\t",
            b":",
            b"a",
            b"\0",
            b"\xff",
            b"#",
        ];
        proptest::sample::select(pieces)
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }

        #[test]
        fn what_passes_means_the_same_to_others_and_however_it_is_cut(
            pieces in proptest::collection::vec(piece(), 0..12),
            size in any::<u8>(),
        ) {
            let _ = check(&pieces.concat());
            let line: &[u8] = b"GET / HTTP/1.1\r\n";
            fuzzing::request_head(&[&[size], &*pieces.concat()].concat());
            fuzzing::request_head(&[&[size], line, &pieces.concat(), b"\r\n"].concat());
        }
    }
}
