//! The future that carries a session: polls both lanes, obeys orders, looks at the clock when it must.
//!
//! A message costs a read, a scan and a write: no allocation, clock, lock or log, and no counter that
//! another thread writes.

use super::closing::Ending;
use super::deadlines::{Moment, Tick, Timer};
use super::direction::Direction;
use super::lane::Lane;
use super::leg::Leg;
use super::pace::{Pace, Pacing};
use super::tally::{Course, Wait, Waits};
use super::wire::Wire;
use super::{Control, Early, Negotiated, Outcome, Rules, Side, buffer};
use crate::frame::Sender;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::yield_now;

/// A session under way. The client's stream stands first and is dropped first.
pub(super) struct Session<S> {
    pub(super) client: Leg<S>,
    pub(super) upstream: Leg<S>,
    pub(super) to_upstream: Direction,
    pub(super) to_client: Direction,
    course: Arc<Course>,
    pub(super) timer: Timer,
    /// Present if the route limits what may pass.
    pub(super) pacing: Option<Box<Pacing>>,
    pub(super) edge: Option<Box<Edge>>,
    watcher: Watcher,
    pub(super) began: Moment,
    /// When the last data frame passed, either way.
    pub(super) last_data: Tick,
    /// The kernel was not yet told for how long a peer may be silent.
    pub(super) is_young: bool,
    /// The deadlines may have come nearer.
    pub(super) restless: bool,
    /// The session has turned towards its end, or has something to say: both lanes must be seen to again.
    pub(super) turned: bool,
}

/// What a session has only until its first poll, or only from the moment at which its end is certain.
pub(super) enum Edge {
    Beginning(Early),
    Ending(Ending),
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToUpstream,
    ToClient,
}

impl Way {
    const fn source(self) -> Side {
        match self {
            Self::ToUpstream => Side::Client,
            Self::ToClient => Side::Upstream,
        }
    }
}

impl<S> Session<S> {
    pub(super) fn new(
        client: S,
        upstream: S,
        early: Early,
        course: Arc<Course>,
        negotiated: Negotiated,
        account: u64,
    ) -> Self {
        let timer = Timer::new();
        let now = timer.now();
        let is_early = !(early.from_client.is_empty() && early.from_upstream.is_empty());
        Self {
            client: Leg::new(client, false, now),
            upstream: Leg::new(upstream, true, now),
            to_upstream: Direction::new(Sender::Client, negotiated.deflate),
            to_client: Direction::new(Sender::Server, negotiated.deflate),
            pacing: Pacing::new(&course.rules.limits, account),
            course,
            edge: is_early.then(|| Box::new(Edge::Beginning(early))),
            watcher: Watcher::default(),
            began: timer.moment(),
            last_data: now,
            timer,
            is_young: true,
            restless: true,
            turned: false,
        }
    }

    /// The direction `way` with its two legs.
    #[inline]
    pub(super) fn lane(&mut self, way: Way) -> Lane<'_, S> {
        let (from, to, direction) = match way {
            Way::ToUpstream => (&mut self.client, &mut self.upstream, &mut self.to_upstream),
            Way::ToClient => (&mut self.upstream, &mut self.client, &mut self.to_client),
        };
        let now = self.timer.now();
        Lane {
            from,
            to,
            direction,
            paced: self.pacing.as_mut().and_then(|pacing| pacing.of_mut(way)),
            rules: &self.course.rules,
            tally: self.course.tally.of(way),
            now,
            restless: &mut self.restless,
        }
    }

    /// What the route asks of the session.
    pub(super) fn rules(&self) -> &Rules {
        &self.course.rules
    }

    /// What the direction `way` has to keep to, if anything.
    pub(super) fn pace(&self, way: Way) -> Option<&Pace> {
        self.pacing.as_ref().and_then(|pacing| pacing.of(way))
    }

    /// Whether it may have to wait before bytes go on, or waits.
    const fn may_wait(&self) -> bool {
        let is_clear = self.client.outlet.is_clear() && self.upstream.outlet.is_clear();
        self.pacing.is_some() || !is_clear
    }

    /// What it waits for, to be compared with what it waited for.
    fn waits(&self) -> Waits {
        let wait = |way, to: &Leg<S>| Wait {
            throttled: self.pace(way).map_or(Duration::ZERO, Pace::throttled),
            stalled_since: to.outlet.stalled_since(),
        };
        Waits {
            to_upstream: wait(Way::ToUpstream, &self.upstream),
            to_client: wait(Way::ToClient, &self.client),
        }
    }

    /// Sees to it that deadlines and orders wake the task that polls.
    fn be_woken_by(&mut self, waker: &Waker, control: &Control) {
        if self.watcher.is(waker) {
            return;
        }
        self.timer.watch(waker);
        control.watch(waker);
        self.watcher = Watcher::of(waker);
    }

    /// For how long it has been under way.
    pub(super) fn age(&self) -> Duration {
        self.began.until(self.timer.moment())
    }

    /// What became of the session, once nothing is left to be done.
    fn outcome(&self) -> Option<Outcome> {
        let ending = self.ending().filter(|ending| self.is_over(ending))?;
        Some(Outcome {
            ended_by: ending.by,
            end: ending.end,
            client: self.client.closes,
            upstream: self.upstream.closes,
            to_upstream: self.to_upstream.totals,
            to_client: self.to_client.totals,
            duration: self.age(),
        })
    }
}

