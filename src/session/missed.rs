//! What was taken back a moment ago: a handshake that was under way then becomes a session afterwards,
//! and must not outlive it.

use super::grounds::Revocation;
use super::record::Session;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// No handshake takes longer.
const REMEMBERED_FOR: Duration = Duration::from_secs(10 * 60);
/// Of more, the first are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The latest revocations.
#[derive(Debug, Default)]
pub(super) struct Latest {
    /// Whether there is any, so that nobody else takes the lock.
    is_any: AtomicBool,
    all: Mutex<VecDeque<(Instant, Kept)>>,
}

/// A [`Revocation`] of its own.
#[derive(Debug)]
enum Kept {
    Identity(Box<str>),
    Token { method: Box<str>, id: Box<str> },
    Certificate(Box<str>),
}

impl Latest {
    pub(super) fn add(&self, revocation: &Revocation<'_>, now: Instant) {
        let kept = match *revocation {
            Revocation::Identity(identity) => Kept::Identity(identity.into()),
            Revocation::Token { method, id } => Kept::Token {
                method: method.into(),
                id: id.into(),
            },
            Revocation::Certificate(id) => Kept::Certificate(id.into()),
            // It is live, or it is none.
            Revocation::Session(_) => return,
        };
        let mut all = self.lock();
        let is_old = |(at, _): &(Instant, Kept)| now.duration_since(*at) > REMEMBERED_FOR;
        while all.len() >= REMEMBERED_MAX || all.front().is_some_and(is_old) {
            all.pop_front();
        }
        all.push_back((now, kept));
        self.is_any.store(true, Ordering::Release);
    }

    /// Whether one of them takes back what `session` rests on, which was `proven` before.
    pub(super) fn take_back(&self, session: &Session, proven: Instant) -> bool {
        if !self.is_any.load(Ordering::Acquire) {
            return false;
        }
        let all = self.lock();
        let missed = all.iter().rev().take_while(|(at, _)| *at >= proven);
        missed
            .into_iter()
            .any(|(_, kept)| session.is_revoked_by(&kept.as_revocation()))
    }

    /// What is guarded is whole after each statement.
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Kept)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn as_revocation(&self) -> Revocation<'_> {
        match self {
            Self::Identity(identity) => Revocation::Identity(identity),
            Self::Token { method, id } => Revocation::Token { method, id },
            Self::Certificate(id) => Revocation::Certificate(id),
        }
    }
}
