//! The time in which counts count.

use super::Job;
use crate::clock::now;
use crate::metric::{Metric, Sample};
use crate::processes;
use crate::rig::{Failure, percentile};
use std::time::{Duration, Instant};

pub(super) struct Window {
    began: Instant,
    cpu: Duration,
    load_cpu: Duration,
}

impl Window {
    pub(super) fn open(job: &Job) -> Result<Self, Failure> {
        Ok(Self {
            load_cpu: load_cpu(job)?,
            cpu: processes::cpu(&job.watched)?,
            began: now(),
        })
    }

    /// `count` came back, the beginnings of more among them; `latencies`, in nanoseconds, are of the
    /// whole ones, where there are any.
    pub(super) fn close(
        self,
        job: &Job,
        count: f64,
        latencies: Vec<u64>,
    ) -> Result<Sample, Failure> {
        let took = self.began.elapsed().as_secs_f64();
        let cpu = self.cpu(job)?;
        let load_cpu = load_cpu(job)?.saturating_sub(self.load_cpu);
        if count == 0.0 {
            return Err("nothing came back within the window".into());
        }
        let mut sample = spread(latencies);
        sample.extend([
            (Metric::CpuUs, cpu.as_secs_f64() * 1e6 / count),
            (Metric::LoadCpuUs, load_cpu.as_secs_f64() * 1e6 / count),
            (Metric::PerSecond, count / took),
        ]);
        Ok(sample)
    }

    /// What part of a core the proxy has used so far.
    pub(super) fn share(&self, job: &Job) -> Result<f64, Failure> {
        let took = self.began.elapsed().as_secs_f64();
        Ok(self.cpu(job)?.as_secs_f64() / took)
    }

    fn cpu(&self, job: &Job) -> Result<Duration, Failure> {
        Ok(processes::cpu(&job.watched)?.saturating_sub(self.cpu))
    }
}

/// Of clients and server.
fn load_cpu(job: &Job) -> Result<Duration, Failure> {
    processes::cpu(&[std::process::id(), job.server])
}

/// In microseconds, of nanoseconds in any order.
pub(super) fn spread(mut latencies: Vec<u64>) -> Sample {
    latencies.sort_unstable();
    let percents = [
        (Metric::P50Us, 50),
        (Metric::P99Us, 99),
        (Metric::MaxUs, 100),
    ];
    percents
        .into_iter()
        .filter_map(|(metric, percent)| {
            let ns = percentile(&latencies, percent)?;
            Some((metric, ns as f64 / 1000.0))
        })
        .collect()
}
