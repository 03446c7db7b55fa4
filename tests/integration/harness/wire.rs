//! Frames as bytes, RFC 6455 §5, written down a second time: nothing here comes from the crate
//! under test, and everything that the RFC forbids can be built.

use std::fmt;

/// The key with which test clients mask, unless the test chooses another.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// One frame; `payload` is always the unmasked one.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    /// RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub rsv: u8,
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode,
            mask: None,
            payload: payload.as_ref().to_vec(),
        }
    }

    pub fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(TEXT, payload)
    }

    pub fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(BINARY, payload)
    }

    pub fn continuation(payload: impl AsRef<[u8]>) -> Self {
        Self::new(CONTINUATION, payload)
    }

    pub fn ping(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PING, payload)
    }

    pub fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PONG, payload)
    }

    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
    }

    /// More fragments follow.
    pub fn open(mut self) -> Self {
        self.fin = false;
        self
    }

    pub fn rsv(mut self, bits: u8) -> Self {
        self.rsv = bits;
        self
    }

    pub fn masked(mut self) -> Self {
        self.mask = Some(KEY);
        self
    }

    pub fn unmasked(mut self) -> Self {
        self.mask = None;
        self
    }

    /// On the wire, with the shortest length that fits.
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.payload.len() as u64;
        let form = match length {
            0..=125 => Length::Short,
            126..=0xffff => Length::Two,
            _ => Length::Eight,
        };
        [self.head(form, length), self.body()].concat()
    }

    /// The head alone, saying `length`, whatever the payload is.
    pub fn head(&self, form: Length, length: u64) -> Vec<u8> {
        let mask_bit = if self.mask.is_some() { 0x80 } else { 0 };
        let mut head = vec![(u8::from(self.fin) << 7) | (self.rsv << 4) | self.opcode];
        match form {
            Length::Short => head.push(mask_bit | length as u8),
            Length::Two => {
                head.push(mask_bit | 126);
                head.extend((length as u16).to_be_bytes());
            }
            Length::Eight => {
                head.push(mask_bit | 127);
                head.extend(length.to_be_bytes());
            }
        }
        head.extend(self.mask.iter().flatten());
        head
    }

    /// The payload as it is sent.
    pub fn body(&self) -> Vec<u8> {
        let key = self.mask.unwrap_or_default();
        self.payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect()
    }

    /// The code and reason of a Close; `None` where it has neither.
    pub fn code(&self) -> Option<(u16, String)> {
        assert_eq!(self.opcode, CLOSE, "{self:?} is no Close");
        let (code, reason) = self.payload.split_first_chunk()?;
        Some((
            u16::from_be_bytes(*code),
            String::from_utf8(reason.to_vec()).unwrap(),
        ))
    }

    /// The first frame in `bytes` and what it takes; `None` if it is not whole.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[first, second], mut rest) = bytes.split_first_chunk()?;
        let length = match second & 0x7f {
            126 => {
                let (length, after) = rest.split_first_chunk()?;
                rest = after;
                u64::from(u16::from_be_bytes(*length))
            }
            127 => {
                let (length, after) = rest.split_first_chunk()?;
                rest = after;
                u64::from_be_bytes(*length)
            }
            short => u64::from(short),
        };
        let mut mask = None;
        if second & 0x80 != 0 {
            let (key, after) = rest.split_first_chunk()?;
            rest = after;
            mask = Some(*key);
        }
        let length = usize::try_from(length).ok()?;
        let masked = rest.get(..length)?;
        let mut frame = Self::new(first & 0xf, masked);
        (frame.fin, frame.rsv, frame.mask) = (first & 0x80 != 0, (first >> 4) & 7, mask);
        frame.payload = frame.body();
        Some((frame, bytes.len() - rest.len() + length))
    }
}

/// The three ways of writing a payload length.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    Short,
    Two,
    Eight,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fin,
            rsv,
            opcode,
            mask,
            payload,
        } = self;
        let shown = payload[..payload.len().min(60)].escape_ascii();
        let masked = if mask.is_some() { "masked" } else { "bare" };
        write!(f, "Frame(fin {fin}, rsv {rsv}, opcode {opcode}, {masked}, ")?;
        write!(f, "{} bytes `{shown}`)", payload.len())
    }
}

/// Every frame of `bytes` in order, and the bytes of one that is not whole.
pub fn frames(mut bytes: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut whole = Vec::new();
    while let Some((frame, length)) = Frame::parse(bytes) {
        whole.push(frame);
        bytes = &bytes[length..];
    }
    (whole, bytes)
}
