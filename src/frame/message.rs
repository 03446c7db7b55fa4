//! Which header may follow which (RFC 6455 §5.4, §5.1; RFC 7692 §6): the rules that need to know
//! who sends and what came before. One value per direction; payload never comes here.

use super::header::{FIN, MASKED, RSV1};
use super::{Header, Opcode, Violation};

/// Who sends the frames; it decides about the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Masks every frame.
    Client,
    /// Masks none.
    Server,
}

/// What the frame is within its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A frame of a text message that is not compressed: its payload must be UTF-8.
    Text,
    /// A frame of a binary message, or of a compressed one.
    Opaque,
    /// A control frame, which may stand between fragments.
    Control,
}

/// Whole messages of one frame each, one behind the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// Bytes, headers among them.
    pub len: usize,
    /// How many messages, and so frames.
    pub messages: u64,
    /// Bytes of payload.
    pub payload: u64,
}

/// The state of fragmentation in one direction.
#[derive(Debug, Clone, Copy)]
pub struct Messages {
    /// Bytes announced by the fragments of the open message so far.
    size: u64,
    open: Option<Part>,
    sender: Sender,
    deflate: bool,
}

impl Messages {
    /// Nothing was sent yet. With `deflate`, permessage-deflate was negotiated and gives RSV1 its meaning.
    pub const fn new(sender: Sender, deflate: bool) -> Self {
        Self {
            size: 0,
            open: None,
            sender,
            deflate,
        }
    }

    /// Whose frames these are.
    pub const fn sender(&self) -> Sender {
        self.sender
    }

    /// The messages at the start of `bytes` into which nobody looks, binary or compressed, as long as each is a
    /// single whole frame of less than 64 KiB that keeps every rule: what comes in numbers is this, and a few
    /// bytes say all of it. What follows is for [`Self::accept`].
    #[inline]
    pub fn whole_ones(&self, bytes: &[u8], limit: Option<u64>) -> Run {
        let mut run = Run::default();
        if self.open.is_some() {
            return run;
        }
        let longest = limit.unwrap_or(u64::MAX);
        while let Some((header_len, payload_len)) = self.whole_opaque_frame(&bytes[run.len..]) {
            if payload_len as u64 > longest {
                break;
            }
            run.len += header_len + payload_len;
            run.messages += 1;
            run.payload += payload_len as u64;
        }
        run
    }

    /// The lengths of header and payload of the frame at the start of `bytes`, if it is such a one.
    #[inline]
    fn whole_opaque_frame(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let &[first, second] = bytes.first_chunk()?;
        let is_plain = first == FIN | Opcode::Binary.bits();
        let (mask, key_len) = match self.sender {
            Sender::Client => (MASKED, 4),
            Sender::Server => (0, 0),
        };
        if !(is_plain || self.is_compressed_message(first)) || second & MASKED != mask {
            return None;
        }
        let (key_at, payload_len) = match second & !MASKED {
            127 => return None,
            126 => {
                let &[_, _, high, low] = bytes.first_chunk()?;
                (4, u16::from_be_bytes([high, low]))
            }
            short => (2, u16::from(short)),
        };
        let (header_len, payload_len) = (key_at + key_len, usize::from(payload_len));
        let is_shortest = key_at == 2 || payload_len > 125;
        (is_shortest && header_len + payload_len <= bytes.len())
            .then_some((header_len, payload_len))
    }

    /// Whether the first byte of a frame is that of a whole compressed message.
    const fn is_compressed_message(&self, first: u8) -> bool {
        const TEXT: u8 = FIN | RSV1 | Opcode::Text.bits();
        const BINARY: u8 = FIN | RSV1 | Opcode::Binary.bits();
        self.deflate && matches!(first, TEXT | BINARY)
    }

    /// Judges the next header. A control frame changes nothing and may be judged again.
    ///
    /// # Errors
    /// The rule that the frame breaks; the state is then of no more use.
    #[inline]
    pub fn accept(&mut self, header: &Header, limit: Option<u64>) -> Result<Part, Violation> {
        self.check_mask(header)?;
        if header.rsv1 && !(self.deflate && starts_message(header.opcode)) {
            return Err(Violation::Rsv1);
        }
        if header.opcode.is_control() {
            return Ok(Part::Control);
        }
        let part = self.part_of(header)?;
        // Lengths are below 2^63, and a sum that overflows is beyond every limit.
        self.size = self.size.saturating_add(header.payload_len);
        if let Some(limit) = limit.filter(|limit| self.size > *limit) {
            return Err(Violation::TooBig { limit });
        }
        if header.fin {
            self.open = None;
            self.size = 0;
        } else {
            self.open = Some(part);
        }
        Ok(part)
    }

