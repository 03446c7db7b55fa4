//! One direction at work: reads from one leg, has the bytes judged, writes them to the other, and says
//! between its frames what the gateway itself has to say there.
//!
//! The kernel's work between two messages leaves nothing of this in the processor's caches: what every message
//! passes through is inlined into one short piece, what few do is kept out of it.

use super::buffer::{self, Buffers, READ_SIZE_FOR_DENSE};
use super::cashier::Stop;
use super::deadlines::Tick;
use super::direction::{Direction, Judge, Then};
use super::fault::Fault;
use super::leg::{Inlet, Leg};
use super::outlet::Condition;
use super::pace::Paced;
use super::tally::Counters;
use super::wire::Wire;
use super::{Loss, Rules};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// A direction with all it needs, borrowed for one poll.
pub(super) struct Lane<'a, S> {
    pub(super) from: &'a mut Leg<S>,
    pub(super) to: &'a mut Leg<S>,
    pub(super) direction: &'a mut Direction,
    /// What the direction has to keep to, if anything.
    pub(super) paced: Option<Paced<'a>>,
    pub(super) rules: &'a Rules,
    pub(super) tally: &'a Counters,
    pub(super) now: Tick,
    /// Set when the deadlines of the session may have come nearer.
    pub(super) restless: &'a mut bool,
}

/// Something that the leg which is read did, and that concerns the whole session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It sent a Close.
    Closed,
    /// It did what it must not.
    Erred(Fault),
    /// Its connection ended, with or without a Close before.
    Lost(Loss),
}

/// What came of a read.
pub(super) struct Read {
    /// How many bytes were looked at, or thrown away.
    pub(super) len: usize,
    pub(super) event: Option<Event>,
    /// Nothing more can be read for now, and the task is woken when something can.
    pub(super) was_all: bool,
}

impl Read {
    /// After which there may be more.
    const fn some(len: usize, event: Option<Event>) -> Self {
        Self {
            len,
            event,
            was_all: false,
        }
    }
}

