//! The lines of a request head, and what they say of that which follows (RFC 9112 §3, §5, §6).
//!
//! hyper takes the same lines apart again; this decides beforehand whether they have one reading.

use super::head::{HeadError, MAX_HEADERS};
use super::token::{is_token, trim};
use http::Uri;
use memchr::memchr;

/// A whole head that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its bytes, with an empty line before and the empty line behind it.
    pub len: usize,
    /// What follows it.
    pub body: Body,
    /// Whether it has `Upgrade`, so that what follows may be no HTTP.
    pub upgrade: bool,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// The next head.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Checks a head whose line ends and controls are known to be right.
pub(super) fn check_lines(bytes: &[u8]) -> Result<Head, HeadError> {
    let mut lines = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let version = check_request_line(next_line(&mut lines))?;
    let mut fields = Fields::default();
    loop {
        let line = next_line(&mut lines);
        if line.is_empty() {
            return Ok(Head {
                len: bytes.len(),
                body: fields.body(version)?,
                upgrade: fields.upgrade,
            });
        }
        fields.add(line)?;
    }
}

/// Takes the next line off, without its end.
pub(super) fn next_line<'a>(lines: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr(b'\r', lines).unwrap_or(lines.len());
    let line = &lines[..end];
    *lines = lines.get(end + 2..).unwrap_or_default();
    line
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HttpVersion {
    Http10,
    Http11,
}

fn check_request_line(line: &[u8]) -> Result<HttpVersion, HeadError> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadError::RequestLine);
    };
    if !is_token(method) {
        return Err(HeadError::RequestLine);
    }
    let version = match version {
        b"HTTP/1.1" => HttpVersion::Http11,
        b"HTTP/1.0" => HttpVersion::Http10,
        _ if version.starts_with(b"HTTP/") => return Err(HeadError::Version),
        _ => return Err(HeadError::RequestLine),
    };
    if method == b"CONNECT" {
        return Err(HeadError::Connect);
    }
    check_target(target)?;
    Ok(version)
}

/// Of what follows a fragment the URI type keeps nothing, so it must be seen here.
fn check_target(target: &[u8]) -> Result<(), HeadError> {
    let has_foreign = target.iter().any(|byte| matches!(byte, b'#' | b'\t'));
    if has_foreign || Uri::try_from(target).is_err() {
        return Err(HeadError::Target);
    }
    Ok(())
}

/// What the header lines say of the body, and those that may stand only once.
#[derive(Debug, Default)]
struct Fields {
    count: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    has_credential: bool,
}

impl Fields {
    fn add(&mut self, line: &[u8]) -> Result<(), HeadError> {
        self.count += 1;
        if self.count > MAX_HEADERS {
            return Err(HeadError::TooManyHeaders);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(HeadError::Folded);
        }
        let (name, value) = field(line).ok_or(HeadError::HeaderName)?;
        self.add_field(name, value)
    }

    fn add_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                return Err(HeadError::ContentLength);
            }
            self.length = Some(number(value).ok_or(HeadError::ContentLength)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::TransferEncoding);
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        } else if name.eq_ignore_ascii_case(b"authorization")
            && std::mem::replace(&mut self.has_credential, true)
        {
            return Err(HeadError::TwoCredentials);
        }
        Ok(())
    }

    fn body(&self, version: HttpVersion) -> Result<Body, HeadError> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(HeadError::TwoLengths),
            // RFC 9112 §6.1: who speaks HTTP/1.0 does not know it, so someone else added it.
            (true, None) if version == HttpVersion::Http10 => Err(HeadError::TransferEncoding),
            (true, None) => Ok(Body::Chunked),
            (false, None | Some(0)) => Ok(Body::None),
            (false, Some(length)) => Ok(Body::Length(length)),
        }
    }
}

/// Name and value of a header line; `None` if the name is no token or has no colon right behind it.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    is_token(name).then(|| (name, trim(value)))
}

/// Digits alone; `parse` would take a sign.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let is_digits = value.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(value).ok().filter(|_| is_digits)?;
    text.parse().ok()
}
