//! Frames without end, as a client or a server may send them: useful ones and hostile ones.

use super::Failure;
use super::message::{Kind, frame, message};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::str::FromStr;
use wsgate::frame::{Header, Opcode};

/// What is written at once is at least about that.
const BLOCK: usize = 64 << 10;
/// Nobody sees the end of it.
const ENDLESS: u64 = 1 << 62;

/// What comes. Its text is the last part of the path at which a [server](super::server) sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Flow {
    Messages(Kind, usize),
    /// Whole messages without a byte in them: nothing but headers.
    Empty,
    /// One frame of 2^62 bytes.
    Endless,
    /// One message in frames of a byte each.
    Fragments,
    Pings,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(kind, size) => write!(f, "{}-{size}", kind.word()),
            Self::Empty => f.write_str("empty"),
            Self::Endless => f.write_str("endless"),
            Self::Fragments => f.write_str("fragments"),
            Self::Pings => f.write_str("pings"),
        }
    }
}

impl FromStr for Flow {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let messages = |kind, size: &str| Ok(Self::Messages(kind, size.parse()?));
        match text.split_once('-') {
            Some(("binary", size)) => messages(Kind::Binary, size),
            Some(("text", size)) => messages(Kind::Text, size),
            None if text == "empty" => Ok(Self::Empty),
            None if text == "endless" => Ok(Self::Endless),
            None if text == "fragments" => Ok(Self::Fragments),
            None if text == "pings" => Ok(Self::Pings),
            _ => Err(format!("nothing flows as `{text}`").into()),
        }
    }
}

/// A flow under way.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
    /// From here on it begins again.
    again: usize,
    next: usize,
}

impl Stream {
    /// As a client sends it, with a key; as a server does, without.
    pub(crate) fn new(flow: Flow, key: Option<[u8; 4]>) -> Self {
        let one_byte = |opcode| frame(false, opcode, vec![0x5A], key);
        let (head, part) = match flow {
            Flow::Messages(kind, size) => (Vec::new(), message(kind, size, key)),
            Flow::Empty => (Vec::new(), frame(true, Opcode::Binary, Vec::new(), key)),
            Flow::Endless => (endless(key), vec![0x5A]),
            Flow::Fragments => (one_byte(Opcode::Binary), one_byte(Opcode::Continuation)),
            Flow::Pings => (Vec::new(), frame(true, Opcode::Ping, Vec::new(), key)),
        };
        let block = part.repeat(BLOCK.div_ceil(part.len()));
        Self {
            again: head.len(),
            bytes: [head, block].concat(),
            next: 0,
        }
    }

    /// What comes next, as far as it is at hand; never nothing.
    pub(crate) fn next(&self) -> &[u8] {
        match &self.bytes[self.next..] {
            [] => &self.bytes[self.again..],
            next => next,
        }
    }

    /// Sends what `write` takes at once, and says how much that was.
    pub(crate) fn send(
        &mut self,
        write: impl FnOnce(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = write(self.next())?;
        self.pass(count);
        Ok(count)
    }

    /// So much of [`next`](Self::next) is done.
    pub(crate) fn pass(&mut self, count: usize) {
        if self.next == self.bytes.len() {
            self.next = self.again;
        }
        self.next += count;
    }
}

fn endless(key: Option<[u8; 4]>) -> Vec<u8> {
    let header = Header {
        fin: true,
        rsv1: false,
        opcode: Opcode::Binary,
        mask: key,
        payload_len: ENDLESS,
        header_len: 0,
    };
    header.encode().to_vec()
}