    const fn check_mask(&self, header: &Header) -> Result<(), Violation> {
        match (self.sender, header.mask) {
            (Sender::Client, None) => Err(Violation::Unmasked),
            (Sender::Server, Some(_)) => Err(Violation::Masked),
            _ => Ok(()),
        }
    }

    fn part_of(&self, header: &Header) -> Result<Part, Violation> {
        match (header.opcode, self.open) {
            (Opcode::Continuation, None) => Err(Violation::NothingToContinue),
            (Opcode::Continuation, Some(part)) => Ok(part),
            (_, Some(_)) => Err(Violation::MessageInsideMessage),
            (Opcode::Text, None) if !header.rsv1 => Ok(Part::Text),
            (_, None) => Ok(Part::Opaque),
        }
    }
}

const fn starts_message(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Text | Opcode::Binary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
    use proptest::prelude::*;

    const FIN: bool = true;
    const MORE: bool = false;

    fn frame(opcode: Opcode, fin: bool, payload_len: u64) -> Header {
        Header {
            fin,
            rsv1: false,
            opcode,
            mask: Some([1; 4]),
            payload_len,
            header_len: 6,
        }
    }

    fn compressed(header: Header) -> Header {
        Header {
            rsv1: true,
            ..header
        }
    }

    /// Judges the frames of a client in order, with a limit of 10 bytes; the last verdict counts.
    #[track_caller]
    fn check(deflate: bool, frames: &[Header], expected: Result<Part, Violation>) {
        let mut messages = Messages::new(Sender::Client, deflate);
        let (last, before) = frames.split_last().unwrap();
        for header in before {
            assert!(messages.accept(header, Some(10)).is_ok(), "{header:?}");
        }
        assert_eq!(messages.accept(last, Some(10)), expected);
    }

    #[test]
    fn fragments_belong_together() {
        let text = frame(Text, MORE, 1);
        check(false, &[text, frame(Continuation, MORE, 1)], Ok(Part::Text));
        check(false, &[text, frame(Ping, FIN, 1)], Ok(Part::Control));
        check(
            false,
            &[text, frame(Ping, FIN, 1), frame(Continuation, FIN, 1)],
            Ok(Part::Text),
        );
        check(
            false,
            &[text, frame(Continuation, FIN, 1), frame(Binary, FIN, 1)],
            Ok(Part::Opaque),
        );
    }

    #[test]
    fn fragments_out_of_place_are_refused() {
        let nothing = Err(Violation::NothingToContinue);
        check(false, &[frame(Continuation, FIN, 0)], nothing);
        check(
            false,
            &[frame(Text, FIN, 0), frame(Continuation, MORE, 0)],
            nothing,
        );
        for opcode in [Text, Binary] {
            let inside = [frame(Binary, MORE, 0), frame(opcode, FIN, 0)];
            check(false, &inside, Err(Violation::MessageInsideMessage));
        }
    }

    #[test]
    fn rsv1_needs_negotiation_and_the_first_frame() {
        let refused = Err(Violation::Rsv1);
        check(false, &[compressed(frame(Text, FIN, 1))], refused);
        check(true, &[compressed(frame(Text, FIN, 1))], Ok(Part::Opaque));
        check(true, &[frame(Text, FIN, 1)], Ok(Part::Text));
        let first = compressed(frame(Text, MORE, 1));
        check(
            true,
            &[first, frame(Continuation, FIN, 1)],
            Ok(Part::Opaque),
        );
        check(
            true,
            &[first, compressed(frame(Continuation, FIN, 1))],
            refused,
        );
        for opcode in [Ping, Pong, Close] {
            check(true, &[compressed(frame(opcode, FIN, 0))], refused);
        }
    }

    #[test]
    fn the_limit_holds_for_the_sum_of_fragments() {
        let too_big = Err(Violation::TooBig { limit: 10 });
        check(false, &[frame(Binary, FIN, 10)], Ok(Part::Opaque));
        check(false, &[frame(Binary, FIN, 11)], too_big);
        check(
            false,
            &[frame(Binary, MORE, 6), frame(Continuation, FIN, 5)],
            too_big,
        );
        check(
            false,
            &[frame(Binary, MORE, 6), frame(Ping, FIN, 9)],
            Ok(Part::Control),
        );
        check(
            false,
            &[frame(Binary, FIN, 6), frame(Binary, FIN, 6)],
            Ok(Part::Opaque),
        );
        let huge = u64::MAX >> 1;
        let mut messages = Messages::new(Sender::Client, false);
        for _ in 0..3 {
            let fragment = if messages.open.is_some() {
                Continuation
            } else {
                Binary
            };
            assert!(messages.accept(&frame(fragment, MORE, huge), None).is_ok());
        }
    }

    #[test]
    fn the_direction_decides_about_the_mask() {
        let masked = frame(Text, FIN, 1);
        let bare = Header {
            mask: None,
            ..masked
        };
        let judge = |sender, header| Messages::new(sender, false).accept(header, None);
        assert_eq!(judge(Sender::Client, &masked), Ok(Part::Text));
        assert_eq!(judge(Sender::Client, &bare), Err(Violation::Unmasked));
        assert_eq!(judge(Sender::Server, &masked), Err(Violation::Masked));
        assert_eq!(judge(Sender::Server, &bare), Ok(Part::Text));
    }

    /// Frames of which most could be among whole ones, whether a client or a server sends them.
    fn traffic() -> impl Strategy<Value = Vec<u8>> {
        let opcode = prop_oneof![6 => Just(Binary), 1 => Just(Text), 1 => Just(Ping), 1 => Just(Continuation)];
        let often = || prop::bool::weighted(0.9);
        let payload_len =
            prop_oneof![9 => 0..128_u64, 1 => 400..500_u64, 1 => 0xFFF8..0x1_0008_u64];
        let one = (opcode, often(), often(), often(), payload_len);
        proptest::collection::vec(one, 0..9).prop_map(|frames| {
            let mut bytes = Vec::new();
            for (opcode, fin, is_masked, is_plain, payload_len) in frames {
                let mask = is_masked.then_some([7; 4]);
                let header = Header {
                    fin: fin || opcode == Ping,
                    rsv1: !is_plain,
                    mask,
                    ..frame(opcode, fin, payload_len)
                };
                bytes.extend_from_slice(&header.encode());
                bytes.resize(bytes.len() + payload_len as usize, 0);
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn whole_ones_are_what_would_be_accepted_one_by_one(
            bytes in traffic(),
            missing in prop_oneof![Just(0), 0..1200_usize],
            deflate: bool,
            sender in prop_oneof![Just(Sender::Client), Just(Sender::Server)],
            limit in prop_oneof![Just(None), (0..130_u64).prop_map(Some), (400..0x1_0008_u64).prop_map(Some)],
        ) {
            let bytes = &bytes[..bytes.len().saturating_sub(missing)];
            let mut one_by_one = Messages::new(sender, deflate);
            let mut expected = Run::default();
            while let Ok(Some(header)) = Header::parse(&bytes[expected.len..]) {
                let end = expected.len + header.header_len + header.payload_len as usize;
                let is_candidate = header.fin && header.payload_len < 1 << 16 && end <= bytes.len();
                if !is_candidate || one_by_one.accept(&header, limit) != Ok(Part::Opaque) {
                    break;
                }
                expected.len = end;
                expected.messages += 1;
                expected.payload += header.payload_len;
            }
            prop_assert_eq!(Messages::new(sender, deflate).whole_ones(bytes, limit), expected);
        }
    }

    #[test]
    fn inside_a_message_there_are_no_whole_ones() {
        let mut messages = Messages::new(Sender::Server, false);
        let whole = [0x82, 1, b'x'];
        assert_eq!(messages.whole_ones(&whole, None).len, 3);
        let first = Header {
            mask: None,
            ..frame(Binary, MORE, 1)
        };
        messages.accept(&first, None).unwrap();
        assert_eq!(messages.whole_ones(&whole, None), Run::default());
    }
}
