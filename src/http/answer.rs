//! The head of an upstream's answer to an ordinary request, checked as strictly as a client's
//! request (RFC 9112 §4 to §6, §9.3).
//!
//! What passes has one reading and ends where everyone thinks it ends. An answer that a client and
//! the gateway could read differently would let one client's answer reach another.

use super::framing::{field, next_line, number};
use super::head::MAX_HEADERS;
use super::line::{Line, LineFault};
use super::token::has_token;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use thiserror::Error;

/// Looks for the end of an answer's head in bytes that arrive little by little; never at a byte
/// twice. The result does not depend on how the bytes were cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerScan {
    limit: usize,
    /// Bytes looked at.
    seen: usize,
    line: Line,
}

/// A whole head that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// Its bytes, with the empty line.
    pub len: usize,
    /// Any that HTTP knows but 101.
    pub status: StatusCode,
    /// All lines, as they came.
    pub headers: HeaderMap,
    /// What follows it.
    pub body: AnswerBody,
    /// Whether the connection may carry another request behind it.
    pub persists: bool,
}

/// What follows the head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerBody {
    /// Nothing of this answer.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All up to the end of the connection.
    UntilEnd,
}

/// Why an answer is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// It begins as no HTTP/1 answer does.
    #[error("it is not HTTP/1")]
    NotHttp,
    /// No end within the limit.
    #[error("its head is larger than {0} bytes")]
    TooLarge(usize),
    /// More than [`MAX_HEADERS`] lines.
    #[error("it has more than {MAX_HEADERS} header lines")]
    TooManyHeaders,
    /// A line feed without carriage return, or the other way round.
    #[error("a line of its head does not end with CRLF")]
    LineEnd,
    /// NUL, another control, DEL.
    #[error("its head has a control character")]
    Control,
    /// Not `HTTP/1.x NNN reason`.
    #[error("malformed status line")]
    StatusLine,
    /// A header line that begins with white space: obsolete folding.
    #[error("a header line begins with white space")]
    Folded,
    /// A header name that is no token; or a line without colon.
    #[error("malformed header line")]
    HeaderLine,
    /// `Content-Length` that is repeated or no number.
    #[error("malformed Content-Length")]
    ContentLength,
    /// `Transfer-Encoding` that is not `chunked` alone, or in HTTP/1.0.
    #[error("malformed Transfer-Encoding")]
    TransferEncoding,
    /// Both, so that the end of the body has two readings.
    #[error("Content-Length and Transfer-Encoding exclude each other")]
    TwoLengths,
    /// 101, which an ordinary request does not ask for.
    #[error("it switches protocols, which nobody has asked for")]
    Switching,
}

impl AnswerScan {
    /// Heads of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            seen: 0,
            line: Line::Start,
        }
    }

    /// Goes on with `bytes`: all that has arrived since the head began, in one piece, in answer to
    /// `method`. Once it has given a head or an error the scan is over.
    pub fn scan(
        &mut self,
        bytes: &[u8],
        method: &Method,
    ) -> Result<Option<AnswerHead>, AnswerError> {
        let within = bytes.len().min(self.limit);
        while self.seen < within {
            let byte = bytes[self.seen];
            if BEGINNING.get(self.seen).is_some_and(|&due| due != byte) {
                return Err(AnswerError::NotHttp);
            }
            self.seen += 1;
            match self.line.after(byte)? {
                Some(line) => self.line = line,
                None => return parse(&bytes[..self.seen], method).map(Some),
            }
        }
        match self.seen == self.limit {
            true => Err(AnswerError::TooLarge(self.limit)),
            false => Ok(None),
        }
    }
}

impl From<LineFault> for AnswerError {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::End => Self::LineEnd,
            LineFault::Control => Self::Control,
        }
    }
}

/// What every answer that can be understood begins with.
const BEGINNING: &[u8] = b"HTTP/1.";

/// Parses a head whose line ends and controls are known to be right.
fn parse(bytes: &[u8], method: &Method) -> Result<AnswerHead, AnswerError> {
    let mut lines = bytes;
    let (is_http_11, status) = status_line(next_line(&mut lines))?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(AnswerError::Switching);
    }
    let headers = header_lines(lines)?;
    let body = framing(is_http_11, &headers)?;
    let has_none = *method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    let body = if has_none { AnswerBody::None } else { body };
    let persists =
        is_http_11 && body != AnswerBody::UntilEnd && !has_token(&headers, &CONNECTION, "close");
    Ok(AnswerHead {
        len: bytes.len(),
        status,
        headers,
        body,
        persists,
    })
}

