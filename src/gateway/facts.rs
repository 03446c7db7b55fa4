//! What is told to those who run the gateway: how it stands with everything at one moment.

use super::{Gate, Site};
use crate::net::Usage;
use crate::relay::Traffic;
use crate::telemetry::metrics::{Facts, Format, UpstreamFacts};
use crate::upstream::Pool;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

impl Gate {
    /// The page of all metrics, as they are now.
    pub fn metrics_page(&self, format: Format) -> String {
        let site = self.site();
        let facts = Facts {
            is_ready: self.is_ready(),
            workers: self.workers.len(),
            connections: self.workers.connections(),
            max_connections: self.max_connections as usize,
            entries: site.entries(),
            loaded: site.loaded,
            expiries: expiries(&site),
            routes: routes(&site),
            upstreams: site.pools().map(|pool| upstream(pool)).collect(),
            usage: Usage::now(),
        };
        self.metrics.page(&facts, format)
    }
}

/// A file may hold several, and be named twice.
fn expiries(site: &Site) -> Vec<(Arc<str>, i64)> {
    let mut ends: BTreeMap<PathBuf, i64> = BTreeMap::new();
    for expiry in site.expiries() {
        let end = ends.entry(expiry.file).or_insert(i64::MAX);
        *end = expiry.not_after.min(*end);
    }
    let ends = ends.into_iter();
    ends.map(|(file, end)| (file.to_string_lossy().into(), end))
        .collect()
}

fn routes(site: &Site) -> Vec<(Arc<str>, Traffic)> {
    let services = site.services();
    services
        .map(|service| (service.name.clone(), service.courses.sum()))
        .collect()
}

fn upstream(pool: &Pool) -> UpstreamFacts {
    UpstreamFacts {
        name: pool.name().into(),
        endpoints: pool.endpoints(),
        sessions: pool.sessions(),
        failures: pool.failures(),
    }
}
