//! A client connection's part of what there may be at a time, from its accept to its very end.

use super::Gate;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// One of the connections that the process may have, and of those that a worker has; dropping it makes
/// room. Whoever holds it has the gate by it, as every session would pay for another handle.
#[derive(Debug)]
pub(super) struct Presence {
    gate: Arc<Gate>,
    worker: u32,
}

impl Presence {
    /// On the worker with the fewest, by a permit of the gate's own.
    pub(super) fn new(gate: Arc<Gate>, permit: OwnedSemaphorePermit) -> Self {
        // It is given back below.
        permit.forget();
        let worker = gate.workers.enter() as u32;
        Self { gate, worker }
    }

    pub(super) const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Which worker.
    pub(super) const fn worker(&self) -> usize {
        self.worker as usize
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.gate.workers.leave(self.worker());
        self.gate.connections.add_permits(1);
    }
}
