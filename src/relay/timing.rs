//! The one look at the clock: which deadline of a session has passed, and when to look again.

use super::deadlines::Tick;
use super::heartbeat::Verdict;
use super::session::Session;
use super::{End, Side};
use std::time::Duration;

impl<S> Session<S> {
    /// Acts on the deadlines that have passed and has the session woken at the next.
    pub(super) fn keep_time(&mut self, now: Tick) {
        self.signals.restless = false;
        let mut alarm = Alarm {
            now,
            next: Tick::NEVER,
        };
        self.watch_writing(&mut alarm);
        if self.ending.is_none() {
            self.watch_age(&mut alarm);
            self.watch_pulse(Side::Client, &mut alarm);
            self.watch_pulse(Side::Upstream, &mut alarm);
        }
        self.watch_ending(&mut alarm);
        self.timer.arm(alarm.next, now);
    }

    fn watch_writing(&mut self, alarm: &mut Alarm) {
        let Some(limit) = self.rules.write else {
            return;
        };
        for side in [Side::Client, Side::Upstream] {
            if alarm.rings(self.leg(side).outlet.stalled_since(), limit) {
                self.write_timed_out(side);
            }
        }
    }

    fn watch_age(&mut self, alarm: &mut Alarm) {
        let max_duration = self.rules.max_duration.map(|limit| self.spread(limit));
        if max_duration.is_some_and(|limit| alarm.rings(self.began.tick(), limit)) {
            self.end_of_time(End::MaxDuration, "session reached its maximum duration");
        } else if self
            .rules
            .idle
            .is_some_and(|limit| alarm.rings(self.last_data, limit))
        {
            self.end_of_time(End::Idle, "session was idle");
        }
    }

    fn watch_pulse(&mut self, side: Side, alarm: &mut Alarm) {
        let Some(interval) = self.rules.ping_interval else {
            return;
        };
        let (interval, timeout) = (self.spread(interval), self.rules.pong_timeout);
        let can_answer = self.can_answer(side);
        let pulse = &mut self.leg_mut(side).pulse;
        let was_due = pulse.wants_ping();
        match pulse.check(alarm.now, can_answer, interval, timeout) {
            Verdict::Dead if self.ending.is_none() => self.no_pong(side),
            Verdict::Dead => {}
            Verdict::Alive(next) => {
                alarm.next = alarm.next.min(next);
                self.signals.turned |= !was_due && self.leg(side).pulse.wants_ping();
            }
        }
    }

    fn watch_ending(&mut self, alarm: &mut Alarm) {
        let Some(ending) = &self.ending else {
            return;
        };
        let (grace, deadline) = (ending.grace, ending.deadline);
        if alarm.reaches(deadline) {
            self.close_timed_out();
        } else if alarm.reaches(grace) {
            self.release_farewell();
            // The deadline has moved: look once more.
            self.signals.restless = true;
        }
    }

    /// Whether a pong could come: our ping is written whole, the leg is being read, and it is not
    /// inside a frame of its own.
    fn can_answer(&self, side: Side) -> bool {
        let (leg, direction, other) = match side {
            Side::Upstream => (&self.upstream, &self.to_client, &self.client),
            _ => (&self.client, &self.to_upstream, &self.upstream),
        };
        let is_read = other.outlet.is_clear();
        leg.outlet.is_clear() && is_read && direction.at_boundary() && leg.carry.is_empty()
    }

    /// `limit` give or take a tenth, the same for all deadlines of this session.
    fn spread(&self, limit: Duration) -> Duration {
        let thousandths = 900 + u32::from(self.jitter) * 200 / 255;
        limit.saturating_mul(thousandths) / 1000
    }
}

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
