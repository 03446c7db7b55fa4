//! Messages as benchmarks send them.

use serde::{Deserialize, Serialize};
use wsgate::frame::{Header, Opcode, mask};

/// What a message is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Binary,
    /// Letters of one to four bytes.
    Text,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Text => "text",
        }
    }

    fn opcode(self) -> Opcode {
        match self {
            Self::Binary => Opcode::Binary,
            Self::Text => Opcode::Text,
        }
    }
}

/// A message of one frame, masked with a key if there is one.
pub(crate) fn message(kind: Kind, size: usize, key: Option<[u8; 4]>) -> Vec<u8> {
    frame(true, kind.opcode(), payload(kind, size), key)
}

/// Any frame.
pub(crate) fn frame(
    fin: bool,
    opcode: Opcode,
    mut payload: Vec<u8>,
    key: Option<[u8; 4]>,
) -> Vec<u8> {
    let header = Header {
        fin,
        rsv1: false,
        opcode,
        mask: key,
        payload_len: payload.len() as u64,
        header_len: 0,
    };
    if let Some(key) = key {
        mask::apply(&mut payload, key);
    }
    [&*header.encode(), &payload].concat()
}

fn payload(kind: Kind, size: usize) -> Vec<u8> {
    match kind {
        Kind::Binary => (0..size).map(|at| (at * 31) as u8).collect(),
        Kind::Text => {
            let words = "héllo € 😀 ".repeat(1 + size / 16);
            let mut text = words[..words.floor_char_boundary(size)].to_owned();
            text.extend(std::iter::repeat_n('.', size - text.len()));
            text.into_bytes()
        }
    }
}
