//! Every way in which a leg can break the rules of frames, and the close code that it earns.

use super::{CloseError, HeaderError, code};

/// A broken rule. Its text is fit to be the reason of the Close that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The header is broken in itself.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A client must mask every frame.
    #[error("a frame of the client is not masked")]
    Unmasked,
    /// A server must mask none.
    #[error("a frame of the server is masked")]
    Masked,
    /// RSV1 where nothing was negotiated, or not on the first frame of a data message.
    #[error("RSV1 is set where it has no meaning")]
    Rsv1,
    /// A continuation, but no message has begun.
    #[error("a continuation continues nothing")]
    NothingToContinue,
    /// A new data frame inside a fragmented message.
    #[error("a message begins inside another")]
    MessageInsideMessage,
    /// The body of a Close frame.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// A text message.
    #[error("text is not valid UTF-8")]
    Utf8,
    /// The message, or the sum of its fragments so far, exceeds the limit.
    #[error("a message is larger than {limit} bytes")]
    TooBig {
        /// The limit that was exceeded.
        limit: u64,
    },
}

impl Violation {
    /// What the leg that broke the rule is told.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Utf8 | Self::Close(CloseError::Reason) => code::INVALID_DATA,
            Self::TooBig { .. } => code::MESSAGE_TOO_BIG,
            _ => code::PROTOCOL_ERROR,
        }
    }

    /// A word for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Header(HeaderError::ReservedBits) => "reserved_bits",
            Self::Header(HeaderError::ReservedOpcode(_)) => "reserved_opcode",
            Self::Header(HeaderError::FragmentedControl) => "fragmented_control",
            Self::Header(HeaderError::LongControl) => "long_control",
            Self::Header(HeaderError::LengthNotMinimal | HeaderError::LengthTooLarge) => {
                "bad_length"
            }
            Self::Unmasked => "unmasked",
            Self::Masked => "masked",
            Self::Rsv1 => "rsv1",
            Self::NothingToContinue | Self::MessageInsideMessage => "bad_fragmentation",
            Self::Close(_) => "bad_close",
            Self::Utf8 => "bad_utf8",
            Self::TooBig { .. } => "too_big",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code() {
        let cases = [
            (Violation::Header(HeaderError::ReservedBits), 1002),
            (Violation::Unmasked, 1002),
            (Violation::Close(CloseError::HalfCode), 1002),
            (Violation::Close(CloseError::Code(1005)), 1002),
            (Violation::Close(CloseError::Reason), 1007),
            (Violation::Utf8, 1007),
            (Violation::TooBig { limit: 1 }, 1009),
        ];
        for (violation, code) in cases {
            assert_eq!(violation.close_code(), code, "{violation}");
        }
    }

    #[test]
    fn every_text_fits_into_a_close_frame() {
        let longest = Violation::TooBig { limit: u64::MAX }.to_string();
        assert!(longest.len() <= 123, "{longest}");
    }
}