fn status_line(line: &[u8]) -> Result<(bool, StatusCode), AnswerError> {
    let rest = line.strip_prefix(BEGINNING);
    let rest = rest.ok_or(AnswerError::StatusLine)?;
    let (is_http_11, rest) = match rest {
        [b'1', b' ', rest @ ..] => (true, rest),
        [b'0', b' ', rest @ ..] => (false, rest),
        _ => return Err(AnswerError::StatusLine),
    };
    // The space behind the code is left out by some who give no reason.
    let code = match rest {
        [_, _, _, b' ', ..] => &rest[..3],
        code => code,
    };
    let status = StatusCode::from_bytes(code).map_err(|_| AnswerError::StatusLine)?;
    (status.as_u16() < 600)
        .then_some((is_http_11, status))
        .ok_or(AnswerError::StatusLine)
}

fn header_lines(mut lines: &[u8]) -> Result<HeaderMap, AnswerError> {
    let mut headers = HeaderMap::new();
    loop {
        let line = next_line(&mut lines);
        if line.is_empty() {
            return Ok(headers);
        }
        if headers.len() == MAX_HEADERS {
            return Err(AnswerError::TooManyHeaders);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(AnswerError::Folded);
        }
        let (name, value) = field(line).ok_or(AnswerError::HeaderLine)?;
        let name = HeaderName::from_bytes(name).map_err(|_| AnswerError::HeaderLine)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| AnswerError::HeaderLine)?;
        headers.append(name, value);
    }
}

