//! What the server does with a session's frames.

use super::{DEAF, DISCARD, TALLY};
use crate::rig::Failure;
use crate::rig::flow::Stream;
use wsgate::frame::{Header, MAX_HEADER, Opcode, mask};

pub(super) enum Part {
    /// The same frames without their masks, pongs for pings; piece by piece, as they come. What its
    /// reader does not take stops the reading.
    Echo(Echo),
    Discard,
    Deaf,
    Tally,
    /// A flow without end, as soon as the client has sent something; then nothing is read.
    Send {
        stream: Stream,
        has_begun: bool,
    },
}

impl Part {
    /// As the head of a request wishes.
    pub(super) fn of(head: &str) -> Result<Self, Failure> {
        let path = head.split(' ').nth(1).ok_or("a request without a path")?;
        let (_, wish) = path.rsplit_once('/').ok_or("a strange path")?;
        Ok(match wish {
            "" => Self::Echo(Echo::default()),
            DISCARD => Self::Discard,
            DEAF => Self::Deaf,
            TALLY => Self::Tally,
            flow => Self::Send {
                stream: Stream::new(flow.parse()?, None),
                has_begun: false,
            },
        })
    }

    /// Appends to `answer` what comes back for `bytes`.
    pub(super) fn take(
        &mut self,
        bytes: &mut [u8],
        answer: &mut Vec<u8>,
        discarded: &mut u64,
    ) -> Result<(), Failure> {
        match self {
            Self::Echo(echo) => echo.take(bytes, answer)?,
            Self::Tally => {
                answer.extend_from_slice(&[0x82, 8]);
                answer.extend_from_slice(&discarded.to_be_bytes());
            }
            Self::Discard => *discarded += bytes.len() as u64,
            Self::Send { has_begun, .. } => *has_begun = true,
            Self::Deaf => {}
        }
        Ok(())
    }
}

/// Where in the stream of frames we are.
#[derive(Default)]
pub(super) struct Echo {
    /// A header that is not whole.
    begun: Vec<u8>,
    /// Payload of this frame that is still to come, and the key that begins there.
    left: u64,
    key: [u8; 4],
    is_closing: bool,
}

impl Echo {
    /// Whether a Close has come, and all of it.
    pub(super) fn is_over(&self) -> bool {
        self.is_closing && self.left == 0
    }

    fn take(&mut self, mut bytes: &mut [u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            let count = bytes.len().min(usize::try_from(self.left)?);
            let (payload, rest) = bytes.split_at_mut(count);
            mask::apply(payload, self.key);
            answer.extend_from_slice(payload);
            self.key = mask::rotate(self.key, count);
            self.left -= count as u64;
            bytes = rest;
            if bytes.is_empty() {
                return Ok(());
            }
            let known = self.begun.len();
            let more = bytes.len().min(MAX_HEADER - known);
            self.begun.extend_from_slice(&bytes[..more]);
            let Some(header) = Header::parse(&self.begun)? else {
                return Ok(());
            };
            self.begin(header, answer);
            bytes = &mut bytes[header.header_len - known..];
        }
    }

    fn begin(&mut self, header: Header, answer: &mut Vec<u8>) {
        self.begun.clear();
        self.left = header.payload_len;
        self.key = header.mask.unwrap_or_default();
        self.is_closing |= header.opcode == Opcode::Close;
        let opcode = match header.opcode {
            Opcode::Ping => Opcode::Pong,
            other => other,
        };
        let bare = Header {
            mask: None,
            opcode,
            ..header
        };
        answer.extend_from_slice(&bare.encode());
    }
}
