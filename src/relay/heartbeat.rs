//! Whether a leg lives. It is pinged after an interval without a byte from it, and any byte from it is proof;
//! only a leg that got the ping whole and could have answered is ever found dead.

use super::deadlines::Tick;
use aws_lc_rs::rand;
use std::time::Duration;

/// What distinguishes the gateway's pings from those of the application.
pub(super) type Token = [u8; 8];

/// The heartbeat of one leg.
#[derive(Debug)]
pub(super) struct Pulse {
    /// When the last byte came.
    heard: Tick,
    /// When the last ping was said.
    pinged: Tick,
    /// Since when the leg could have answered; `NEVER` while it could not.
    answerable: Tick,
    /// Drawn with the first ping and kept, so that the pong to any of several pings is known as ours.
    token: Option<Token>,
    /// A ping is to be said at the next frame boundary.
    due: bool,
    /// A ping was said, and not a byte came since.
    unanswered: bool,
    /// How many pongs are to be expected.
    awaited: u8,
}

/// What a look at the clock says about a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Alive(Tick),
    /// It had the time and the means to answer, and didn't.
    Dead,
}

impl Pulse {
    /// A leg that was heard just now.
    pub(super) const fn new(now: Tick) -> Self {
        Self {
            heard: now,
            pinged: now,
            answerable: Tick::NEVER,
            token: None,
            due: false,
            unanswered: false,
            awaited: 0,
        }
    }

    /// A byte came.
    pub(super) const fn heard(&mut self, now: Tick) {
        self.heard = now;
        self.answerable = Tick::NEVER;
        self.due = false;
        self.unanswered = false;
    }

    pub(super) const fn wants_ping(&self) -> bool {
        self.due
    }

    /// The payload of the ping that is now being said.
    pub(super) fn ping(&mut self, now: Tick) -> Token {
        self.due = false;
        self.unanswered = true;
        self.pinged = now;
        self.awaited = self.awaited.saturating_add(1);
        *self.token.get_or_insert_with(random)
    }

    /// What the pongs to our pings carry, once there was a ping.
    pub(super) const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Whether these bytes, masked with `key`, are a pong that a ping of ours asked for; each ping
    /// asks for one.
    pub(super) fn is_awaited(&mut self, payload: &[u8], key: Option<[u8; 4]>) -> bool {
        let key = key.unwrap_or_default();
        let is_ours = self.token.is_some_and(|token| {
            let plain = payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key);
            plain.eq(token)
        });
        let is_awaited = is_ours && self.awaited > 0;
        self.awaited -= u8::from(is_awaited);
        is_awaited
    }

    /// Looks at the clock. `can_answer`: the ping is on its way whole, the leg is being read, and it is
    /// not inside a frame of its own, where no pong can stand.
    pub(super) fn check(
        &mut self,
        now: Tick,
        can_answer: bool,
        interval: Duration,
        timeout: Duration,
    ) -> Verdict {
        let mut next = Tick::NEVER;
        if self.unanswered {
            self.answerable = if can_answer {
                self.answerable.min(now)
            } else {
                Tick::NEVER
            };
            let deadline = self.answerable.after(timeout);
            if deadline <= now {
                return Verdict::Dead;
            }
            next = deadline;
        }
        let next_ping = self.heard.max(self.pinged).after(interval);
        self.due |= next_ping <= now;
        if !self.due {
            next = next.min(next_ping);
        }
        Verdict::Alive(next)
    }
}

/// Bytes that a peer cannot guess: tokens, and the masking keys of our frames (RFC 6455 §5.3).
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("aws-lc aborts the process rather than run short of entropy");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);
    const TIMEOUT: Duration = Duration::from_secs(10);

    struct Story {
        pulse: Pulse,
        start: Tick,
    }

    impl Story {
        fn new() -> Self {
            let start = Tick::START;
            Self {
                pulse: Pulse::new(start),
                start,
            }
        }

        fn at(&self, seconds: u64) -> Tick {
            self.start.after(Duration::from_secs(seconds))
        }

        fn is_dead(&mut self, seconds: u64, can_answer: bool) -> bool {
            let now = self.at(seconds);
            self.pulse.check(now, can_answer, INTERVAL, TIMEOUT) == Verdict::Dead
        }
    }

    #[test]
    fn silence_is_asked_and_then_ended() {
        let mut story = Story::new();
        assert!(!story.is_dead(29, true));
        assert!(!story.pulse.wants_ping());
        assert!(!story.is_dead(31, true));
        assert!(story.pulse.wants_ping());
        story.pulse.ping(story.at(31));
        assert!(!story.is_dead(31, true));
        assert!(!story.is_dead(40, true));
        assert!(story.is_dead(42, true));
    }

    #[test]
    fn a_leg_that_cannot_answer_is_asked_again_and_again_and_lives() {
        let mut story = Story::new();
        let mut pings = 0;
        for second in 0..200 {
            assert!(!story.is_dead(second, false));
            if story.pulse.wants_ping() {
                story.pulse.ping(story.at(second));
                pings += 1;
            }
        }
        assert!((5..=6).contains(&pings), "{pings}");
        assert!(
            !story.is_dead(200, true),
            "its time begins when it can answer"
        );
        assert!(!story.is_dead(209, true));
        assert!(story.is_dead(211, true));
    }

    #[test]
    fn any_byte_is_proof_and_the_token_stays() {
        let mut story = Story::new();
        assert!(!story.is_dead(31, true));
        let first = story.pulse.ping(story.at(31));
        assert!(!story.is_dead(31, true));
        story.pulse.heard(story.at(40));
        assert!(!story.is_dead(69, true));
        assert!(!story.pulse.wants_ping());
        assert!(!story.is_dead(71, true));
        assert_eq!(story.pulse.ping(story.at(71)), first);
        assert_eq!(story.pulse.token(), Some(&first));
    }
}
