//! What is counted, and the page that tells it to Prometheus.
//!
//! Each worker counts in a shard of its own, a few additions for a handshake and for the end of a
//! session; what passes in sessions is counted by the relay, and looked up when somebody asks. So
//! nothing is shared between cores but when a page is made. Labels are names of the configuration and
//! fixed words, never what a peer has chosen: what clients do makes no new series. `families` names
//! every metric, `words` the fixed words, `shard` counts, `facts` is what is looked up, `page` makes
//! the text, `classic` its older dialect.

mod classic;
mod facts;
mod families;
mod histogram;
mod page;
mod shard;
mod words;

pub use facts::{Facts, UpstreamFacts};
pub use families::reference;

use crate::relay::Outcome;
use crate::session::{Names, Session};
use families as family;
use shard::Shard;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Everything that was counted since the process began.
#[derive(Debug)]
pub struct Metrics {
    shards: Box<[Mutex<Shard>]>,
    started: Start,
}

/// When the process began, by both clocks: the one tells the date of what the other has measured.
#[derive(Debug, Clone, Copy)]
struct Start {
    date: SystemTime,
    instant: Instant,
}

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which everything reads.
    Classic,
    /// OpenMetrics 1.0, which Prometheus asks for.
    OpenMetrics,
}

/// Where one worker counts.
#[derive(Debug)]
pub struct Counts<'a>(&'a Mutex<Shard>);

impl Metrics {
    /// Nothing counted yet, by so many workers, at least one.
    pub fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers.max(1)).map(|_| Mutex::default()).collect(),
            started: Start {
                date: SystemTime::now(),
                instant: Instant::now(),
            },
        }
    }

    /// Where `worker` counts; indices wrap. Right from any thread, and cheap from that worker's.
    pub fn at(&self, worker: usize) -> Counts<'_> {
        Counts(&self.shards[worker % self.shards.len()])
    }

    /// Everything there is to tell now.
    pub fn page(&self, facts: &Facts, format: Format) -> String {
        let mut sum = Shard::default();
        for shard in &self.shards {
            sum.merge(&lock(shard));
        }
        facts.add_to(&mut sum, self.started);
        page::write(&sum, format)
    }
}

impl Start {
    /// Seconds since 1970 at a later moment.
    fn date_of(&self, later: Instant) -> f64 {
        let date = self.date + later.saturating_duration_since(self.instant);
        let age = date.duration_since(SystemTime::UNIX_EPOCH);
        age.unwrap_or_default().as_secs_f64()
    }
}

impl Counts<'_> {
    /// A client has connected.
    pub fn accepted(&self, listener: &Arc<str>) {
        let mut shard = lock(self.0);
        shard.count(&family::ACCEPTED, [listener.into()]);
    }

    /// Accepting failed.
    pub fn accept_failed(&self, listener: &Arc<str>, reason: &'static str) {
        let mut shard = lock(self.0);
        shard.count(&family::ACCEPT_ERRORS, [listener.into(), reason.into()]);
    }

    /// A TLS handshake came to nothing.
    pub fn tls_failed(&self, listener: &Arc<str>, reason: &'static str) {
        let mut shard = lock(self.0);
        shard.count(&family::TLS_FAILURES, [listener.into(), reason.into()]);
    }

    /// The PROXY protocol came to nothing.
    pub fn proxy_protocol_failed(&self, listener: &Arc<str>, reason: &'static str) {
        let mut shard = lock(self.0);
        shard.count(&family::PROXY_FAILURES, [listener.into(), reason.into()]);
    }

    /// A handshake, or what never became a request, was answered with `status` instead of 101.
    pub fn refused(
        &self,
        listener: &Arc<str>,
        route: Option<&Arc<str>>,
        status: u16,
        reason: &'static str,
    ) {
        let outcome = words::outcome(status);
        self.handshake(listener, route, outcome, reason, &mut lock(self.0));
    }

    /// An ordinary request was answered, as far as the answer came.
    pub fn requested(
        &self,
        listener: &Arc<str>,
        route: Option<&Arc<str>>,
        status: u16,
        reason: &'static str,
    ) {
        let labels = [
            listener.into(),
            route.into(),
            words::status_class(status).into(),
            reason.into(),
        ];
        lock(self.0).count(&family::REQUESTS, labels);
    }

    /// A client was answered 101, `took` after its request, and its session begins.
    pub fn opened(&self, session: &Session, took: Duration) {
        let Names {
            listener, route, ..
        } = session.names();
        let mut shard = lock(self.0);
        self.handshake(listener, Some(route), words::OPENED, "ok", &mut shard);
        shard.observe(&family::HANDSHAKE_TIME, [route.into()], took);
        shard.count(&family::SESSIONS, [route.into()]);
    }

    /// A session is over after so long; without an outcome if it was not carried to its end.
    pub fn ended(&self, session: &Session, length: Duration, outcome: Option<&Outcome>) {
        let route = &session.names().route;
        let mut shard = lock(self.0);
        shard.uncount(&family::SESSIONS, [route.into()]);
        let (ended_by, reason, code) = words::end(outcome);
        let labels = [route.into(), ended_by.into(), reason.into(), code.into()];
        shard.count(&family::SESSIONS_ENDED, labels);
        shard.observe(&family::SESSION_LENGTH, [route.into()], length);
    }

    fn handshake(
        &self,
        listener: &Arc<str>,
        route: Option<&Arc<str>>,
        outcome: &'static str,
        reason: &'static str,
        shard: &mut Shard,
    ) {
        let labels = [listener.into(), route.into(), outcome.into(), reason.into()];
        shard.count(&family::HANDSHAKES, labels);
    }
}

impl Format {
    /// What an `Accept` header asks for.
    pub fn asked_by(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Classic,
        }
    }

    /// For `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A panic elsewhere leaves the counts right to one.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
