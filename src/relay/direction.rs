//! One direction of a session as a state machine without sockets: it is shown contiguous bytes and says
//! which of them may go on. It never holds bytes: an incomplete header (14 bytes at most) or control
//! frame (131 at most) is shown again, in front of what comes next.
//!
//! A control frame is judged whole before any byte of it goes on, a data frame by its header; its
//! payload then goes on as it comes. Text that turns out to be none takes its frame back, if the
//! frame began in the same bytes.

use super::Totals;
use super::heartbeat::Token;
use crate::frame::{
    CloseBody, Header, Messages, Opcode, Part, Sender, Utf8Check, Violation, code, mask,
};

/// Frames of fewer bytes than this, headers among them, are dense.
const DENSE: u64 = 64;

/// Fewer bytes than this do not tell what comes: they may be the end of a large message.
const TELLING: usize = 1024;

/// What is known of one direction.
#[derive(Debug)]
pub(super) struct Direction {
    /// What has gone on.
    pub(super) totals: Totals,
    messages: Messages,
    /// The data frame whose payload is not yet at its end.
    frame: Option<DataFrame>,
    text: Utf8Check,
    saw_data: bool,
    /// What came last, and was enough to tell, was hardly more than headers, which cost much more time
    /// than payload.
    pub(super) is_dense: bool,
}

/// By what the bytes are judged.
pub(super) struct Judge<'a> {
    /// The most bytes of a message.
    pub(super) limit: Option<u64>,
    /// Whether text must be UTF-8.
    pub(super) check_text: bool,
    /// The payload of pongs that are for the gateway.
    pub(super) token: Option<&'a Token>,
    /// Stop behind the first frame: something is to be said there.
    pub(super) stop_at_boundary: bool,
    /// Where text is unmasked.
    pub(super) scratch: &'a mut [u8],
}

/// The first `forward` bytes, which are so many frames, may go on; behind them stands `then`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) forward: usize,
    pub(super) passed: Totals,
    pub(super) then: Then,
}

/// What stands behind the bytes that may go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing, or the beginning of something that must be shown again.
    More,
    /// A frame boundary at which the caller asked to stop, and more bytes.
    Boundary,
    /// So many bytes of a pong that is for the gateway.
    OurPong(usize),
    /// A Close frame: so many bytes, with this code.
    Close { len: usize, code: u16 },
    /// Bytes that must not go on. There is no telling where the next frame begins.
    Violation(Violation),
}

#[derive(Debug, Clone, Copy)]
struct DataFrame {
    left: u64,
    /// As it stands at the next byte.
    key: Option<[u8; 4]>,
    is_text: bool,
    ends_message: bool,
}

enum Progress {
    Passed(usize),
    Incomplete,
    OurPong(usize),
    Close { len: usize, code: u16 },
}

impl Direction {
    pub(super) fn new(sender: Sender, deflate: bool) -> Self {
        Self {
            totals: Totals::default(),
            messages: Messages::new(sender, deflate),
            frame: None,
            text: Utf8Check::default(),
            saw_data: false,
            is_dense: false,
        }
    }

    /// Whether what was let through so far ends with a whole frame.
    pub(super) const fn at_boundary(&self) -> bool {
        self.frame.is_none()
    }

    /// Whose frames these are.
    pub(super) const fn sender(&self) -> Sender {
        self.messages.sender()
    }

    /// How many bytes of payload are still to come of the data frame under way.
    pub(super) fn left_of_frame(&self) -> u64 {
        self.frame.map_or(0, |frame| frame.left)
    }

    /// Whether a data frame, or a part of one, came since the last time this was asked.
    pub(super) const fn take_saw_data(&mut self) -> bool {
        std::mem::replace(&mut self.saw_data, false)
    }

    /// Judges the next bytes, of which there is at least one.
    #[inline(always)]
    pub(super) fn scan(&mut self, bytes: &[u8], judge: &mut Judge<'_>) -> Step {
        let mut step = Step {
            forward: 0,
            passed: Totals::default(),
            then: Then::More,
        };
        if !judge.stop_at_boundary {
            self.take_whole_ones(bytes, judge.limit, &mut step);
        }
        if step.forward < bytes.len() {
            self.look_closely(bytes, judge, &mut step);
        }
        if step.forward >= TELLING {
            self.is_dense = step.passed.frames * DENSE > step.forward as u64;
        }
        step
    }

