//! A live session about which the service is asked again, with what it was told at the handshake.
//!
//! A service that cannot be asked ends no session at once: it is asked more often, and when the session
//! has gone twice its time without an answer, or what the service has said of its age is over, that is
//! the end.

use super::verdict::{Admission, Verdict};
use super::{Fault, Forward, Question};
use crate::admission::Identity;
use crate::admission::auth::Lifetime;
use crate::admission::auth::lot::lot;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// So much before its age is over an answer is asked for anew, up to twice as much by lot; less if it is
/// good for a short time only.
const AHEAD: Duration = Duration::from_secs(5);
/// How soon after a failure it is asked again.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Who is asked about one session. Equal is only the same one.
#[derive(Debug)]
pub struct Recheck {
    forward: Arc<Forward>,
    question: Question,
    identity: Identity,
    pace: Pace,
}

/// Why a session must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// For the log.
    pub why: Fault,
    /// The close code for the client.
    pub code: u16,
}

/// When to ask, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    every: Duration,
    due: Instant,
    gives_up: Instant,
}

impl Recheck {
    pub(super) fn new(
        forward: Arc<Forward>,
        question: Question,
        admission: &Admission,
        every: Duration,
    ) -> Self {
        let good_until = admission.good_until.filter(|_| forward.expire_session);
        Self {
            forward,
            question,
            identity: admission.identity.clone(),
            pace: Pace::new(every, Instant::now(), good_until, lot()),
        }
    }

    /// Asks from time to time, and ends when the session must. Dropping the future ends the asking. To be
    /// polled on one thread.
    pub async fn over(&self) -> Over {
        let mut pace = self.pace;
        loop {
            sleep_until(pace.due).await;
            let asked = Instant::now();
            let answer = self.ask(pace.gives_up).await;
            let now = Instant::now();
            match answer {
                Ok(good_until) => pace = Pace::new(pace.every, asked, good_until, lot()),
                Err(End::Now(why)) => return self.ended(why),
                Err(End::Perhaps(why)) if now >= pace.gives_up => return self.ended(why),
                Err(End::Perhaps(_)) => pace.failed(now),
            }
        }
    }

    /// For how long what was found out is good where nobody asks again.
    pub fn unasked(&self) -> Lifetime {
        Lifetime {
            ends: self.pace.gives_up,
            code: self.forward.expire_code,
        }
    }

    /// Until when it is good, if the service says so; asked `latest` then.
    async fn ask(&self, latest: Instant) -> Result<Option<Instant>, End> {
        let forward = &self.forward;
        // With a service that hangs the queue is long, and nobody may live on by standing in it.
        let Ok(_turn) = timeout_at(latest, forward.rechecks.acquire()).await else {
            let why = "the service has not been asked in time";
            return Err(End::Perhaps(Fault::of(why)));
        };
        match forward.ask(&self.question).await {
            Ok(Verdict::Admits(admission)) if admission.identity == self.identity => {
                Ok(admission.good_until.filter(|_| forward.expire_session))
            }
            Ok(Verdict::Admits(_)) => Err(End::Now(Fault::of(
                "the service says that it is somebody else",
            ))),
            Ok(Verdict::Refuses(answer)) => {
                let status = answer.status.as_u16();
                let why = format!("the service no longer admits it: {status}");
                Err(End::Now(Fault(why.into())))
            }
            Err(fault) => Err(End::Perhaps(fault)),
        }
    }

    fn ended(&self, why: Fault) -> Over {
        Over {
            why,
            code: self.forward.expire_code,
        }
    }
}

/// What speaks against a session.
enum End {
    Now(Fault),
    /// If it goes on so.
    Perhaps(Fault),
}

impl PartialEq for Recheck {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Recheck {}

impl Pace {
    /// After an answer to a question of `asked` that is good until then. Earlier by `lot`, so that sessions
    /// which began together are not asked about together for ever.
    fn new(every: Duration, asked: Instant, good_until: Option<Instant>, lot: u8) -> Self {
        let by_lot = |most: Duration| most * u32::from(lot) / 255;
        let usual = asked + every - by_lot(every / 10);
        let gives_up = asked + every * 2;
        match good_until {
            None => Self {
                every,
                due: usual,
                gives_up,
            },
            Some(until) => {
                let ahead = AHEAD.min(until.saturating_duration_since(asked) / 4);
                Self {
                    every,
                    due: usual.min(until - ahead - by_lot(ahead)),
                    gives_up: gives_up.min(until),
                }
            }
        }
    }

    /// By `now` there was no answer.
    fn failed(&mut self, now: Instant) {
        let [soonest, latest] = RETRY_AFTER;
        let pause = (self.every / 10).clamp(soonest, latest);
        self.due = (now + pause).min(self.gives_up);
    }
}

#[cfg(test)]
mod tests {
    use super::super::RECHECKS_MAX;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Seconds from the answer to the next question, and to the end if there is no answer to it.
    fn pace(every: u32, good_for: Option<u32>, lot: u8) -> (Duration, Duration) {
        let asked = Instant::now();
        let until = good_for.map(|seconds| asked + SECOND * seconds);
        let pace = Pace::new(SECOND * every, asked, until, lot);
        (pace.due - asked, pace.gives_up - asked)
    }

    #[test]
    fn it_is_asked_in_time_and_given_up_in_time() {
        assert_eq!(pace(60, None, 0), (SECOND * 60, SECOND * 120));
        assert_eq!(pace(60, None, 255), (SECOND * 54, SECOND * 120));
        assert_eq!(pace(60, Some(30), 0), (SECOND * 25, SECOND * 30));
        assert_eq!(pace(60, Some(30), 255), (SECOND * 20, SECOND * 30));
        assert_eq!(pace(60, Some(4), 0), (SECOND * 3, SECOND * 4));
        assert_eq!(pace(60, Some(100), 0), (SECOND * 60, SECOND * 100));
        assert_eq!(pace(60, Some(1000), 0), (SECOND * 60, SECOND * 120));
        // A verdict that was kept may be over already.
        assert_eq!(pace(60, Some(0), 0), (Duration::ZERO, Duration::ZERO));
    }

    #[tokio::test]
    async fn nobody_lives_on_in_the_queue_of_a_service_that_hangs() {
        let settings = super::super::tests::settings(1);
        let forward = Arc::new(Forward::new("portal", &settings).unwrap());
        let admission = Admission {
            identity: Identity::new("portal", "ann").unwrap(),
            headers: Vec::new(),
            good_until: None,
        };
        let question = forward.question(&http::HeaderMap::new());
        let every = Duration::from_millis(5);
        let recheck = Recheck::new(Arc::clone(&forward), question, &admission, every);
        let _all = forward.rechecks.acquire_many(RECHECKS_MAX as u32).await;
        let over = recheck.over().await;
        assert_eq!(
            over.why,
            Fault::of("the service has not been asked in time")
        );
    }

    #[test]
    fn after_a_failure_it_is_asked_more_often_until_it_is_given_up() {
        let asked = Instant::now();
        let mut pace = Pace::new(SECOND * 60, asked, None, 0);
        let mut tries = 0;
        while pace.due < pace.gives_up {
            let now = pace.due;
            pace.failed(now);
            assert!(pace.due <= now + SECOND * 6 && pace.due > now);
            tries += 1;
        }
        assert_eq!(tries, 10);
        assert_eq!(pace.due, asked + SECOND * 120);
    }
}
