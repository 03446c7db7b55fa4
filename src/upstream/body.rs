//! The body of a refusal: taken out of its HTTP/1.1 framing and bounded (RFC 9112 §6, §7.1).
//!
//! Pure: bytes in, in pieces of any size. The connection is closed afterwards in any case, so what
//! follows a body, or contradicts its framing, harms nobody.

use http::{HeaderMap, StatusCode, header};

/// Bytes of a body that are taken.
pub(super) const BODY_LIMIT: usize = 64 * 1024;
/// Bytes of one chunk-size line, extensions included, or of one trailer line.
const LINE_LIMIT: usize = 1024;

/// A body on its way in.
#[derive(Debug)]
pub(super) struct Body {
    taken: Vec<u8>,
    framing: Framing,
    truncated: bool,
}

/// What ends the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// It has ended.
    Done,
    /// So many bytes more.
    Length(u64),
    /// The end of the connection.
    UntilEnd,
    /// Chunks; where in them it is.
    Chunked(Chunk),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// In the line with the size.
    Size { size: u64, digits: u8, line: usize },
    /// In the rest of that line, of which nothing counts.
    Extension { size: u64, line: usize },
    /// In the bytes.
    Data(u64),
    /// At the line end behind them.
    DataEnd,
    /// In the trailers; `line` counts what the current line has.
    Trailer { line: usize },
}

/// The framing was broken: what came before it counts.
struct Broken;

impl Body {
    /// By the head that came before it.
    pub(super) fn after(status: StatusCode, headers: &HeaderMap) -> Self {
        Self {
            taken: Vec::new(),
            framing: framing(status, headers),
            truncated: false,
        }
    }

    /// Whether more bytes are wanted.
    pub(super) fn wants_more(&self) -> bool {
        !self.truncated && self.framing != Framing::Done
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.wants_more() {
            if self.step(&mut bytes).is_err() {
                self.truncated = true;
            }
        }
    }

    /// The body, and whether there was more of it; to be called when the bytes have ended too.
    pub(super) fn finish(self) -> (Vec<u8>, bool) {
        let is_whole = matches!(self.framing, Framing::Done | Framing::UntilEnd);
        (self.taken, self.truncated || !is_whole)
    }

    /// The same, for a body that was given up while more was to come.
    pub(super) fn abandon(self) -> (Vec<u8>, bool) {
        let is_whole = self.framing == Framing::Done && !self.truncated;
        (self.taken, !is_whole)
    }

    fn step(&mut self, bytes: &mut &[u8]) -> Result<(), Broken> {
        self.framing = match self.framing {
            Framing::Done => Framing::Done,
            Framing::UntilEnd => {
                self.keep(bytes, u64::MAX);
                Framing::UntilEnd
            }
            Framing::Length(left) => match left - self.keep(bytes, left) {
                0 => Framing::Done,
                left => Framing::Length(left),
            },
            Framing::Chunked(Chunk::Data(left)) => match left - self.keep(bytes, left) {
                0 => Framing::Chunked(Chunk::DataEnd),
                left => Framing::Chunked(Chunk::Data(left)),
            },
            Framing::Chunked(chunk) => {
                let (&byte, rest) = bytes.split_first().ok_or(Broken)?;
                *bytes = rest;
                chunk.after(byte)?
            }
        };
        Ok(())
    }

    /// Moves at most `most` bytes over and says how many.
    fn keep(&mut self, bytes: &mut &[u8], most: u64) -> u64 {
        let length = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let (now, rest) = bytes.split_at(length);
        *bytes = rest;
        let room = BODY_LIMIT - self.taken.len();
        self.taken.extend_from_slice(&now[..length.min(room)]);
        self.truncated |= length > room;
        length as u64
    }
}

impl Chunk {
    const START: Self = Self::Size {
        size: 0,
        digits: 0,
        line: 0,
    };

    /// Where one more byte leads; bytes of data are not led through here.
    fn after(self, byte: u8) -> Result<Framing, Broken> {
        let next = match (self, byte) {
            (
                Self::Size { line, .. } | Self::Extension { line, .. } | Self::Trailer { line },
                _,
            ) if line >= LINE_LIMIT => {
                return Err(Broken);
            }
            (Self::Size { digits: 0, .. }, byte) if !byte.is_ascii_hexdigit() => {
                return Err(Broken);
            }
            (Self::Size { size, .. } | Self::Extension { size, .. }, b'\n') => match size {
                0 => Self::Trailer { line: 0 },
                size => Self::Data(size),
            },
            (Self::Size { size, digits, line }, byte) => match hex(byte) {
                Some(_) if digits >= 15 => return Err(Broken),
                Some(value) => Self::Size {
                    size: size * 16 + value,
                    digits: digits + 1,
                    line: line + 1,
                },
                None => Self::Extension {
                    size,
                    line: line + 1,
                },
            },
            (Self::Extension { size, line }, _) => Self::Extension {
                size,
                line: line + 1,
            },
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::START,
            (Self::DataEnd, _) => return Err(Broken),
            (Self::Trailer { line: 0 }, b'\n') => return Ok(Framing::Done),
            (Self::Trailer { .. }, b'\n') => Self::Trailer { line: 0 },
            (Self::Trailer { line: 0 }, b'\r') => Self::Trailer { line: 0 },
            (Self::Trailer { line }, _) => Self::Trailer { line: line + 1 },
            (Self::Data(left), _) => Self::Data(left),
        };
        Ok(Framing::Chunked(next))
    }
}

