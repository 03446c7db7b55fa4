//! Which endpoint is asked next: one that was not asked yet, and only so many.

use super::endpoint::{Endpoint, Lease};
use super::rendezvous::Affinity;
use super::roster::Roster;
use std::sync::Arc;

/// The attempts of one open.
///
/// No endpoint is asked twice: one that refused a moment ago refuses again, and the caller, who
/// has a client that can come back, is told sooner.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Empty, without heap, in the usual case of success at once.
    failed: Vec<Arc<Endpoint>>,
    left: u32,
    made: u32,
    affinity: Option<Affinity>,
}

impl Attempts {
    /// One, and `retries` more.
    pub(super) fn new(retries: u32, affinity: Option<Affinity>) -> Self {
        Self {
            failed: Vec::new(),
            left: retries.saturating_add(1),
            made: 0,
            affinity,
        }
    }

    /// A place on the endpoint to ask now; none when it is enough.
    pub(super) fn next(&mut self, roster: &Roster) -> Option<Lease> {
        self.left = self.left.checked_sub(1)?;
        let is_new =
            |endpoint: &Arc<Endpoint>| !self.failed.iter().any(|one| Arc::ptr_eq(one, endpoint));
        let lease = roster.lease(self.affinity, is_new)?;
        self.made += 1;
        Some(lease)
    }

    /// Notes that the endpoint behind `lease` is not to be asked again.
    pub(super) fn failed(&mut self, lease: &Lease) {
        self.failed.push(Arc::clone(lease.endpoint()));
    }

    /// How many were made.
    pub(super) fn made(&self) -> u32 {
        self.made
    }
}
