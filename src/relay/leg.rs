//! One connection of a session: its stream, what it has said, what it was told and is yet to be told.

use super::buffer::Carry;
use super::deadlines::Tick;
use super::heartbeat::{Pulse, random};
use super::outcome::LegOutcome;
use super::outlet::Outlet;
use super::wire::Wire;
use crate::frame::{ControlFrame, code};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A leg and its state.
#[derive(Debug)]
pub(super) struct Leg<S> {
    pub(super) stream: S,
    pub(super) outlet: Outlet,
    pub(super) pulse: Pulse,
    /// The beginning of a header or control frame that the leg has not yet sent whole.
    pub(super) carry: Carry,
    /// What it is to be told before it is told nothing more.
    farewell: Option<Box<Farewell>>,
    pub(super) closes: LegOutcome,
    pub(super) inlet: Inlet,
    fin: Fin,
    /// Whether what the gateway says to this leg must be masked, as to a server.
    masked: bool,
    /// The farewell waits for answers that are still on their way.
    held: bool,
    /// Nobody waits for this leg any more.
    pub(super) abandoned: bool,
}

/// What becomes of the bytes that a leg sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inlet {
    /// They are frames.
    Open,
    /// They are read, so that the leg can finish, and not looked at: it broke the rules.
    Deaf,
    /// There are none, or they don't matter: a Close or the end of the stream came.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fin {
    NotYet,
    /// As soon as the outlet is clear.
    Wanted,
    Done,
}

#[derive(Debug)]
struct Farewell {
    frame: ControlFrame,
    code: u16,
    /// Whether nothing but the end of the stream follows the Close.
    then_fin: bool,
}

/// Whether a Close is followed by the end of the stream at once: for a leg that cannot be understood
/// any more, so that no answer to the Close could be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Fin,
    Answer,
}

impl<S> Leg<S> {
    pub(super) fn new(stream: S, masked: bool, now: Tick) -> Self {
        Self {
            stream,
            outlet: Outlet::new(),
            pulse: Pulse::new(now),
            carry: Carry::default(),
            farewell: None,
            closes: LegOutcome::default(),
            inlet: Inlet::Open,
            fin: Fin::NotYet,
            masked,
            held: false,
            abandoned: false,
        }
    }

    /// Whether frames may still be sent to this leg: after a Close, and after the end, none may.
    pub(super) const fn takes_frames(&self) -> bool {
        self.closes.close_sent.is_none()
            && matches!(self.fin, Fin::NotYet)
            && self.outlet.broken().is_none()
    }

    /// Whether the other leg's frames may go on to this one, its Close included.
    pub(super) const fn takes_close(&self) -> bool {
        self.takes_frames() && self.farewell.is_none()
    }

    /// Whether the gateway has something to say at the next frame boundary.
    pub(super) const fn wants_word(&self) -> bool {
        self.pulse.wants_ping() || self.wants_farewell()
    }

    /// Whether nothing is to be written, be it bytes, a word or the end of the stream.
    pub(super) const fn is_silent(&self) -> bool {
        self.outlet.is_clear() && !self.wants_word() && !matches!(self.fin, Fin::Wanted)
    }

    pub(super) const fn wants_farewell(&self) -> bool {
        self.farewell.is_some() && !self.held
    }

    /// Has a Close said at the next frame boundary, unless the leg was already told, or is to be.
    pub(super) fn bid(&mut self, code: u16, reason: &str, after: After) {
        if !self.takes_close() {
            return;
        }
        let status = (code != code::NO_STATUS).then_some(code);
        let frame = ControlFrame::close(status, reason, self.mask());
        let then_fin = after == After::Fin;
        self.farewell = Some(Box::new(Farewell {
            frame,
            code,
            then_fin,
        }));
    }

    /// Keeps the farewell back until it is released.
    pub(super) const fn hold(&mut self) {
        self.held = true;
    }

