//! Connections that fail before HTTP, in the PROXY protocol or in TLS: one line at once, then one every
//! few seconds with a count.
//!
//! Anybody who reaches a port can make handshakes fail as fast as he can connect; the log must tell
//! the operator and must not be filled by it. What peers chose is recorded as strings, which are
//! escaped as in the access log.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

/// One line for each reason in so long a time.
const INTERVAL: Duration = Duration::from_secs(5);

/// The failures of one listener.
#[derive(Debug)]
pub struct TlsLog {
    listener: Box<str>,
    /// One for each reason that has occurred; reasons are few fixed words.
    tallies: Mutex<Vec<Tally>>,
}

/// A handshake that failed.
#[derive(Debug, Clone)]
pub struct TlsFailed {
    /// What failed, in words.
    pub what: &'static str,
    /// One word for why.
    pub reason: &'static str,
    /// The client's address; `None` on a unix socket.
    pub client: Option<IpAddr>,
    /// The name that it asked for.
    pub server_name: Option<String>,
    /// More words for the operator.
    pub detail: String,
}

/// What is counted of one reason since its last line.
#[derive(Debug)]
struct Tally {
    count: u64,
    /// The latest, to be shown.
    latest: TlsFailed,
}

impl TlsLog {
    /// Nothing has failed yet at this listener.
    pub fn new(listener: &str) -> Self {
        Self {
            listener: listener.into(),
            tallies: Mutex::default(),
        }
    }

    /// Logs it if the reason has not occurred lately, else counts it.
    pub fn failed(&self, failure: TlsFailed) {
        if let Some(first) = self.note(failure) {
            self.line(1, &first);
        }
    }

    /// Tells in regular lines what was counted; never ends.
    pub async fn report(&self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for (count, latest) in self.due() {
                self.line(count, &latest);
            }
        }
    }

    /// Gives it back if it is the first of its reason for a while.
    fn note(&self, failure: TlsFailed) -> Option<TlsFailed> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tallies
            .iter_mut()
            .find(|tally| tally.latest.reason == failure.reason);
        if let Some(tally) = known {
            tally.count += 1;
            tally.latest = failure;
            return None;
        }
        let latest = failure.clone();
        tallies.push(Tally { count: 0, latest });
        Some(failure)
    }

    /// What was counted since the last time. A reason that did not occur is forgotten.
    fn due(&self) -> Vec<(u64, TlsFailed)> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.retain(|tally| tally.count > 0);
        let take = |tally: &mut Tally| (std::mem::take(&mut tally.count), tally.latest.clone());
        tallies.iter_mut().map(take).collect()
    }

    fn line(&self, count: u64, failure: &TlsFailed) {
        info!(
            target: "wsgate::tls",
            listener = &*self.listener,
            reason = failure.reason,
            count,
            client = failure.client.map(tracing::field::display),
            server_name = failure.server_name,
            detail = failure.detail,
            "{}",
            failure.what
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(reason: &'static str, detail: &str) -> TlsFailed {
        TlsFailed {
            what: "TLS handshake failed",
            reason,
            client: None,
            server_name: None,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn a_flood_of_failures_is_one_line_at_once_and_one_in_each_interval() {
        let log = TlsLog::new("public");
        let noted = |reason, detail| log.note(failure(reason, detail)).is_some();
        assert!(noted("version", "first"));
        for _ in 0..1000 {
            assert!(!noted("version", "again"));
        }
        assert!(noted("revoked", "another reason"));

        let due = log.due();
        assert_eq!(due.len(), 1, "{due:?}");
        assert_eq!((due[0].0, &*due[0].1.detail), (1000, "again"));
        // Still within the interval of that line.
        assert!(!noted("version", "more"));
        assert_eq!(log.due()[0].0, 1);
        assert!(log.due().is_empty());
        assert!(noted("version", "after a rest"));
    }
}
