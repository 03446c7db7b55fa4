//! Tokens that were taken back before their time.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are remembered; of more, the first that was taken back is forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// Those of one method.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    /// Whether there is any, so that nobody else's handshake takes the lock.
    is_any: AtomicBool,
    ids: Mutex<Ids>,
}

#[derive(Debug, Default)]
struct Ids {
    known: HashSet<Box<str>>,
    /// From the first that was taken back to the last.
    order: VecDeque<Box<str>>,
}

impl Revoked {
    pub(super) fn add(&self, id: &str) {
        self.lock().add(id, REMEMBERED_MAX);
        self.is_any.store(true, Ordering::Release);
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.is_any.load(Ordering::Acquire) && self.lock().known.contains(id)
    }

    /// What is guarded is whole after each statement.
    fn lock(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn add(&mut self, id: &str, max: usize) {
        if !self.known.insert(id.into()) {
            return;
        }
        self.order.push_back(id.into());
        if self.order.len() > max
            && let Some(first) = self.order.pop_front()
        {
            self.known.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_is_known_and_nothing_else() {
        let revoked = Revoked::default();
        assert!(!revoked.has("1"));
        revoked.add("1");
        assert!(revoked.has("1"));
        assert!(!revoked.has("2"));
    }

    #[test]
    fn memory_for_them_is_bounded() {
        let mut ids = Ids::default();
        for id in ["1", "2", "1", "3", "4"] {
            ids.add(id, 3);
        }
        assert_eq!(ids.known.len(), 3);
        assert_eq!(ids.order, ["2", "3", "4"].map(Box::from));
    }
}
