//! The header of a frame (RFC 6455 §5.2), judged as soon as the bytes at hand allow.
//!
//! What can be said of one header alone is said here; what depends on who sends it and on the frames
//! before it is said by `Messages`.

use super::Opcode;

/// The longest header: two bytes, a 64-bit length and a masking key.
pub const MAX_HEADER: usize = 14;

/// A whole frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether the frame ends its message.
    pub fin: bool,
    /// The bit that marks a compressed message where permessage-deflate was negotiated.
    pub rsv1: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that follow the header.
    pub payload_len: u64,
    /// Bytes of the header itself; `encode` doesn't read it.
    pub header_len: usize,
}

/// Why bytes are not a frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// RSV2 or RSV3 is set; no known extension gives them a meaning.
    #[error("reserved bits are set")]
    ReservedBits,
    /// An opcode that RFC 6455 keeps for later.
    #[error("opcode `{0:#x}` is reserved")]
    ReservedOpcode(u8),
    /// A control frame without FIN.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame that announces more than 125 bytes.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// A length written in more bytes than it needs.
    #[error("a length is not in its shortest form")]
    LengthNotMinimal,
    /// A 64-bit length whose highest bit is set.
    #[error("a length has its highest bit set")]
    LengthTooLarge,
}

impl Header {
    /// Reads the header at the start of `bytes`. `None`: so far nothing is wrong, and more is needed.
    ///
    /// # Errors
    /// `HeaderError` as soon as the bytes cannot become a valid header.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, HeaderError> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let (fin, opcode) = parse_first(first)?;
        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        let short_len = second & 0x7F;
        if opcode.is_control() && short_len > 125 {
            return Err(HeaderError::LongControl);
        }
        let Some((payload_len, mask_at)) = parse_length(short_len, bytes)? else {
            return Ok(None);
        };
        let (mask, header_len) = if second & MASKED == 0 {
            (None, mask_at)
        } else {
            let Some(&key) = bytes[mask_at..].first_chunk::<4>() else {
                return Ok(None);
            };
            (Some(key), mask_at + 4)
        };
        let rsv1 = first & RSV1 != 0;
        Ok(Some(Self {
            fin,
            rsv1,
            opcode,
            mask,
            payload_len,
            header_len,
        }))
    }

    /// The header as bytes, its length in the shortest form.
    pub fn encode(&self) -> EncodedHeader {
        let mut out = EncodedHeader {
            bytes: [0; MAX_HEADER],
            len: 0,
        };
        let flags = if self.fin { FIN } else { 0 } | if self.rsv1 { RSV1 } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        out.push(&[flags | self.opcode.bits()]);
        match self.payload_len {
            short @ 0..=125 => out.push(&[masked | short as u8]),
            medium @ 126..=0xFFFF => {
                out.push(&[masked | 126]);
                out.push(&(medium as u16).to_be_bytes());
            }
            long => {
                out.push(&[masked | 127]);
                out.push(&long.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            out.push(&key);
        }
        out
    }
}

/// The bytes of a header, held inline.
#[derive(Debug, Clone, Copy)]
pub struct EncodedHeader {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

impl EncodedHeader {
    fn push(&mut self, bytes: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

impl std::ops::Deref for EncodedHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

pub(super) const FIN: u8 = 0x80;
pub(super) const RSV1: u8 = 0x40;
const RSV2_AND_RSV3: u8 = 0x30;
pub(super) const MASKED: u8 = 0x80;

fn parse_first(byte: u8) -> Result<(bool, Opcode), HeaderError> {
    if byte & RSV2_AND_RSV3 != 0 {
        return Err(HeaderError::ReservedBits);
    }
    let bits = byte & 0x0F;
    let opcode = Opcode::from_bits(bits).ok_or(HeaderError::ReservedOpcode(bits))?;
    let fin = byte & FIN != 0;
    if opcode.is_control() && !fin {
        return Err(HeaderError::FragmentedControl);
    }
    Ok((fin, opcode))
}

/// The payload length and where it ends; a length is judged by its first bytes if they suffice.
fn parse_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, HeaderError> {
    match short {
        126 => match bytes[2..].first_chunk::<2>() {
            None => Ok(None),
            Some(&raw) => match u64::from(u16::from_be_bytes(raw)) {
                0..=125 => Err(HeaderError::LengthNotMinimal),
                len => Ok(Some((len, 4))),
            },
        },
        127 => match bytes[2..].first_chunk::<8>() {
            _ if bytes.get(2).is_some_and(|byte| byte & 0x80 != 0) => {
                Err(HeaderError::LengthTooLarge)
            }
            None => Ok(None),
            Some(&raw) => match u64::from_be_bytes(raw) {
                0..=0xFFFF => Err(HeaderError::LengthNotMinimal),
                len => Ok(Some((len, 10))),
            },
        },
        len => Ok(Some((u64::from(len), 2))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_headers_are_named() {
        let cases: &[(&[u8], HeaderError)] = &[
            (&[0xA2], HeaderError::ReservedBits),
            (&[0x92], HeaderError::ReservedBits),
            (&[0x83], HeaderError::ReservedOpcode(3)),
            (&[0x07], HeaderError::ReservedOpcode(7)),
            (&[0x8B], HeaderError::ReservedOpcode(11)),
            (&[0x8F], HeaderError::ReservedOpcode(15)),
            (&[0x08], HeaderError::FragmentedControl),
            (&[0x09], HeaderError::FragmentedControl),
            (&[0x0A], HeaderError::FragmentedControl),
            (&[0x88, 126], HeaderError::LongControl),
            (&[0x89, 0x80 | 126], HeaderError::LongControl),
            (&[0x8A, 127], HeaderError::LongControl),
            (&[0x82, 126, 0, 125], HeaderError::LengthNotMinimal),
            (
                &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
                HeaderError::LengthNotMinimal,
            ),
            (&[0x82, 127, 0x80], HeaderError::LengthTooLarge),
        ];
        for (bytes, error) in cases {
            assert_eq!(Header::parse(bytes), Err(*error), "{bytes:02x?}");
            let before = &bytes[..bytes.len() - 1];
            assert_eq!(
                Header::parse(before),
                Ok(None),
                "{bytes:02x?} was judged too early"
            );
        }
    }

    #[test]
    fn the_largest_length_is_a_number_like_any_other() {
        let bytes = [0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let header = Header::parse(&bytes).unwrap().unwrap();
        assert_eq!(header.payload_len, u64::MAX >> 1);
    }

    fn any_header() -> impl Strategy<Value = Header> {
        let opcode = (0u8..16).prop_filter_map("reserved", Opcode::from_bits);
        let len = prop_oneof![0u64..130, 0xFFF0u64..0x1_0010, 0u64..=u64::MAX >> 1];
        (
            any::<bool>(),
            any::<bool>(),
            opcode,
            any::<Option<[u8; 4]>>(),
            len,
        )
            .prop_map(|(fin, rsv1, opcode, mask, len)| {
                let control = opcode.is_control();
                let payload_len = if control { len % 126 } else { len };
                let mut header = Header {
                    fin: fin || control,
                    rsv1,
                    opcode,
                    mask,
                    payload_len,
                    header_len: 0,
                };
                header.header_len = header.encode().len();
                header
            })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_parsed_and_no_prefix_is_judged(header in any_header()) {
            let bytes = header.encode();
            prop_assert_eq!(Header::parse(&bytes), Ok(Some(header)));
            for end in 0..bytes.len() {
                prop_assert_eq!(Header::parse(&bytes[..end]), Ok(None));
            }
        }

        #[test]
        fn bytes_that_parse_are_the_encoding_of_what_they_mean(bytes: [u8; MAX_HEADER]) {
            if let Ok(Some(header)) = Header::parse(&bytes) {
                prop_assert_eq!(&*header.encode(), &bytes[..header.header_len]);
            }
        }
    }
}
