//! The one look at the clock: which deadline of a session has passed, and when to look again.

use super::deadlines::Tick;
use super::heartbeat::Verdict;
use super::lane::Event;
use super::leg::Inlet;
use super::pace::Pace;
use super::session::{Session, Way};
use super::wire::Wire;
use super::{End, Loss, Side};
use std::time::Duration;

impl<S: Wire> Session<S> {
    /// Acts on the deadlines that have passed and has the session woken at the next.
    pub(super) fn keep_time(&mut self, now: Tick) {
        self.restless = false;
        let mut alarm = Alarm {
            now,
            next: Tick::NEVER,
        };
        self.watch_silence(&mut alarm);
        self.watch_writing(&mut alarm);
        self.watch_broken(&mut alarm);
        if self.ending().is_none() {
            self.watch_age(&mut alarm);
            self.watch_pulse(Side::Client, &mut alarm);
            self.watch_pulse(Side::Upstream, &mut alarm);
        }
        self.watch_ending(&mut alarm);
        self.timer.arm(alarm.next, now);
    }

    /// A peer that vanished without a word acknowledges nothing: the kernel ends such a leg, even where
    /// the relay waits for nothing from it. It is told so once the session has lasted a moment, which
    /// spares those that are over sooner, and is no later for the others: when the limit is set makes no
    /// difference to it, only how long the oldest byte has waited by the time it is sent again.
    fn watch_silence(&mut self, alarm: &mut Alarm) {
        let Some(limit) = self.rules().write.filter(|_| self.is_young) else {
            return;
        };
        if alarm.rings(self.began.tick(), limit.min(YOUTH)) {
            self.is_young = false;
            self.client.stream.limit_silence(limit);
            self.upstream.stream.limit_silence(limit);
        }
    }
}

impl<S> Session<S> {
    fn watch_writing(&mut self, alarm: &mut Alarm) {
        let Some(limit) = self.rules().write else {
            return;
        };
        for side in [Side::Client, Side::Upstream] {
            // Who is kept from speaking may not listen either: it has its time once it is not.
            let excused = self
                .pace_of(side)
                .map_or(Tick::START, |pace| pace.last_throttled(alarm.now));
            let since = self.leg(side).outlet.stalled_since().max(excused);
            if alarm.rings(since, limit) {
                self.write_timed_out(side);
            }
        }
    }

    /// A leg that takes nothing any more may still have sent a Close before: it is lost when it
    /// has been read, and silent, for a moment.
    fn watch_broken(&mut self, alarm: &mut Alarm) {
        for side in [Side::Client, Side::Upstream] {
            let leg = self.leg(side);
            let Some(kind) = leg.outlet.broken().filter(|_| leg.inlet != Inlet::Finished) else {
                continue;
            };
            let is_heard = self.is_read(side) || self.is_throttled(side);
            if is_heard && alarm.rings(leg.outlet.broken_since(), LAST_WORDS) {
                self.meet(side, Event::Lost(Loss::Error(kind)));
            }
        }
    }

    fn watch_age(&mut self, alarm: &mut Alarm) {
        let max_duration = self.rules().max_duration.map(|limit| self.spread(limit));
        if max_duration.is_some_and(|limit| alarm.rings(self.began.tick(), limit)) {
            self.end_of_time(End::MaxDuration, "session reached its maximum duration");
        } else if self
            .rules()
            .idle
            .is_some_and(|limit| alarm.rings(self.last_data, limit))
        {
            self.end_of_time(End::Idle, "session was idle");
        }
    }

    fn watch_pulse(&mut self, side: Side, alarm: &mut Alarm) {
        let Some(interval) = self.rules().ping_interval else {
            return;
        };
        let (interval, timeout) = (self.spread(interval), self.rules().pong_timeout);
        let can_answer = self.can_answer(side);
        let pulse = &mut self.leg_mut(side).pulse;
        let was_due = pulse.wants_ping();
        match pulse.check(alarm.now, can_answer, interval, timeout) {
            Verdict::Dead if self.ending().is_none() => self.no_pong(side),
            Verdict::Dead => {}
            Verdict::Alive(next) => {
                alarm.next = alarm.next.min(next);
                self.turned |= !was_due && self.leg(side).pulse.wants_ping();
            }
        }
    }

    fn watch_ending(&mut self, alarm: &mut Alarm) {
        let Some(ending) = self.ending() else {
            return;
        };
        let (grace, deadline) = (ending.grace, ending.deadline);
        if alarm.reaches(deadline) {
            self.close_timed_out();
        } else if alarm.reaches(grace) {
            self.release_farewell();
            // The deadline has moved: look once more.
            self.restless = true;
        }
    }

    /// Whether a pong could come: our ping is written whole, the leg is being read, and it is not
    /// inside a frame of its own.
    fn can_answer(&self, side: Side) -> bool {
        let leg = self.leg(side);
        let direction = match side {
            Side::Upstream => &self.to_client,
            _ => &self.to_upstream,
        };
        let is_asked = leg.outlet.is_clear();
        let is_between_frames = direction.at_boundary() && leg.carry.is_empty();
        is_asked && self.is_read(side) && is_between_frames
    }

    /// A leg is not read while what it sent before waits, for the other leg or for a limit.
    fn is_read(&self, side: Side) -> bool {
        self.leg(side.other()).outlet.is_clear() && !self.is_throttled(side)
    }

    fn is_throttled(&self, side: Side) -> bool {
        self.pace_of(side).is_some_and(Pace::is_throttled)
    }

    /// What the frames of `side` have to keep to, if anything.
    fn pace_of(&self, side: Side) -> Option<&Pace> {
        self.pace(match side {
            Side::Upstream => Way::ToClient,
            _ => Way::ToUpstream,
        })
    }

    /// `limit` give or take a tenth, the same for all deadlines of this session.
    fn spread(&self, limit: Duration) -> Duration {
        let thousandths = 900 + u32::from(self.timer.spread()) * 200 / 255;
        limit.saturating_mul(thousandths) / 1000
    }
}

/// So long a session may be over before the kernel need know of its rules.
const YOUTH: Duration = Duration::from_secs(1);

/// How long a leg whose writes fail may still be heard.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Collects the earliest of the deadlines that have not passed.
struct Alarm {
    now: Tick,
    next: Tick,
}

impl Alarm {
    /// Whether `limit` has passed since `since`.
    fn rings(&mut self, since: Tick, limit: Duration) -> bool {
        self.reaches(since.after(limit))
    }

    /// Whether `deadline` has passed.
    fn reaches(&mut self, deadline: Tick) -> bool {
        if deadline <= self.now {
            return true;
        }
        self.next = self.next.min(deadline);
        false
    }
}
