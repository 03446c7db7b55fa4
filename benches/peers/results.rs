//! What was measured, where and with what; as it goes to a file and comes back.

use crate::metric::{Metric, Sample};
use crate::proxies::OWN;
use crate::statistics::{Estimate, estimate, median};
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
    /// Over all rounds.
    pub(crate) fn median(&self, proxy: &str, metric: Metric) -> Option<f64> {
        let values: Vec<f64> = self
            .rounds
            .iter()
            .filter_map(|round| value(round, proxy, metric))
            .collect();
        median(&values)
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
        let ratios: Vec<f64> = self
            .rounds
            .iter()
            .filter_map(|round| Some(value(round, OWN, metric)? / value(round, best_peer, metric)?))
            .collect();
        Some(Comparison {
            best_peer,
            ratio: estimate(&ratios)?,
        })
    }
}

fn value(round: &BTreeMap<String, Sample>, proxy: &str, metric: Metric) -> Option<f64> {
    round.get(proxy)?.get(&metric).copied()
}
