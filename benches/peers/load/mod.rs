//! The clients, a process of their own on the core that the proxies don't have.
//!
//! It is told its job by an argument, counts what came back within a window, asks what the proxy used
//! meanwhile, and tells both on standard output.

mod handshakes;
mod idle;
mod link;
mod messages;

pub(crate) use link::Door;

use crate::clock::now;
use crate::metric::{Metric, Sample};
use crate::processes;
use crate::rig::{Failure, percentile};
use crate::workload::Load;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What to do, and to whom.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) address: SocketAddr,
    /// Of the server, in DER, where it is to be TLS.
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) load: Load,
    pub(crate) sessions: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// The proxy's processes.
    pub(crate) watched: Vec<u32>,
}

/// The word that all idle sessions are there.
pub(crate) const READY: &str = "ready";

/// Does a job and tells the result.
#[expect(clippy::print_stdout, reason = "the result")]
pub(crate) fn run(job: &str) -> Result<(), Failure> {
    let job: Job = serde_json::from_str(job)?;
    let door = Door::new(job.address, job.certificate.as_deref())?;
    let sample = match job.load {
        Load::Messages { .. } => messages::measure(&job, &door)?,
        Load::Handshakes => handshakes::measure(&job, &door)?,
        Load::Idle => return idle::hold(&job, &door),
    };
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

/// The time in which counts count.
struct Window {
    began: Instant,
    cpu: Duration,
}

impl Window {
    fn open(job: &Job) -> Result<Self, Failure> {
        Ok(Self {
            cpu: processes::cpu(&job.watched)?,
            began: now(),
        })
    }

    /// `count` came back, the beginnings of more among them; `latencies`, in nanoseconds, are of the whole ones.
    fn close(self, job: &Job, count: f64, mut latencies: Vec<u64>) -> Result<Sample, Failure> {
        let took = self.began.elapsed().as_secs_f64();
        let cpu = processes::cpu(&job.watched)?.saturating_sub(self.cpu);
        if count == 0.0 {
            return Err("nothing came back within the window".into());
        }
        latencies.sort_unstable();
        let us = |percent| percentile(&latencies, percent).map(|ns| ns as f64 / 1000.0);
        let mut sample = Sample::from([
            (Metric::CpuUs, cpu.as_secs_f64() * 1e6 / count),
            (Metric::PerSecond, count / took),
        ]);
        sample.extend(us(50).map(|us| (Metric::P50Us, us)));
        sample.extend(us(99).map(|us| (Metric::P99Us, us)));
        Ok(sample)
    }
}
