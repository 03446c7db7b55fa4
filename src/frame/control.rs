//! Control frames that the gateway itself says, built whole and inline (RFC 6455 §5.5).

use super::{Header, Opcode, mask};

/// The longest control frame: header, masking key, 125 bytes.
pub const MAX_CONTROL_FRAME: usize = 2 + 4 + MAX_PAYLOAD;

/// The bytes of one control frame.
#[derive(Clone, Copy)]
pub struct ControlFrame {
    bytes: [u8; MAX_CONTROL_FRAME],
    len: u8,
}

impl ControlFrame {
    /// A ping; `payload` is cut after 125 bytes.
    pub fn ping(payload: &[u8], key: Option<[u8; 4]>) -> Self {
        Self::build(Opcode::Ping, &[payload], key)
    }

    /// A pong; `payload` is cut after 125 bytes.
    pub fn pong(payload: &[u8], key: Option<[u8; 4]>) -> Self {
        Self::build(Opcode::Pong, &[payload], key)
    }

    /// A Close. Without a code the body is empty; a reason that is too long is cut between characters.
    pub fn close(code: Option<u16>, reason: &str, key: Option<[u8; 4]>) -> Self {
        let Some(code) = code else {
            return Self::build(Opcode::Close, &[], key);
        };
        let reason = &reason[..reason.floor_char_boundary(MAX_PAYLOAD - 2)];
        Self::build(
            Opcode::Close,
            &[&code.to_be_bytes(), reason.as_bytes()],
            key,
        )
    }

    fn build(opcode: Opcode, parts: &[&[u8]], key: Option<[u8; 4]>) -> Self {
        let mut payload = [0; MAX_PAYLOAD];
        let mut len = 0;
        for byte in parts.iter().flat_map(|part| part.iter()).take(MAX_PAYLOAD) {
            payload[len] = *byte;
            len += 1;
        }
        let payload = &mut payload[..len];
        mask::apply(payload, key.unwrap_or_default());
        let payload_len = len as u64;
        let header = Header {
            fin: true,
            rsv1: false,
            opcode,
            mask: key,
            payload_len,
            header_len: 0,
        }
        .encode();
        let mut bytes = [0; MAX_CONTROL_FRAME];
        bytes[..header.len()].copy_from_slice(&header);
        bytes[header.len()..header.len() + len].copy_from_slice(payload);
        Self {
            bytes,
            len: (header.len() + len) as u8,
        }
    }
}

impl std::ops::Deref for ControlFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for ControlFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ControlFrame({:02x?})", &**self)
    }
}

const MAX_PAYLOAD: usize = 125;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::CloseBody;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// Header and unmasked payload of a frame.
    fn open(frame: &ControlFrame) -> (Header, Vec<u8>) {
        let header = Header::parse(frame).unwrap().unwrap();
        let mut payload = frame[header.header_len..].to_vec();
        mask::apply(&mut payload, header.mask.unwrap_or_default());
        assert_eq!(payload.len() as u64, header.payload_len);
        (header, payload)
    }

    #[test]
    fn frames_are_what_they_say_masked_or_not() {
        for key in [None, Some(KEY)] {
            let (header, payload) = open(&ControlFrame::ping(b"12345678", key));
            assert_eq!((header.opcode, header.mask), (Opcode::Ping, key));
            assert_eq!(payload, b"12345678");
            let (header, payload) = open(&ControlFrame::pong(b"", key));
            assert_eq!((header.opcode, payload.len()), (Opcode::Pong, 0));
            let (header, payload) = open(&ControlFrame::close(Some(1001), "bye", key));
            assert_eq!(header.opcode, Opcode::Close);
            let said = CloseBody {
                code: Some(1001),
                reason: "bye",
            };
            assert_eq!(CloseBody::parse(&payload), Ok(said));
        }
    }

    #[test]
    fn a_close_without_a_code_is_empty() {
        assert_eq!(&*ControlFrame::close(None, "unsaid", None), &[0x88, 0]);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = ControlFrame::close(Some(1001), &"é".repeat(100), Some(KEY));
        let (_, payload) = open(&frame);
        let said = CloseBody {
            code: Some(1001),
            reason: &"é".repeat(61),
        };
        assert_eq!(CloseBody::parse(&payload), Ok(said));
        assert!(frame.len() <= MAX_CONTROL_FRAME);
    }
}