/// What the header lines say of the body, whatever the status and the method make of it.
fn framing(is_http_11: bool, headers: &HeaderMap) -> Result<AnswerBody, AnswerError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).into_iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).into_iter();
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(length), None) => Some(number(length.as_bytes()).ok_or(AnswerError::ContentLength)?),
        (Some(_), Some(_)) => return Err(AnswerError::ContentLength),
    };
    match (codings.next(), codings.next(), length) {
        (None, _, None) => Ok(AnswerBody::UntilEnd),
        (None, _, Some(0)) => Ok(AnswerBody::None),
        (None, _, Some(length)) => Ok(AnswerBody::Length(length)),
        (Some(_), _, Some(_)) => Err(AnswerError::TwoLengths),
        (Some(coding), None, None)
            if is_http_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(AnswerBody::Chunked)
        }
        (Some(_), _, None) => Err(AnswerError::TransferEncoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fuzzing;
    use proptest::prelude::*;

    const LIMIT: usize = 1024;

    fn scan(bytes: &[u8], method: &Method) -> Result<Option<AnswerHead>, AnswerError> {
        AnswerScan::new(LIMIT).scan(bytes, method)
    }

    /// Scans in one go and byte by byte; both must say the same.
    fn check(bytes: &[u8], method: &Method) -> Result<Option<AnswerHead>, AnswerError> {
        let whole = scan(bytes, method);
        let mut scan = AnswerScan::new(LIMIT);
        let cut = (0..=bytes.len())
            .map(|end| scan.scan(&bytes[..end], method))
            .find(|found| *found != Ok(None));
        assert_eq!(cut.unwrap_or(Ok(None)), whole, "{}", bytes.escape_ascii());
        whole
    }

    #[test]
    fn answers_end_where_their_heads_say() {
        use AnswerBody::*;
        let (get, head) = (Method::GET, Method::HEAD);
        for (method, text, status, body, persists) in [
            (
                &get,
                "HTTP/1.1 200 OK\r\nContent-Length: 2",
                200,
                Length(2),
                true,
            ),
            (&get, "HTTP/1.1 200\r\nContent-Length: 0", 200, None, true),
            (
                &get,
                "HTTP/1.1 200 \r\nTransfer-Encoding: Chunked",
                200,
                Chunked,
                true,
            ),
            (&get, "HTTP/1.1 299 \u{fc}ber alles", 299, UntilEnd, false),
            (
                &get,
                "HTTP/1.0 200 OK\r\nContent-Length: 2",
                200,
                Length(2),
                false,
            ),
            (
                &get,
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close",
                200,
                Length(2),
                false,
            ),
            (&get, "HTTP/1.1 204 No Content", 204, None, true),
            (
                &get,
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 9",
                304,
                None,
                true,
            ),
            (&get, "HTTP/1.1 100 Continue", 100, None, true),
            (
                &get,
                "HTTP/1.1 103 Early Hints\r\nLink: </a>",
                103,
                None,
                true,
            ),
            (
                &head,
                "HTTP/1.1 200 OK\r\nContent-Length: 9",
                200,
                None,
                true,
            ),
            (
                &head,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
                200,
                None,
                true,
            ),
            (&head, "HTTP/1.1 200 OK", 200, None, true),
        ] {
            let text = format!("{text}\r\n\r\n");
            let behind = format!("{text}\0behind\n");
            let found = check(behind.as_bytes(), method).unwrap().unwrap();
            assert_eq!(found.len, text.len(), "{text:?}");
            assert_eq!(found.status.as_u16(), status, "{text:?}");
            assert_eq!((found.body, found.persists), (body, persists), "{text:?}");
            assert_eq!(
                check(&text.as_bytes()[..text.len() - 1], method),
                Ok(Option::None)
            );
        }
    }

    #[test]
    fn answers_with_two_readings_are_refused() {
        use AnswerError::*;
        for (text, expected) in [
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket",
                Switching,
            ),
            ("HTTP/1.1 101 X\r\nUpgrade: h2c", Switching),
            ("HTTP/2 200 OK", NotHttp),
            ("http/1.1 200 OK", NotHttp),
            ("\r\nHTTP/1.1 200 OK", NotHttp),
            ("SSH-2.0-OpenSSH", NotHttp),
            ("HTTP/1.2 200 OK", StatusLine),
            ("HTTP/1.11 200 OK", StatusLine),
            ("HTTP/1.1  200 OK", StatusLine),
            ("HTTP/1.1 20 OK", StatusLine),
            ("HTTP/1.1 2000 OK", StatusLine),
            ("HTTP/1.1 099 OK", StatusLine),
            ("HTTP/1.1 600 OK", StatusLine),
            ("HTTP/1.1 ", StatusLine),
            ("HTTP/1.1 200OK", StatusLine),
            ("HTTP/1.1 200 OK\nContent-Length: 0", LineEnd),
            ("HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0", LineEnd),
            ("HTTP/1.1 200 OK\r\nA: b\rc", LineEnd),
            ("HTTP/1.1 200 OK\r\nA: \0", Control),
            ("HTTP/1.1 200 OK\r\nA: \x1b[1m", Control),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c", Folded),
            ("HTTP/1.1 200 OK\r\n A: b", Folded),
            ("HTTP/1.1 200 OK\r\nA : b", HeaderLine),
            ("HTTP/1.1 200 OK\r\nA b", HeaderLine),
            ("HTTP/1.1 200 OK\r\n: b", HeaderLine),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2",
                ContentLength,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3",
                ContentLength,
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2", ContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: +2", ContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length:", ContentLength),
            ("HTTP/1.1 204 No\r\nContent-Length: x", ContentLength),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
                TransferEncoding,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity",
                TransferEncoding,
            ),
            (
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
                TransferEncoding,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                TransferEncoding,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2",
                TwoLengths,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
                TwoLengths,
            ),
        ] {
            let text = format!("{text}\r\n\r\n");
            assert_eq!(
                check(text.as_bytes(), &Method::GET),
                Err(expected),
                "{text:?}"
            );
        }
    }

    #[test]
    fn heads_are_bounded() {
        let line = "HTTP/1.1 200 OK\r\n";
        let endless = format!("{line}A: {}", "x".repeat(LIMIT));
        let found = check(endless.as_bytes(), &Method::GET);
        assert_eq!(found, Err(AnswerError::TooLarge(LIMIT)));
        let many = format!("{line}{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        let found = check(many.as_bytes(), &Method::GET);
        assert_eq!(found, Err(AnswerError::TooManyHeaders));
    }

    /// Pieces of which heads are made, good and bad.
    fn piece() -> impl Strategy<Value = &'static [u8]> {
        let pieces: Vec<&'static [u8]> = vec![
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 404 No\r\n",
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b" ",
            b":",
            b"a",
            b"\0",
            b"\xff",
        ];
        proptest::sample::select(pieces)
    }

    proptest! {
        #[test]
        fn any_bytes_have_one_reading(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            fuzzing::answer(&bytes);
            fuzzing::answer(&[&[7], &b"HTTP/1.1 200"[..], &bytes].concat());
        }

        #[test]
        fn any_cut_gives_the_same_verdict(
            choice: u8,
            pieces in proptest::collection::vec(piece(), 0..12),
        ) {
            fuzzing::answer(&[&[choice], &b"HTTP/1.1 200 OK\r\n"[..], &pieces.concat()].concat());
        }
    }
}
