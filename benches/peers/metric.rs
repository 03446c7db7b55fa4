//! What is measured.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Microseconds of a core that the proxy used for each message, or handshake.
    CpuUs,
    /// The same of clients and server together.
    LoadCpuUs,
    /// Messages, or handshakes, in a second.
    PerSecond,
    /// How long half of them took at most.
    P50Us,
    /// How long 99 of 100 took at most.
    P99Us,
    /// How long the slowest took.
    MaxUs,
    /// Memory of the proxy for each session that it holds.
    SessionBytes,
    /// Of quiet sessions before the hostile one came, as `p50_us` and so on are beside it.
    AloneP50Us,
    AloneP99Us,
    AloneMaxUs,
    /// The part of a core that the proxy used before and beside the hostile session.
    AloneCpuShare,
    CpuShare,
    /// What the proxy's memory grew by at most while the hostile session was there.
    GrownBytes,
    /// What the hostile session's client sent and read, per second.
    HostileBytesPerSecond,
    /// How often the hostile session was ended; it came again each time.
    HostileEnded,
}

/// What one proxy did in one round.
pub(crate) type Sample = BTreeMap<Metric, f64>;
