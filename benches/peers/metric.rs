//! What is measured.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Microseconds of a core that the proxy used for each message, or handshake.
    CpuUs,
    /// Messages, or handshakes, in a second.
    PerSecond,
    /// How long half of them took at most.
    P50Us,
    /// How long 99 of 100 took at most.
    P99Us,
    /// Memory of the proxy for each session that it holds.
    SessionBytes,
}

/// What one proxy did in one round.
pub(crate) type Sample = BTreeMap<Metric, f64>;
