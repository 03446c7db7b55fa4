//! How often an upstream failed, by a word for why: attempts after which another endpoint was asked
//! count as well, though no client ever hears of them.

use super::error::OpenError;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The failures of one upstream since the start. Each took a connection, or the waiting for one: a
/// lock beside that is nothing.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<BTreeMap<&'static str, u64>>);

impl Failures {
    pub(super) fn count(&self, error: &OpenError) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(error.label()).or_default() += 1;
    }

    /// Each reason that has occurred, with how often.
    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|(reason, count)| (*reason, *count))
            .collect()
    }
}
