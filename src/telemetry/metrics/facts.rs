//! What is not counted as it happens but looked up when somebody asks.

use super::Start;
use super::families as family;
use super::shard::{Shard, Value};
use crate::net::Usage;
use crate::relay::{Flow, Traffic};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How it stands at one moment.
#[derive(Debug)]
pub struct Facts {
    /// Whether new clients are welcome.
    pub is_ready: bool,
    /// Threads that carry connections.
    pub workers: usize,
    /// Client connections that are open.
    pub connections: usize,
    /// The most of them.
    pub max_connections: usize,
    /// Sections of the configuration, each with the number of its entries.
    pub entries: Vec<(&'static str, usize)>,
    /// When it was loaded.
    pub loaded: Instant,
    /// Files of certificates and revocation lists, each with the end of what ends first in it, in
    /// seconds since 1970.
    pub expiries: Vec<(Arc<str>, i64)>,
    /// Every route, and what its sessions have carried.
    pub routes: Vec<(Arc<str>, Traffic)>,
    /// Every upstream.
    pub upstreams: Vec<UpstreamFacts>,
    /// What the process takes of the machine, where the system tells.
    pub usage: Option<Usage>,
}

/// How it stands with an upstream.
#[derive(Debug)]
pub struct UpstreamFacts {
    /// Its name.
    pub name: Arc<str>,
    /// Those that take new sessions.
    pub endpoints: usize,
    /// What is on them.
    pub sessions: u32,
    /// How often an attempt failed, by a word for why.
    pub failures: Vec<(&'static str, u64)>,
}

impl Facts {
    pub(super) fn add_to(&self, page: &mut Shard, started: Start) {
        let version = [env!("CARGO_PKG_VERSION").into()];
        page.add(&family::BUILD, version, &Value::Whole(1));
        for (section, count) in &self.entries {
            page.add(&family::CONFIGURED, [(*section).into()], &whole(*count));
        }
        page.add(
            &family::CONFIG_LOADED,
            [],
            &Value::Real(started.date_of(self.loaded)),
        );
        page.add(&family::READY, [], &whole(usize::from(self.is_ready)));
        page.add(&family::WORKERS, [], &whole(self.workers));
        page.add(&family::CONNECTIONS, [], &whole(self.connections));
        page.add(&family::CONNECTIONS_LIMIT, [], &whole(self.max_connections));
        page.add(
            &family::STARTED,
            [],
            &Value::Real(started.date_of(started.instant)),
        );
        for (file, not_after) in &self.expiries {
            let end = Value::Real(*not_after as f64);
            page.add(&family::EXPIRY, [file.into()], &end);
        }
        for (route, traffic) in &self.routes {
            // A route without a session is there, with none.
            page.add(&family::SESSIONS, [route.into()], &Value::Whole(0));
            flow(page, route, "to_upstream", &traffic.to_upstream);
            flow(page, route, "to_client", &traffic.to_client);
        }
        for upstream in &self.upstreams {
            upstream.add_to(page);
        }
        if let Some(usage) = &self.usage {
            process(page, usage);
        }
    }
}

impl UpstreamFacts {
    fn add_to(&self, page: &mut Shard) {
        let name = &self.name;
        page.add(&family::ENDPOINTS, [name.into()], &whole(self.endpoints));
        let sessions = Value::Whole(self.sessions.into());
        page.add(&family::UPSTREAM_SESSIONS, [name.into()], &sessions);
        for (reason, count) in &self.failures {
            let labels = [name.into(), (*reason).into()];
            page.add(&family::UPSTREAM_FAILURES, labels, &Value::Whole(*count));
        }
    }
}

fn flow(page: &mut Shard, route: &Arc<str>, direction: &'static str, flow: &Flow) {
    let labels = || [route.into(), direction.into()];
    let totals = &flow.totals;
    page.add(&family::FRAMES, labels(), &Value::Whole(totals.frames));
    page.add(&family::MESSAGES, labels(), &Value::Whole(totals.messages));
    page.add(&family::PAYLOAD, labels(), &Value::Whole(totals.bytes));
    page.add(&family::THROTTLED, labels(), &seconds(flow.throttled));
    page.add(&family::BLOCKED, labels(), &seconds(flow.blocked));
}

fn process(page: &mut Shard, usage: &Usage) {
    page.add(&family::CPU, [], &seconds(usage.cpu));
    page.add(&family::RESIDENT, [], &Value::Whole(usage.resident));
    page.add(&family::VIRTUAL, [], &Value::Whole(usage.virtual_size));
    page.add(&family::OPEN_FILES, [], &Value::Whole(usage.open_files));
    if let Some(limit) = usage.open_files_limit {
        page.add(&family::OPEN_FILES_LIMIT, [], &Value::Whole(limit));
    }
}

fn whole(count: usize) -> Value {
    Value::Whole(count as u64)
}

fn seconds(time: Duration) -> Value {
    Value::Real(time.as_secs_f64())
}