/// `Transfer-Encoding` goes before `Content-Length`, of which contradicting ones count for nothing
/// (RFC 9112 §6.3).
fn framing(status: StatusCode, headers: &HeaderMap) -> Framing {
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Framing::Done;
    }
    if let Some(coding) = headers
        .get_all(header::TRANSFER_ENCODING)
        .iter()
        .next_back()
    {
        let last = coding.as_bytes().rsplit(|&byte| byte == b',').next();
        let last = last.unwrap_or_default().trim_ascii();
        return match last.eq_ignore_ascii_case(b"chunked") {
            true => Framing::Chunked(Chunk::START),
            false => Framing::UntilEnd,
        };
    }
    match content_length(headers) {
        Some(0) => Framing::Done,
        Some(length) => Framing::Length(length),
        None => Framing::UntilEnd,
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next()?;
    let agree = lengths.all(|length| length == first);
    let digits = first.to_str().ok()?.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (agree && is_number).then(|| digits.parse().ok()).flatten()
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn body(headers: &[(&'static str, &'static str)]) -> Body {
        let headers = headers
            .iter()
            .map(|&(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            })
            .collect();
        Body::after(StatusCode::FORBIDDEN, &headers)
    }

    fn chunked() -> Body {
        body(&[("transfer-encoding", "chunked")])
    }

    /// The body of `bytes` as text, and whether it was cut.
    fn taken(mut body: Body, bytes: &str) -> (String, bool) {
        body.take(bytes.as_bytes());
        let (taken, truncated) = body.finish();
        (String::from_utf8(taken).unwrap(), truncated)
    }

    #[test]
    fn each_framing_ends_where_it_says() {
        let cases = [
            (body(&[("content-length", "3")]), "nonsense", "non", false),
            (body(&[("content-length", "9")]), "no", "no", true),
            (body(&[("content-length", "0")]), "no", "", false),
            (body(&[]), "until the end", "until the end", false),
            (body(&[("content-length", "x")]), "all", "all", false),
            (
                body(&[("content-length", "1"), ("transfer-encoding", "Chunked")]),
                "2\r\nno\r\n0\r\n\r\n",
                "no",
                false,
            ),
            (
                body(&[("transfer-encoding", "chunked, gzip")]),
                "zip",
                "zip",
                false,
            ),
            (
                chunked(),
                "3;x=y\r\nnot\r\nA\r\n here, sir\r\n0\r\n\r\n",
                "not here, sir",
                false,
            ),
            (chunked(), "2\nno\n0\nTrailer: 1\n\nmore", "no", false),
            (chunked(), "2\r\nno\r\n", "no", true),
            (chunked(), "2\r\nno!\r\n", "no", true),
            (chunked(), "\r\nno", "", true),
            (chunked(), "-2\r\nno", "", true),
            (chunked(), "ffffffffffffffff\r\nno", "", true),
        ];
        for (body, bytes, expected, truncated) in cases {
            assert_eq!(
                taken(body, bytes),
                (expected.to_owned(), truncated),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn statuses_without_a_body_have_none() {
        let headers =
            HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from_static("3"))]);
        for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
            assert!(!Body::after(status, &headers).wants_more());
        }
    }

    #[test]
    fn a_large_body_is_cut_at_the_limit() {
        let large = "x".repeat(BODY_LIMIT + 1);
        let whole = "x".repeat(BODY_LIMIT);
        assert_eq!(taken(body(&[]), &large), (whole.clone(), true));
        assert_eq!(taken(body(&[]), &whole), (whole.clone(), false));
        let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
        assert_eq!(taken(chunked(), &chunk), (whole, true));
    }

    #[test]
    fn endless_lines_are_broken() {
        let extension = format!("2;{}", "x".repeat(LINE_LIMIT));
        assert_eq!(taken(chunked(), &extension), (String::new(), true));
        let trailer = format!("0\r\n{}", "x".repeat(LINE_LIMIT + 1));
        assert_eq!(taken(chunked(), &trailer), (String::new(), true));
    }

    #[test]
    fn what_was_given_up_is_cut() {
        let mut open_ended = body(&[]);
        open_ended.take(b"so far");
        assert_eq!(open_ended.abandon(), (b"so far".to_vec(), true));
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same(
            bytes in prop::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'2'), Just(b'0'), any::<u8>()], 0..200),
            size in 1_usize..20,
            chunks in any::<bool>(),
        ) {
            let fresh = || if chunks { chunked() } else { body(&[("content-length", "40")]) };
            let mut whole = fresh();
            whole.take(&bytes);
            let mut pieces = fresh();
            for piece in bytes.chunks(size) {
                pieces.take(piece);
            }
            prop_assert_eq!(whole.finish(), pieces.finish());
        }

        #[test]
        fn chunks_give_what_was_put_into_them(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
        ) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let mut body = chunked();
            body.take(&bytes);
            prop_assert!(!body.wants_more());
            prop_assert_eq!(body.finish(), (parts.concat(), false));
        }
    }
}
