//! How a session ends: what each side is told, in which order, and what is waited for.
//!
//! | what happened | the client is told | the upstream is told |
//! |---|---|---|
//! | one side sent a Close | that Close | that Close |
//! | the client broke the rules | 1002, 1007 or 1009, after answers under way | 1001 |
//! | the upstream broke the rules | 1011 | 1002, 1007 or 1009 |
//! | the client, or the upstream, sent too much | 1008, or 1011 | 1001, or 1008 |
//! | the upstream is lost | 1012 | – |
//! | the client is lost | – | the end of the stream |
//! | no pong from the client, or upstream | 1001, or 1012 | 1001 |
//! | idle, too old | 1001 | 1001 |
//! | an order | its code | 1001 |
//!
//! A leg is told at a frame boundary; one that is inside a frame that will not end gets the end of the
//! stream without a word. The session is over when both legs have been told and heard out, or when time is up.

use super::deadlines::Tick;
use super::fault::Fault;
use super::lane::Event;
use super::leg::{After, Inlet, Leg};
use super::session::{Edge, Session};
use super::{CloseOrder, End, Loss, Side};
use crate::frame::code;
use std::io;
use std::time::Duration;

/// What is known of a session whose end is certain.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) by: Side,
    pub(super) end: End,
    /// When the session is over, whatever is still missing.
    pub(super) deadline: Tick,
    /// Until when answers under way are waited for before an offending client is told.
    pub(super) grace: Tick,
    /// The deadline has passed.
    pub(super) is_overdue: bool,
}

impl<S> Session<S> {
    /// Takes notice of what a leg did.
    pub(super) fn meet(&mut self, side: Side, event: Event) {
        self.turn();
        match event {
            Event::Closed => self.closed(side),
            Event::Erred(fault) => self.at_fault(side, fault),
            Event::Lost(loss) => self.lost(side, loss),
        }
    }

    /// Carries out an order; it comes too late if the session is already ending.
    pub(super) fn obey(&mut self, order: &CloseOrder) {
        if self.begin_ending(Side::Gateway, End::Ordered(order.why)) {
            self.client.bid(order.code, &order.reason, After::Answer);
            self.upstream
                .bid(code::GOING_AWAY, &order.reason, After::Answer);
        }
    }

    /// A deadline of the rules has passed.
    pub(super) fn end_of_time(&mut self, end: End, reason: &str) {
        if self.begin_ending(Side::Gateway, end) {
            self.client.bid(code::GOING_AWAY, reason, After::Answer);
            self.upstream.bid(code::GOING_AWAY, reason, After::Answer);
        }
    }

    /// A leg answered no ping: it is told, in case it hears, but not waited for.
    pub(super) fn no_pong(&mut self, side: Side) {
        self.begin_ending(side, End::NoPong(side));
        let leg = self.leg_mut(side);
        leg.bid(code::GOING_AWAY, "no pong", After::Fin);
        leg.abandon();
        match side {
            Side::Upstream => self
                .client
                .bid(code::SERVICE_RESTART, UPSTREAM_LOST, After::Answer),
            _ => self
                .upstream
                .bid(code::GOING_AWAY, "no pong from the client", After::Answer),
        }
    }

    /// A leg took no byte for too long: it is lost.
    pub(super) fn write_timed_out(&mut self, side: Side) {
        self.turn();
        let now = self.timer.now();
        self.leg_mut(side)
            .abandon_unheard(io::ErrorKind::TimedOut, now);
        self.part(side, End::WriteTimeout(side));
    }

    /// Time is up: who waits for an answer gets it, whoever has not spoken is not waited for.
    pub(super) fn close_timed_out(&mut self) {
        let Some(ending) = self.ending_mut() else {
            return;
        };
        if std::mem::replace(&mut ending.is_overdue, true) {
            return;
        }
        self.turn();
        for side in [Side::Client, Side::Upstream] {
            self.leg_mut(side).inlet = Inlet::Finished;
            self.leg_mut(side).release();
            self.answer_close(side);
        }
    }

    /// Has an offending client told now, and gives it its time to leave.
    pub(super) fn release_farewell(&mut self) {
        if !self.client.release() {
            return;
        }
        self.turn();
        let deadline = self.timer.now().after(self.rules().close);
        if let Some(ending) = self.ending_mut() {
            ending.grace = Tick::NEVER;
            ending.deadline = deadline;
        }
    }

    /// What is known of the end, once it is certain.
    pub(super) fn ending(&self) -> Option<&Ending> {
        match self.edge.as_deref() {
            Some(Edge::Ending(ending)) => Some(ending),
            _ => None,
        }
    }

