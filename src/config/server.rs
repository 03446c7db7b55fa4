//! `[server]`: what holds for the whole process.

use std::time::Duration;

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Threads that carry sessions.
    pub workers: Workers,
    /// Open client connections at most, over all listeners; accepting pauses beyond it.
    pub max_connections: usize,
    /// How long sessions may take to end after SIGTERM.
    pub drain_timeout: Duration,
}

/// `workers`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One per core that the process may use; a cgroup quota counts.
    Auto,
    /// So many, at least one.
    Fixed(usize),
}
