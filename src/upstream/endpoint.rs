//! One place that serves, and the count of what it serves now.

use super::rendezvous;
use crate::net::Idle;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A place that takes sessions. It lives as long as a pool names it or a session is on it.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Where it is.
    pub(super) place: Place,
    /// For logs.
    pub(super) name: String,
    /// Of the name, for rendezvous hashing.
    pub(super) hash: u64,
    /// Its own host and port, for `Host`; the port only where it is not the scheme's.
    pub(super) authority: String,
    /// Share relative to the others, at least 1.
    pub(super) weight: u32,
    /// Which entry of the configuration it comes from.
    pub(super) entry: usize,
    /// Connections for ordinary requests that wait for the next one.
    pub(super) idle: Arc<Idle>,
    sessions: AtomicU32,
    failing: AtomicBool,
    /// Until when it is asked only after all others, as it has failed. Locked only while it fails.
    rests_until: Mutex<Option<Instant>>,
}

/// How an endpoint is reached.
#[derive(Debug)]
pub(super) enum Place {
    /// Over the network.
    Tcp {
        /// Tried in this order; more than one where a name is the endpoint.
        addresses: ArcSwap<Vec<SocketAddr>>,
        /// The host to do TLS with.
        tls: Option<String>,
    },
    /// Over a socket file.
    Unix(PathBuf),
    /// Inside this process.
    Echo,
}

/// One handshake or session on an endpoint; dropping it gives the place back.
#[derive(Debug)]
pub struct Lease {
    endpoint: Arc<Endpoint>,
}

/// How long an endpoint that has failed is asked only after the others.
const REST: Duration = Duration::from_secs(5);

impl Endpoint {
    /// With nothing on it.
    pub(super) fn new(
        place: Place,
        name: String,
        authority: String,
        weight: u32,
        entry: usize,
    ) -> Self {
        Self {
            place,
            hash: rendezvous::name(&name),
            name,
            authority,
            weight: weight.max(1),
            entry,
            idle: Arc::default(),
            sessions: AtomicU32::new(0),
            failing: AtomicBool::new(false),
            rests_until: Mutex::default(),
        }
    }

    /// Handshakes and sessions that are on it now.
    pub(super) fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Counts one more.
    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        if self.failing.load(Ordering::Relaxed) {
            // This one finds out whether it serves again; others need not.
            self.rest();
        }
        Lease {
            endpoint: Arc::clone(self),
        }
    }

    /// Notes how the last attempt went, and says whether that is news.
    pub(super) fn note_failing(&self, failing: bool) -> bool {
        if failing {
            self.rest();
        }
        // The plain load keeps the usual case free of writes to a shared line.
        self.failing.load(Ordering::Relaxed) != failing
            && self.failing.swap(failing, Ordering::Relaxed) != failing
    }

    /// Whether it has failed a moment ago.
    pub(super) fn is_resting(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
            && self
                .rests_until()
                .is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) {
        *self.rests_until() = Some(Instant::now() + REST);
    }

    fn rests_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials `addresses` from now on.
    pub(super) fn move_to(&self, now: Vec<SocketAddr>) {
        if let Place::Tcp { addresses, .. } = &self.place {
            addresses.store(Arc::new(now));
        }
    }

    /// The one address of an endpoint that is an address.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match &self.place {
            Place::Tcp { addresses, .. } => addresses.load().first().copied(),
            Place::Unix(_) | Place::Echo => None,
        }
    }
}

impl Lease {
    /// What it is a place on.
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The endpoint's name, for logs.
    pub fn name(&self) -> &str {
        &self.endpoint.name
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn who_has_failed_rests_and_is_then_tried_by_one() {
        let endpoint = Endpoint::new(Place::Echo, "one".to_owned(), "one".to_owned(), 1, 0);
        let endpoint = Arc::new(endpoint);
        assert!(!endpoint.is_resting());
        assert!(endpoint.note_failing(true));
        assert!(endpoint.is_resting());
        advance(REST).await;
        assert!(!endpoint.is_resting());

        let _probe = endpoint.lease();
        assert!(endpoint.is_resting());
        assert!(endpoint.note_failing(false));
        assert!(!endpoint.is_resting());
    }
}
