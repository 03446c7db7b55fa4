//! What a frame is for (RFC 6455 §5.2).

/// The opcodes that RFC 6455 defines; the reserved ones have no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation,
    /// The first fragment of a text message.
    Text,
    /// The first fragment of a binary message.
    Binary,
    /// The last frame of its direction.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping, or merely says that the sender lives.
    Pong,
}

impl Opcode {
    /// The opcode in the low four bits of a frame's first byte; nothing if it is reserved.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Control frames may stand between the fragments of a message and are never fragmented.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_values_are_known_and_come_back_as_they_went() {
        let known = (0u8..16).filter_map(|bits| {
            let opcode = Opcode::from_bits(bits)?;
            assert_eq!(opcode.bits(), bits);
            Some(bits)
        });
        assert_eq!(known.collect::<Vec<_>>(), [0, 1, 2, 8, 9, 10]);
    }
}