impl<S: Wire> Session<S> {
    fn receive_early(&mut self, cx: &mut Context<'_>) {
        let is_fresh = |edge: &mut Box<Edge>| matches!(**edge, Edge::Beginning(_));
        let edge = self.edge.take_if(is_fresh).map(|edge| *edge);
        let Some(Edge::Beginning(early)) = edge else {
            return;
        };
        for (way, bytes) in [
            (Way::ToUpstream, early.from_client),
            (Way::ToClient, early.from_upstream),
        ] {
            let mut lane = self.lane(way);
            let event = buffer::with(|buffers| lane.receive(cx, &bytes, &mut buffers.scratch));
            if let Some(event) = event {
                self.meet(way.source(), event);
            }
        }
    }

    /// Moves bytes one way until there is nothing to read or no room to write, or it is others' turn.
    #[inline(always)]
    fn pump(&mut self, cx: &mut Context<'_>, way: Way) {
        let mut work = 0;
        for _ in 0..READS_PER_POLL {
            let mut lane = self.lane(way);
            lane.write(cx);
            if !lane.may_read() {
                return;
            }
            let frames = lane.direction.totals.frames;
            let Poll::Ready(read) = lane.read(cx) else {
                return;
            };
            let frames = lane.direction.totals.frames - frames;
            work += read.len as u64 + frames * BYTES_FOR_A_HEADER;
            let is_done = read.was_all && lane.is_clear();
            if lane.direction.take_saw_data() {
                self.last_data = self.timer.now();
            }
            if let Some(event) = read.event {
                self.meet(way.source(), event);
            } else if is_done {
                return;
            }
            if work >= WORK_PER_POLL {
                break;
            }
        }
        give_way(cx);
    }

    /// A leg whose Close handshake is done does not wait for the other one: its stream ends now.
    fn part_early(&mut self, cx: &mut Context<'_>) {
        if self.ending().is_some() {
            let now = self.timer.now();
            self.client.hang_up(cx, now);
            self.upstream.hang_up(cx, now);
        }
    }

    /// Everything that can be done now.
    fn work(&mut self, cx: &mut Context<'_>) {
        loop {
            self.turned = false;
            // Both are looked at before anything is written: a write takes the processor's caches.
            let [to_upstream_rests, to_client_rests] =
                [Way::ToUpstream, Way::ToClient].map(|way| self.lane(way).is_at_rest(cx));
            if !to_upstream_rests {
                self.pump(cx, Way::ToUpstream);
            }
            if !to_client_rests || self.turned {
                self.pump(cx, Way::ToClient);
            }
            let now = self.timer.now();
            if self.restless || self.timer.is_due(now) {
                self.keep_time(now);
            }
            if !self.turned {
                return;
            }
        }
    }
}

impl<S: Wire> Session<S> {
    /// Does what can be done; ready when nothing is left. `control` is the session's own.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, control: &Control) -> Poll<Outcome> {
        let before = self.may_wait().then(|| self.waits());
        self.be_woken_by(cx.waker(), control);
        if self.edge.is_some() {
            self.receive_early(cx);
        }
        if let Some(order) = control.take() {
            self.obey(&order);
        }
        self.work(cx);
        if let Some(before) = before {
            let (after, now) = (self.waits(), self.timer.now());
            self.course.tally.waited(&before, &after, now);
        }
        if self.edge.is_none() {
            return Poll::Pending;
        }
        self.poll_end(cx)
    }

    /// Ready when the session is over; at its end a leg may be done before the other.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(outcome) = self.outcome() else {
            self.part_early(cx);
            return Poll::Pending;
        };
        let goodbyes = [self.client.poll_goodbye(cx), self.upstream.poll_goodbye(cx)];
        let is_overdue = self.ending().is_some_and(|ending| ending.is_overdue);
        if is_overdue || goodbyes.iter().all(Poll::is_ready) {
            Poll::Ready(outcome)
        } else {
            Poll::Pending
        }
    }
}

impl<S> Drop for Session<S> {
    fn drop(&mut self) {
        let now = self.timer.now();
        let before = self.waits();
        if let Some(pacing) = &mut self.pacing {
            pacing.stop(now);
        }
        let after = self.waits().at_the_end();
        self.course.tally.waited(&before, &after, now);
    }
}

/// Whom the clock and the control wake, known by where it is: they keep it, so nobody else is there.
#[derive(Debug, Default)]
struct Watcher(usize);

impl Watcher {
    fn of(waker: &Waker) -> Self {
        Self(waker.data().addr())
    }

    /// Never of a waker that is nowhere.
    fn is(&self, waker: &Waker) -> bool {
        self.0 != 0 && self.0 == waker.data().addr()
    }
}

/// How often one direction is read before the rest of the thread has its turn.
const READS_PER_POLL: usize = 16;

/// How much work is enough before that, in bytes, be they passed on or only heard out.
const WORK_PER_POLL: u64 = 1 << 20;

/// What a header is worth in that: as many bytes as pass in the time that it takes.
const BYTES_FOR_A_HEADER: u64 = 64;

/// Wakes the task again, behind all others and behind what the system has news of. A task that simply wakes
/// itself would be polled dozens of times before the runtime looks at its sockets again.
fn give_way(cx: &mut Context<'_>) {
    let _ = pin!(yield_now()).poll(cx);
}