    fn ending_mut(&mut self) -> Option<&mut Ending> {
        match self.edge.as_deref_mut() {
            Some(Edge::Ending(ending)) => Some(ending),
            _ => None,
        }
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_over(&self, ending: &Ending) -> bool {
        ending.is_overdue || (self.client.is_settled() && self.upstream.is_settled())
    }

    pub(super) const fn leg(&self, side: Side) -> &Leg<S> {
        match side {
            Side::Upstream => &self.upstream,
            _ => &self.client,
        }
    }

    pub(super) const fn leg_mut(&mut self, side: Side) -> &mut Leg<S> {
        match side {
            Side::Upstream => &mut self.upstream,
            _ => &mut self.client,
        }
    }

    /// A Close came; it has gone on to the other leg, unless that was told something else.
    fn closed(&mut self, side: Side) {
        self.leg_mut(side).inlet = Inlet::Finished;
        let end = match side {
            Side::Upstream => End::ClosedByUpstream,
            _ => End::ClosedByClient,
        };
        self.begin_ending(side, end);
        self.release_farewell_after(side);
    }

    fn at_fault(&mut self, side: Side, fault: Fault) {
        let is_cause = self.begin_ending(side, fault.end(side));
        let leg = self.leg_mut(side);
        leg.inlet = Inlet::Deaf;
        leg.bid(fault.close_code(), &fault.reason(), After::Fin);
        if leg.closes.close_sent.is_some() {
            leg.end_stream();
        }
        match (is_cause, side) {
            (false, _) => {
                self.answer_close(side.other());
                self.release_farewell_after(side);
            }
            (true, Side::Upstream) => {
                let reason = fault.of_the_other(side);
                self.client.bid(code::INTERNAL_ERROR, reason, After::Answer);
            }
            (true, _) => {
                let reason = fault.of_the_other(side);
                self.upstream.bid(code::GOING_AWAY, reason, After::Answer);
                self.hold_farewell();
            }
        }
    }

    fn lost(&mut self, side: Side, loss: Loss) {
        let now = self.timer.now();
        let leg = self.leg_mut(side);
        leg.inlet = Inlet::Finished;
        if let Loss::Error(kind) = loss {
            leg.abandon_unheard(kind, now);
        }
        let end = match side {
            Side::Upstream => End::UpstreamLost(loss),
            _ => End::ClientLost(loss),
        };
        self.part(side, end);
    }

    /// A leg is gone, in whichever way; `end` is the reason if there was none before.
    fn part(&mut self, side: Side, end: End) {
        if !self.begin_ending(side, end) {
            self.answer_close(side.other());
            self.release_farewell_after(side);
            return;
        }
        if side == Side::Upstream {
            let now = self.timer.now();
            self.upstream
                .abandon_unheard(io::ErrorKind::NotConnected, now);
            self.client
                .bid(code::SERVICE_RESTART, UPSTREAM_LOST, After::Answer);
            return;
        }
        // As if the client were connected directly: the stream ends, and what comes back is still
        // delivered if there is anyone to take it.
        if self.to_upstream.at_boundary() {
            self.upstream.end_stream();
        } else {
            self.upstream.cut();
        }
        if self.client.abandoned {
            self.upstream.inlet = Inlet::Finished;
        }
    }

    /// A leg that sent a Close which nobody answers gets its own code back.
    fn answer_close(&mut self, side: Side) {
        let leg = self.leg_mut(side);
        if let Some(code) = leg.closes.close_received {
            leg.bid(code, "", After::Answer);
        }
    }

    /// What the upstream answered before the client's fault shall arrive first.
    fn hold_farewell(&mut self) {
        if self.upstream.inlet != Inlet::Open {
            return;
        }
        self.client.hold();
        let grace = self.timer.now().after(self.rules().close.min(GRACE));
        if let Some(ending) = self.ending_mut() {
            ending.grace = grace;
        }
    }

    fn release_farewell_after(&mut self, side: Side) {
        if side == Side::Upstream {
            self.release_farewell();
        }
    }

    /// Notes why the session ends, unless that is known; says whether this is the reason.
    fn begin_ending(&mut self, by: Side, end: End) -> bool {
        if self.ending().is_some() {
            return false;
        }
        self.turn();
        let deadline = self.timer.now().after(self.rules().close);
        let grace = Tick::NEVER;
        self.edge = Some(Box::new(Edge::Ending(Ending {
            by,
            end,
            deadline,
            grace,
            is_overdue: false,
        })));
        true
    }

    const fn turn(&mut self) {
        self.turned = true;
        self.restless = true;
    }
}

/// How long answers under way are waited for before an offending client is told.
const GRACE: Duration = Duration::from_secs(1);

const UPSTREAM_LOST: &str = "upstream is gone";
