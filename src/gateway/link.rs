//! What the guard below hyper and the requests above it tell each other.
//!
//! hyper stands between them and hides what both must know: when an answer is whole with the client,
//! and that a client has hung up while it waits. All of it happens within one task, that of the
//! connection, so plain flags do: whoever sets one is polled together with whoever asks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How long a client may take nothing of what the gateway itself answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection's flags.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// A request has come, and its answer is not yet whole with the client.
    is_owed: AtomicBool,
    /// More of the answer is to come than hyper has.
    is_open: AtomicBool,
    /// The guard is to look whether the client hangs up.
    is_watched: AtomicBool,
    has_hung_up: AtomicBool,
    is_cut: AtomicBool,
    /// How long the client may take nothing, in milliseconds; 0 is any time.
    write_limit: AtomicU64,
}

impl Link {
    /// A request has come.
    pub(super) fn begin(&self) {
        self.is_owed.store(true, Ordering::Relaxed);
        self.is_open.store(true, Ordering::Relaxed);
        self.is_watched.store(false, Ordering::Relaxed);
        self.limit_writes(Some(PATIENCE));
    }

    /// From now on the client is not waited for longer than `write_limit`, and one that ends its
    /// sending is taken for gone: what the upstream does for it would be in vain.
    pub(super) fn watch(&self, write_limit: Option<Duration>) {
        self.limit_writes(write_limit);
        self.is_watched.store(true, Ordering::Relaxed);
    }

    fn limit_writes(&self, limit: Option<Duration>) {
        let limit = limit.map_or(0, |limit| limit.as_millis());
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        self.write_limit.store(limit, Ordering::Relaxed);
    }

    /// hyper has all of the answer.
    pub(super) fn close(&self) {
        self.is_open.store(false, Ordering::Relaxed);
    }

    /// All that was given to hyper is with the client: whether that is the whole answer.
    pub(super) fn flushed(&self) -> bool {
        let is_whole = !self.is_open.load(Ordering::Relaxed);
        if is_whole {
            self.is_owed.store(false, Ordering::Relaxed);
        }
        is_whole
    }

    /// Whether a client waits for an answer, or for the rest of one.
    pub(super) fn is_owed(&self) -> bool {
        self.is_owed.load(Ordering::Relaxed)
    }

    /// Whether the guard is to look.
    pub(super) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed) && self.is_owed() && !self.has_hung_up()
    }

    /// The guard has seen it.
    pub(super) fn hang_up(&self) {
        self.has_hung_up.store(true, Ordering::Relaxed);
    }

    /// Whether the client has hung up.
    pub(super) fn has_hung_up(&self) -> bool {
        self.has_hung_up.load(Ordering::Relaxed)
    }

    /// How long the client may take nothing.
    pub(super) fn write_limit(&self) -> Option<Duration> {
        match self.write_limit.load(Ordering::Relaxed) {
            0 => None,
            limit => Some(Duration::from_millis(limit)),
        }
    }

    /// The answer broke off, and a proper end of the connection would pass for its end.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is to end with a reset.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}