impl<S: Wire> Lane<'_, S> {
    /// Whether neither `write` nor `read` would find anything to do, and the task is woken when they would.
    pub(super) fn is_at_rest(&self, cx: &Context<'_>) -> bool {
        self.is_clear() && self.from.stream.is_drained(cx)
    }

    /// Whether nothing waits to be written, nor to go on.
    pub(super) fn is_clear(&self) -> bool {
        self.to.is_silent() && !self.is_throttled()
    }

    /// Writes what waits for the leg, and what the gateway has to say to it.
    #[inline]
    pub(super) fn write(&mut self, cx: &mut Context<'_>) {
        if !self.to.is_silent() {
            self.write_what_waits(cx);
        }
    }

    #[inline(never)]
    fn write_what_waits(&mut self, cx: &mut Context<'_>) {
        let before = self.to.outlet.condition();
        let _ = self.to.poll_clear(cx, self.now);
        if self.to.wants_word() {
            self.speak(cx);
            let _ = self.to.poll_clear(cx, self.now);
        }
        self.compare(before);
    }

    /// Whether to read: what is to go on must find the other leg's outlet clear (a slow reader slows
    /// its own writer), and what only has to be heard out need not.
    pub(super) const fn may_read(&self) -> bool {
        match self.from.inlet {
            Inlet::Finished => false,
            Inlet::Deaf => true,
            Inlet::Open => self.to.outlet.is_clear() || !self.to.takes_frames(),
        }
    }

    /// Reads once and passes on what came.
    #[inline(always)]
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        if self.is_throttled() {
            return self.resume(cx);
        }
        let size = self.read_size();
        buffer::with(|Buffers { input, scratch }| {
            let carried = self.from.carry.place(input);
            let mut room = ReadBuf::new(&mut input[carried..size]);
            let result = Pin::new(&mut self.from.stream).poll_read(cx, &mut room);
            let len = room.filled().len();
            match ready!(result) {
                Ok(()) if len > 0 => {
                    self.from.pulse.heard(self.now);
                    let was_all = self.from.stream.is_drained(cx);
                    let event = self.receive(cx, &input[..carried + len], scratch);
                    if let Some(paced) = &mut self.paced {
                        paced.pace.has_read();
                    }
                    Poll::Ready(Read {
                        len,
                        event,
                        was_all,
                    })
                }
                result => Poll::Ready(Read::some(0, Some(Event::Lost(loss(result))))),
            }
        })
    }

    /// Takes bytes that the leg sent: what was carried over and what came now.
    #[inline(always)]
    pub(super) fn receive(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        scratch: &mut [u8],
    ) -> Option<Event> {
        if self.from.inlet != Inlet::Open {
            return None;
        }
        let before = self.to.outlet.condition();
        let passed = match self.paced {
            None => self.pass(cx, bytes, scratch),
            Some(_) => self.pass_in_time(cx, bytes, scratch),
        };
        self.compare(before);
        match passed {
            Ok(rest) => {
                self.from.carry.keep(rest);
                None
            }
            Err(event) => {
                self.from.carry.keep(&[]);
                Some(event)
            }
        }
    }

    /// Sends on as much as the limits admit, and keeps the rest until they do.
    #[inline(never)]
    fn pass_in_time<'b>(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &'b [u8],
        scratch: &mut [u8],
    ) -> Result<&'b [u8], Event> {
        let is_limited = self.paced.is_some() && !self.is_free();
        let Some(paced) = self.paced.as_mut().filter(|_| is_limited) else {
            return self.pass(cx, bytes, scratch);
        };
        let pulse = &mut self.from.pulse;
        let admitted = paced.admit(&self.rules.limits, self.direction, bytes, pulse);
        let (now, later) = bytes.split_at(admitted.len);
        if let Some(Stop::Wait(wait)) = admitted.stop {
            paced.pace.hold(later, wait);
            *self.restless = true;
        }
        let rest = self.pass(cx, now, scratch)?;
        match admitted.stop {
            Some(Stop::Exceeded(unit)) => Err(Event::Erred(Fault::Rate(unit))),
            _ => Ok(rest),
        }
    }

    /// Goes on with what was kept, once it may pass.
    #[inline(never)]
    fn resume(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        let is_free = self.is_free();
        let Some(Paced { pace, .. }) = &mut self.paced else {
            return Poll::Ready(Read::some(0, None));
        };
        if !is_free {
            ready!(pace.poll_wait(cx));
        }
        *self.restless = true;
        let kept = pace.release(self.now);
        let event = buffer::with(|buffers| self.receive(cx, &kept, &mut buffers.scratch));
        Poll::Ready(Read::some(kept.len(), event))
    }

    fn is_throttled(&self) -> bool {
        let paced = self.paced.as_ref();
        paced.is_some_and(|paced| paced.pace.is_throttled())
    }

    /// Whether no limit holds any more: the other leg is to be told of the end as soon as the frame
    /// under way is over, or takes nothing; or what comes is not looked at.
    const fn is_free(&self) -> bool {
        let is_heard = matches!(self.from.inlet, Inlet::Open);
        self.to.wants_farewell() || !self.to.takes_frames() || !is_heard
    }

    fn read_size(&self) -> usize {
        let mut size = self.to.outlet.read_size();
        if self.direction.is_dense {
            size = size.min(READ_SIZE_FOR_DENSE);
        }
        match &self.paced {
            Some(paced) => size.min(paced.pace.read_size()),
            None => size,
        }
    }

    /// Sends on what may go on; returns the bytes that must be seen again.
    #[inline(always)]
    fn pass<'b>(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &'b [u8],
        scratch: &mut [u8],
    ) -> Result<&'b [u8], Event> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut judge = Judge {
                limit: self.rules.max_message_size,
                check_text: self.rules.validate_utf8,
                token: self.from.pulse.token(),
                stop_at_boundary: self.to.wants_word(),
                scratch,
            };
            let step = self.direction.scan(rest, &mut judge);
            let (forward, behind) = rest.split_at(step.forward);
            if self.to.takes_frames() {
                self.direction.totals += step.passed;
                self.tally.pass(&step.passed);
                self.to.send(cx, forward, self.now);
            }
            rest = match step.then {
                Then::More => return Ok(behind),
                Then::Boundary => behind,
                Then::OurPong(len) => &behind[len..],
                Then::Close { len, code } => {
                    self.close(cx, &behind[..len], code);
                    return Err(Event::Closed);
                }
                Then::Violation(violation) => {
                    return Err(Event::Erred(Fault::Violation(violation)));
                }
            };
            self.speak(cx);
        }
        Ok(rest)
    }

    /// A Close goes on as it is, unless the other leg is told something else.
    #[inline(never)]
    fn close(&mut self, cx: &mut Context<'_>, frame: &[u8], code: u16) {
        self.from.closes.close_received = Some(code);
        if self.to.takes_close() {
            self.to.send_close(cx, frame, code, self.now);
        }
    }

    /// A leg that begins or ceases to be slow, or breaks, moves deadlines.
    fn compare(&mut self, before: Condition) {
        *self.restless |= self.to.outlet.condition() != before;
    }

    /// Says at a frame boundary what the gateway has to say. A leg that is inside a frame which will never
    /// end cannot be told.
    #[inline(never)]
    fn speak(&mut self, cx: &mut Context<'_>) {
        if !self.to.takes_frames() {
            return;
        }
        if !self.direction.at_boundary() {
            if self.to.wants_farewell() && self.from.inlet != Inlet::Open {
                self.to.cut();
            }
        } else if self.to.wants_farewell() {
            self.to.say_farewell(cx, self.now);
        } else if self.to.pulse.wants_ping() {
            self.to.say_ping(cx, self.now);
            *self.restless = true;
        }
    }
}

/// A TLS peer that leaves without its goodbye has left all the same.
fn loss(result: io::Result<()>) -> Loss {
    match result.map_err(|error| error.kind()) {
        Ok(()) | Err(io::ErrorKind::UnexpectedEof) => Loss::Eof,
        Err(kind) => Loss::Error(kind),
    }
}