    /// Takes what needs no more than a glance.
    #[inline(always)]
    fn take_whole_ones(&mut self, bytes: &[u8], limit: Option<u64>, step: &mut Step) {
        if self.frame.is_some() {
            return;
        }
        let run = self.messages.whole_ones(&bytes[step.forward..], limit);
        self.saw_data |= run.messages > 0;
        step.forward += run.len;
        step.passed += Totals {
            frames: run.messages,
            messages: run.messages,
            bytes: run.payload,
        };
    }

    /// Takes what is left, frame by frame where a glance does not do.
    #[inline(never)]
    fn look_closely(&mut self, bytes: &[u8], judge: &mut Judge<'_>, step: &mut Step) {
        while step.forward < bytes.len() {
            match self.advance(&bytes[step.forward..], judge, &mut step.passed) {
                Ok(Progress::Passed(len)) => step.forward += len,
                Ok(Progress::Incomplete) => return,
                Ok(Progress::OurPong(len)) => return step.then = Then::OurPong(len),
                Ok(Progress::Close { len, code }) => return step.then = Then::Close { len, code },
                Err(violation) => return step.then = Then::Violation(violation),
            }
            if !judge.stop_at_boundary {
                self.take_whole_ones(bytes, judge.limit, step);
            } else if self.at_boundary() && step.forward < bytes.len() {
                return step.then = Then::Boundary;
            }
        }
    }

    /// Takes one frame, or what is there of it. On a violation nothing of `bytes` may go on.
    fn advance(
        &mut self,
        bytes: &[u8],
        judge: &mut Judge<'_>,
        passed: &mut Totals,
    ) -> Result<Progress, Violation> {
        if let Some(frame) = self.frame {
            let taken = self.payload(frame, bytes, judge, passed)?;
            return Ok(Progress::Passed(taken));
        }
        let Some(header) = Header::parse(bytes)? else {
            return Ok(Progress::Incomplete);
        };
        let part = self.messages.accept(&header, judge.limit)?;
        let behind = &bytes[header.header_len..];
        if part == Part::Control {
            return self.control(&header, behind, judge.token, passed);
        }
        let frame = DataFrame {
            left: header.payload_len,
            key: header.mask,
            is_text: part == Part::Text,
            ends_message: header.fin,
        };
        let taken = self.payload(frame, behind, judge, passed)?;
        Ok(Progress::Passed(header.header_len + taken))
    }

    /// Takes as much payload of `frame` as there is.
    fn payload(
        &mut self,
        mut frame: DataFrame,
        bytes: &[u8],
        judge: &mut Judge<'_>,
        passed: &mut Totals,
    ) -> Result<usize, Violation> {
        let taken = usize::try_from(frame.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        frame.left -= taken as u64;
        if frame.is_text && judge.check_text {
            self.check_text(&frame, &bytes[..taken], judge.scratch)?;
        }
        self.saw_data = true;
        passed.bytes += taken as u64;
        if frame.left > 0 {
            frame.key = frame.key.map(|key| mask::rotate(key, taken));
            self.frame = Some(frame);
        } else {
            self.frame = None;
            passed.frames += 1;
            passed.messages += u64::from(frame.ends_message);
        }
        Ok(taken)
    }

    fn check_text(
        &mut self,
        frame: &DataFrame,
        payload: &[u8],
        scratch: &mut [u8],
    ) -> Result<(), Violation> {
        let valid = match frame.key {
            Some(key) => self.text.push_masked(payload, key, scratch),
            None => self.text.push(payload),
        };
        let valid = valid.and_then(|()| {
            let ends = frame.left == 0 && frame.ends_message;
            if ends { self.text.finish() } else { Ok(()) }
        });
        valid.map_err(|_| Violation::Utf8)
    }

    fn control(
        &self,
        header: &Header,
        bytes: &[u8],
        token: Option<&Token>,
        passed: &mut Totals,
    ) -> Result<Progress, Violation> {
        let payload_len = header.payload_len as usize;
        let Some(payload) = bytes.get(..payload_len) else {
            return Ok(Progress::Incomplete);
        };
        let len = header.header_len + payload_len;
        let mut room = [0; 125];
        let payload = mask::copy(payload, &mut room, header.mask.unwrap_or_default());
        let progress = match header.opcode {
            Opcode::Close => {
                let code = CloseBody::parse(payload)?.code.unwrap_or(code::NO_STATUS);
                Progress::Close { len, code }
            }
            Opcode::Pong if token.is_some_and(|token| payload == token) => {
                return Ok(Progress::OurPong(len));
            }
            _ => Progress::Passed(len),
        };
        passed.frames += 1;
        passed.bytes += header.payload_len;
        Ok(progress)
    }
}