    /// Lets the farewell be said; says whether it was held.
    pub(super) const fn release(&mut self) -> bool {
        std::mem::replace(&mut self.held, false)
    }

    /// Has the stream ended as soon as all is written.
    pub(super) fn end_stream(&mut self) {
        if self.fin == Fin::NotYet {
            self.fin = Fin::Wanted;
        }
    }

    /// Ends the stream although the leg is inside a frame: nothing can be said there.
    pub(super) fn cut(&mut self) {
        self.farewell = None;
        self.closes.cut_mid_frame = true;
        self.end_stream();
    }

    /// Nobody waits for this leg any more, and nothing it sends matters.
    pub(super) const fn abandon(&mut self) {
        self.inlet = Inlet::Finished;
        self.abandoned = true;
    }

    /// Abandons the leg without another word to it.
    pub(super) fn abandon_unheard(&mut self, why: io::ErrorKind, now: Tick) {
        self.abandon();
        self.farewell = None;
        self.outlet.give_up(why, now);
    }

    /// Whether nothing more is to be expected from the leg, nor to be done for it.
    pub(super) const fn is_settled(&self) -> bool {
        let heard_out = matches!(self.inlet, Inlet::Finished);
        let told = self.farewell.is_none() && self.outlet.is_clear();
        self.abandoned || (heard_out && told && !matches!(self.fin, Fin::Wanted))
    }

    /// A fresh key if what the gateway says to this leg must be masked.
    fn mask(&self) -> Option<[u8; 4]> {
        self.masked.then(random)
    }
}

impl<S: Wire> Leg<S> {
    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8], now: Tick) {
        self.outlet.send(&mut self.stream, cx, bytes, now);
    }

    /// Says the ping that is due.
    pub(super) fn say_ping(&mut self, cx: &mut Context<'_>, now: Tick) {
        let token = self.pulse.ping(now);
        let ping = ControlFrame::ping(&token, self.mask());
        self.send(cx, &ping, now);
    }

    /// Sends a Close. The second of the two is followed by the end of the stream at once.
    pub(super) fn send_close(&mut self, cx: &mut Context<'_>, frame: &[u8], code: u16, now: Tick) {
        if self.closes.close_received.is_some() && self.outlet.is_clear() {
            self.stream.expect_end(cx);
        }
        self.send(cx, frame, now);
        self.closes.close_sent = Some(code);
    }

    /// Says the farewell that is due.
    pub(super) fn say_farewell(&mut self, cx: &mut Context<'_>, now: Tick) {
        let Some(farewell) = self.farewell.take() else {
            return;
        };
        self.send_close(cx, &farewell.frame, farewell.code, now);
        if farewell.then_fin {
            self.end_stream();
        }
    }

    /// Writes what waits, then the end of the stream if it is due.
    pub(super) fn poll_clear(&mut self, cx: &mut Context<'_>, now: Tick) -> Poll<()> {
        let clear = self.outlet.poll_clear(&mut self.stream, cx, now);
        if clear.is_ready() && self.fin == Fin::Wanted {
            // An error ends the stream as well.
            if Pin::new(&mut self.stream).poll_shutdown(cx).is_ready() {
                self.fin = Fin::Done;
            }
        }
        clear
    }

    /// Ends the stream if the leg has been told all and heard out, as after its Close handshake.
    pub(super) fn hang_up(&mut self, cx: &mut Context<'_>, now: Tick) {
        if self.closes.close_sent.is_some() && self.is_settled() {
            self.end_stream();
            let _ = self.poll_clear(cx, now);
        }
    }

    /// Leaves politely where that takes a word. Ready when it is taken, or nobody waits for the leg.
    pub(super) fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.fin == Fin::Done || self.outlet.broken().is_some() {
            return Poll::Ready(());
        }
        let said = self.stream.poll_goodbye(cx);
        if self.abandoned {
            Poll::Ready(())
        } else {
            said
        }
    }
}
