//! One place that serves, and the count of what it serves now.

use super::requests::Idle;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A place that takes sessions. It lives as long as a pool names it or a session is on it.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Where it is.
    pub(super) place: Place,
    /// For logs.
    pub(super) name: String,
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
            name,
            authority,
            weight: weight.max(1),
            entry,
            idle: Arc::default(),
            sessions: AtomicU32::new(0),
            failing: AtomicBool::new(false),
        }
    }

    /// Handshakes and sessions that are on it now.
    pub(super) fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Counts one more.
    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        Lease {
            endpoint: Arc::clone(self),
        }
    }

    /// Notes how the last attempt went, and says whether that is news.
    pub(super) fn note_failing(&self, failing: bool) -> bool {
        // The plain load keeps the usual case free of writes to a shared line.
        self.failing.load(Ordering::Relaxed) != failing
            && self.failing.swap(failing, Ordering::Relaxed) != failing
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
