//! Chunked bodies, strictly: where each chunk's bytes are, and where the body ends (RFC 9112 §7.1).
//!
//! Pure: bytes in, in pieces of any size, and never more than a few words of state. Sizes are plain
//! hexadecimal digits, lines end with CRLF, extensions and trailers are bounded and count for nothing.

use super::line::{Line, LineFault};
use thiserror::Error;

/// A chunked body on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    at: At,
}

/// Why a body has no certain end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// No hexadecimal number where a size belongs, or one beyond reason.
    #[error("malformed chunk size")]
    Size,
    /// More than the size says, or a line end that is not CRLF.
    #[error("a chunk does not end where its size says")]
    End,
    /// An extension or the trailers are endless or have control characters.
    #[error("malformed chunk extension or trailer")]
    Extra,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the digits of a size.
    Size { size: u64, digits: u8 },
    /// Behind them; `len` counts what no one needs.
    Extension { size: u64, len: usize },
    /// Behind the CR of the line with the size.
    SizeCr { size: u64 },
    /// In the bytes of a chunk.
    Data { left: u64 },
    /// Behind them.
    DataEnd,
    /// Behind the CR that follows them.
    DataCr,
    /// In the trailers, of which `len` bytes have come.
    Trailers { line: Line, len: usize },
    /// Behind the last byte.
    Done,
    /// Nothing more has a meaning.
    Broken(ChunkError),
}

/// Digits of a size at most: 15 make no number beyond `u64`.
const DIGITS_MAX: u8 = 15;
/// Bytes of extensions in one line at most.
const EXTENSION_MAX: usize = 1024;
/// Bytes of all trailers at most.
const TRAILERS_MAX: usize = 8 * 1024;

impl Default for Chunks {
    fn default() -> Self {
        Self::new()
    }
}

impl Chunks {
    /// Before the first byte.
    pub fn new() -> Self {
        Self { at: At::START }
    }

    /// Whether the body has ended; what follows is not part of it.
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// What is wrong; the byte at which it showed has not been taken, nor will any other be.
    pub fn fault(&self) -> Option<ChunkError> {
        match self.at {
            At::Broken(error) => Some(error),
            _ => None,
        }
    }

    /// Takes what of the next bytes says where chunks begin and end; how many that are. Behind them
    /// there is data, or the end of the body, or a fault, or nothing.
    pub fn framing(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for &byte in bytes {
            if matches!(self.at, At::Data { .. } | At::Done | At::Broken(_)) {
                break;
            }
            match self.at.after(byte) {
                Ok(next) => self.at = next,
                Err(error) => {
                    self.at = At::Broken(error);
                    break;
                }
            }
            taken += 1;
        }
        taken
    }

    /// Takes what of the next bytes a chunk carries; how many that are.
    pub fn data(&mut self, bytes: &[u8]) -> usize {
        let At::Data { left } = self.at else {
            return 0;
        };
        let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.at = match left - taken as u64 {
            0 => At::DataEnd,
            left => At::Data { left },
        };
        taken
    }

    /// How many of `bytes`, from the first on, belong to the body.
    pub fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut len = 0;
        loop {
            let before = len;
            len += self.framing(&bytes[len..]);
            len += self.data(&bytes[len..]);
            if len == before {
                return len;
            }
        }
    }
}

impl At {
    const START: Self = Self::Size { size: 0, digits: 0 };

    /// Where one more byte of framing leads.
    fn after(self, byte: u8) -> Result<Self, ChunkError> {
        match (self, byte) {
            (Self::Size { size, digits }, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                (digits < DIGITS_MAX)
                    .then_some(Self::Size {
                        size: size * 16 + digit,
                        digits: digits + 1,
                    })
                    .ok_or(ChunkError::Size)
            }
            (Self::Size { digits: 0, .. }, _) => Err(ChunkError::Size),
            (Self::Size { size, .. } | Self::Extension { size, .. }, b'\r') => {
                Ok(Self::SizeCr { size })
            }
            (Self::Size { size, .. }, b';' | b' ' | b'\t') => Ok(Self::Extension { size, len: 1 }),
            (Self::Size { .. }, _) => Err(ChunkError::Size),
            (Self::Extension { size, len }, byte) => {
                let is_fine = len < EXTENSION_MAX && (byte == b'\t' || !byte.is_ascii_control());
                let next = Self::Extension { size, len: len + 1 };
                is_fine.then_some(next).ok_or(ChunkError::Extra)
            }
            (Self::SizeCr { size: 0 }, b'\n') => Ok(Self::Trailers {
                line: Line::Start,
                len: 0,
            }),
            (Self::SizeCr { size }, b'\n') => Ok(Self::Data { left: size }),
            (Self::SizeCr { .. }, _) => Err(ChunkError::Size),
            (Self::DataEnd, b'\r') => Ok(Self::DataCr),
            (Self::DataCr, b'\n') => Ok(Self::START),
            (Self::DataEnd | Self::DataCr, _) => Err(ChunkError::End),
            (Self::Trailers { len, .. }, _) if len >= TRAILERS_MAX => Err(ChunkError::Extra),
            (Self::Trailers { line, len }, byte) => Ok(match line.after(byte)? {
                Some(line) => Self::Trailers { line, len: len + 1 },
                None => Self::Done,
            }),
            (at, _) => Ok(at),
        }
    }
}

