//! What was measured, where and with what; as it goes to a file and comes back.

use crate::metric::{Metric, Sample};
use crate::proxies::OWN;
use crate::statistics::{Estimate, estimate, median};
use crate::workload::Workload;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) setting: Setting,
    pub(crate) proxies: Vec<Version>,
    /// Proxies that this machine does not have.
    pub(crate) missing: Vec<String>,
    pub(crate) measured: Vec<Measured>,
    /// Measurements that came to nothing, and why.
    pub(crate) failures: Vec<String>,
}

/// Where and how.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) system: String,
    /// Before the run, over one, five and fifteen minutes.
    pub(crate) load_average: String,
    pub(crate) commit: String,
    pub(crate) command: String,
    pub(crate) rounds: usize,
    pub(crate) sessions: usize,
    pub(crate) idle_sessions: usize,
    pub(crate) window_ms: u64,
    pub(crate) proxy_core: usize,
    pub(crate) load_core: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A workload; each round has what each proxy did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) workload: String,
    pub(crate) rounds: Vec<BTreeMap<String, Sample>>,
}

/// How wsgate compares with the best of the others.
pub(crate) struct Comparison<'a> {
    pub(crate) best_peer: &'a str,
    pub(crate) ratio: Estimate,
}

impl Results {
    pub(crate) fn of(&self, workload: &str) -> Option<&Measured> {
        let mut all = self.measured.iter();
        all.find(|measured| measured.workload == workload)
    }
}

impl Measured {
    pub(crate) fn new(workload: &Workload) -> Self {
        Self {
            workload: workload.name.clone(),
            rounds: Vec::new(),
        }
    }

    /// What one proxy did in one round.
    pub(crate) fn value(&self, round: usize, proxy: &str, metric: Metric) -> Option<f64> {
        self.rounds.get(round)?.get(proxy)?.get(&metric).copied()
    }

    /// In all rounds.
    pub(crate) fn values(&self, proxy: &str, metric: Metric) -> Vec<f64> {
        let rounds = 0..self.rounds.len();
        rounds
            .filter_map(|round| self.value(round, proxy, metric))
            .collect()
    }

    /// Over all rounds.
    pub(crate) fn median(&self, proxy: &str, metric: Metric) -> Option<f64> {
        median(&self.values(proxy, metric))
    }

    /// One proxy's by another's, within each round.
    pub(crate) fn ratio(&self, above: (&str, Metric), below: (&str, Metric)) -> Option<Estimate> {
        self.by_rounds(|round| {
            let above = self.value(round, above.0, above.1)?;
            Some(above / self.value(round, below.0, below.1)?)
        })
    }

    /// A proxy's by its own with another workload of the same round.
    pub(crate) fn against(&self, base: &Self, proxy: &str, metric: Metric) -> Option<Estimate> {
        self.by_rounds(|round| {
            let above = self.value(round, proxy, metric)?;
            Some(above / base.value(round, proxy, metric)?)
        })
    }

    fn by_rounds(&self, ratio: impl Fn(usize) -> Option<f64>) -> Option<Estimate> {
        let ratios: Vec<f64> = (0..self.rounds.len()).filter_map(ratio).collect();
        estimate(&ratios)
    }

    /// The best is the one with the lowest median; each ratio is of one round.
    pub(crate) fn compare<'a>(
        &self,
        proxies: &'a [Version],
        metric: Metric,
    ) -> Option<Comparison<'a>> {
        let best_peer = proxies
            .iter()
            .filter(|proxy| proxy.name != OWN)
            .filter_map(|proxy| Some((&*proxy.name, self.median(&proxy.name, metric)?)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(name, _)| name)?;
        Some(Comparison {
            best_peer,
            ratio: self.ratio((OWN, metric), (best_peer, metric))?,
        })
    }
}
