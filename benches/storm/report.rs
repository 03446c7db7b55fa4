//! The result, for people and for programs.

use crate::Arguments;
use crate::rig::percentile;
use crate::storm::{Storm, Tally};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// A stretch of time: what the live sessions saw, and what the gateway used.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
    pub(crate) memory: u64,
    /// How long each answer took, in order of length.
    pub(crate) seen: Vec<Duration>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Report {
    live: usize,
    clients: usize,
    phases: [Phase; 3],
    tally: Tally,
}

impl Report {
    pub(crate) fn new(arguments: &Arguments, phases: [Phase; 3], storm: &Storm) -> Self {
        let mut tally = storm.tally().clone();
        tally.in_after.sort_unstable();
        tally.handshakes.sort_unstable();
        Self {
            live: arguments.live,
            clients: arguments.clients,
            phases,
            tally,
        }
    }

    /// Clients that gave up.
    pub(crate) fn missing(&self) -> usize {
        self.clients - self.tally.in_after.len()
    }

    pub(crate) fn json(&self) -> Value {
        let phases = self.phases.iter().map(|phase| {
            let numbers = json!({
                "seconds": phase.took.as_secs_f64(),
                "gateway_cpu_seconds": phase.cpu.as_secs_f64(),
                "gateway_memory_bytes": phase.memory,
                "messages": phase.seen.len(),
                "answer_ms": spread(&phase.seen),
            });
            (phase.name.to_owned(), numbers)
        });
        json!({
            "live": self.live,
            "clients": self.clients,
            "phases": phases.collect::<serde_json::Map<_, _>>(),
            "in": self.tally.in_after.len(),
            "in_after_ms": spread(&self.tally.in_after),
            "handshake_ms": spread(&self.tally.handshakes),
            "refused": self.tally.refused,
            "failed": self.tally.failed,
            "most_attempts": self.tally.attempts,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} sessions talk, {} clients come at once\n",
            self.live, self.clients
        )?;
        writeln!(
            f,
            "{:8} {:>8} {:>10} {:>9} {:>9} {:>9} {:>9} {:>12} {:>10}",
            "", "took", "messages", "p50", "p90", "p99", "max", "gateway CPU", "memory"
        )?;
        for phase in &self.phases {
            writeln!(
                f,
                "{:8} {:>7.1}s {:>10} {:>9} {:>9} {:>9} {:>9} {:>11.1}s {:>6} MiB",
                phase.name,
                phase.took.as_secs_f64(),
                phase.seen.len(),
                ms(&phase.seen, 50),
                ms(&phase.seen, 90),
                ms(&phase.seen, 99),
                ms(&phase.seen, 100),
                phase.cpu.as_secs_f64(),
                phase.memory >> 20,
            )?;
        }
        let tally = &self.tally;
        writeln!(
            f,
            "\n{} are in: half after {}, 99 of 100 after {}, the last after {}; {} attempts at most",
            tally.in_after.len(),
            ms(&tally.in_after, 50),
            ms(&tally.in_after, 99),
            ms(&tally.in_after, 100),
            tally.attempts,
        )?;
        writeln!(
            f,
            "handshakes that succeeded took {} (p50), {} (p99)",
            ms(&tally.handshakes, 50),
            ms(&tally.handshakes, 99),
        )?;
        write!(
            f,
            "refused: {:?}; failed: {:?}",
            tally.refused, tally.failed
        )
    }
}

fn spread(sorted: &[Duration]) -> Value {
    let at = |percent| percentile(sorted, percent).map(|at| at.as_secs_f64() * 1000.0);
    json!({ "p50": at(50), "p90": at(90), "p99": at(99), "max": at(100) })
}

fn ms(sorted: &[Duration], percent: usize) -> String {
    percentile(sorted, percent).map_or_else(
        || "-".to_owned(),
        |at| format!("{:.1} ms", at.as_secs_f64() * 1000.0),
    )
}