impl From<LineFault> for ChunkError {
    fn from(_: LineFault) -> Self {
        Self::Extra
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fuzzing;
    use proptest::prelude::*;

    /// What was read: the body, how many bytes it took, and what is wrong with the next.
    #[derive(Debug, PartialEq, Eq)]
    struct Read {
        body: Vec<u8>,
        len: usize,
        is_done: bool,
        fault: Option<ChunkError>,
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
        let mut chunks = Chunks::new();
        let (mut body, mut len) = (Vec::new(), 0);
        for piece in pieces {
            let mut at = 0;
            loop {
                let before = at;
                at += chunks.framing(&piece[at..]);
                let data = chunks.data(&piece[at..]);
                body.extend_from_slice(&piece[at..at + data]);
                at += data;
                if at == before {
                    break;
                }
            }
            len += at;
        }
        Read {
            body,
            len,
            is_done: chunks.is_done(),
            fault: chunks.fault(),
        }
    }

    /// Reads in one piece and byte by byte; both must give the same.
    fn check(bytes: &[u8]) -> Read {
        let whole = read([bytes]);
        assert_eq!(read(bytes.chunks(1)), whole, "{}", bytes.escape_ascii());
        assert_eq!(Chunks::new().pass(bytes), whole.len);
        whole
    }

    #[test]
    fn chunks_are_put_together() {
        for (text, body) in [
            ("0\r\n\r\n", ""),
            ("2\r\nno\r\n0\r\n\r\n", "no"),
            (
                "2\r\nno\r\n00A\r\n, not here\r\n0000\r\n\r\n",
                "no, not here",
            ),
            (
                "2;a=b;c=\"d\"\r\nno\r\n0;x\r\nTrailer: 1\r\nB: 2\r\n\r\n",
                "no",
            ),
            ("2 \r\nno\r\n0\t;x\r\n\r\n", "no"),
            ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
        ] {
            let behind = format!("{text}0\r\n\r\n");
            let expected = Read {
                body: body.into(),
                len: text.len(),
                is_done: true,
                fault: None,
            };
            assert_eq!(check(behind.as_bytes()), expected, "{text:?}");
            let cut = check(&text.as_bytes()[..text.len() - 1]);
            assert!(!cut.is_done && cut.fault.is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_has_two_readings_is_broken() {
        use ChunkError::*;
        for (text, fault) in [
            ("\r\n", Size),
            ("x\r\n", Size),
            ("-1\r\n", Size),
            ("+1\r\n", Size),
            ("0x1\r\n", Size),
            (" 1\r\n", Size),
            (";a\r\n", Size),
            ("1\n", Size),
            ("1\rx", Size),
            ("1,\r\n", Size),
            ("1000000000000000\r\n", Size),
            ("2\r\nnot\r\n", End),
            ("2\r\nno\n0\r\n", End),
            ("2\r\nno\rx", End),
            ("2;a\nb\r\n", Extra),
            ("2;\0\r\n", Extra),
            ("0\r\nA: b\n\r\n", Extra),
            ("0\r\nA: \0\r\n\r\n", Extra),
            ("0\r\n\rx", Extra),
        ] {
            assert_eq!(check(text.as_bytes()).fault, Some(fault), "{text:?}");
        }
    }

    #[test]
    fn nothing_in_it_is_endless() {
        for text in [
            format!("2;{}", "x".repeat(EXTENSION_MAX + 1)),
            format!("0\r\n{}", "A: b\r\n".repeat(TRAILERS_MAX / 6 + 1)),
            format!("0\r\n{}", "x".repeat(TRAILERS_MAX + 1)),
        ] {
            assert_eq!(check(text.as_bytes()).fault, Some(ChunkError::Extra));
        }
    }

    fn piece() -> impl Strategy<Value = &'static [u8]> {
        let pieces: Vec<&'static [u8]> = vec![
            b"0",
            b"2",
            b"1f",
            b"\r\n",
            b"\r",
            b"\n",
            b";",
            b"no",
            b" ",
            b"a",
            b"\0",
            b"0\r\n\r\n",
            b"2\r\nno\r\n",
        ];
        proptest::sample::select(pieces)
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            size: u8,
            pieces in proptest::collection::vec(piece(), 0..30),
        ) {
            fuzzing::chunks(&[&[size % 9], &pieces.concat()[..]].concat());
        }

        #[test]
        fn what_was_put_in_comes_out(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            size in 1..9_usize,
        ) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let found = read(bytes.chunks(size));
            prop_assert_eq!(&found.body, &parts.concat());
            prop_assert!(found.is_done && found.len == bytes.len());
        }
    }
}
