//! The composition: from an accepted socket to a session, in order.
//!
//! [`Site`] is what the configuration became, [`Gate`] what lives as long as the process.
//! `listener` accepts, `arrival` takes the PROXY protocol and TLS off, `connection` speaks HTTP,
//! `presence` is what each connection holds, `client` knows who asks, `request` tells the story of
//! one request, `tunnel` reaches the upstream and carries the session, `plain` passes on what is no
//! handshake, `ticket` gives tickets for handshakes to come, `failure` says what a client is told, `facts` what is told to those who run it, `explain` what would become of a handshake.

mod affinity;
mod arrival;
mod body;
mod client;
mod connection;
mod cors;
mod explain;
mod facts;
mod failure;
mod guard;
mod link;
mod listener;
mod passing;
mod plain;
mod presence;
mod rates;
mod request;
mod service;
mod site;
mod slots;
mod ticket;
mod tunnel;
mod turn;
mod upstream_request;
mod worker;

pub use crate::session::Revocation;
pub use explain::{Explanation, Question, QuestionError, Step, Verdict, explain};
pub use listener::accept;
pub use site::{AssembleError, Background, Site};
pub use worker::{Threads, Workers};

use crate::admission::auth::Departed;
use crate::config;
use crate::relay::{CloseOrder, GatewayEnd};
use crate::session::Registry;
use crate::telemetry::{AccessLog, Metrics};
use arc_swap::ArcSwap;
use slots::Slots;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use tracing::info;
use turn::Turn;

/// What lives as long as the process and is shared by all connections.
#[derive(Debug)]
pub struct Gate {
    site: ArcSwap<Site>,
    registry: Registry,
    workers: Workers,
    connections: Arc<Semaphore>,
    max_connections: u32,
    slots: Slots,
    /// One for each worker.
    turns: Box<[Turn]>,
    access_log: AccessLog,
    metrics: Metrics,
    leaving: AtomicBool,
    draining: watch::Sender<bool>,
}

impl Gate {
    /// Opens the gate: `site` serves, by `workers`, within the limits of `server`.
    pub fn new(site: Arc<Site>, workers: Workers, server: &config::Server, log: AccessLog) -> Self {
        let max_connections = u32::try_from(server.max_connections).unwrap_or(u32::MAX >> 4);
        Self {
            site: ArcSwap::new(site),
            registry: Registry::new(workers.len()),
            connections: Arc::new(Semaphore::new(max_connections as usize)),
            metrics: Metrics::new(workers.len()),
            turns: (0..workers.len()).map(|_| Turn::default()).collect(),
            workers,
            max_connections,
            slots: Slots::new(server.max_handshakes),
            access_log: log,
            leaving: AtomicBool::new(false),
            draining: watch::Sender::new(false),
        }
    }

    /// What serves now.
    pub fn site(&self) -> Arc<Site> {
        self.site.load_full()
    }

    /// The live sessions.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The threads that carry connections.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// The turn that handshakes on a worker take; indices wrap.
    fn turn_of(&self, worker: usize) -> &Turn {
        &self.turns[worker % self.turns.len()]
    }

    /// From now on probes say that new clients are not welcome; they are served all the same.
    pub fn announce_end(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether new clients are welcome.
    pub fn is_ready(&self) -> bool {
        !self.leaving.load(Ordering::Relaxed) && !self.is_draining()
    }

    /// From now on handshakes are answered 503, and every session is closed with 1001 at its next
    /// frame boundaries. Returns how many were live.
    pub fn start_draining(&self) -> usize {
        self.draining.send_replace(true);
        self.registry.close_all(&going_away())
    }

    /// The work that goes on behind handshakes and sessions, none of which ends by itself: names are
    /// resolved again, files followed, sessions closed when what they rest on is good no longer.
    pub fn background(self: &Arc<Self>) -> Vec<Background> {
        let gate = Arc::clone(self);
        let departed: Arc<Departed> = Arc::new(move |identity| {
            let identity = identity.to_string();
            gate.end_those_of(&Revocation::Identity(&identity), "someone who was removed");
        });
        let gate = Arc::clone(self);
        let revoked: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(move |id| {
            gate.end_those_of(&Revocation::Certificate(id), "a revoked certificate");
        });
        let mut work = self.site().background(&departed, &revoked);
        let gate = Arc::clone(self);
        work.push(Box::pin(async move { gate.registry.expire().await }));
        work
    }

    fn end_those_of(&self, revocation: &Revocation<'_>, whose: &str) {
        let sessions = self.revoke(revocation);
        if sessions > 0 {
            info!(?revocation, sessions, "the sessions of {whose} are closed");
        }
    }

    /// What `revocation` takes back holds no session any more: its sessions are closed with 3000. A token is
    /// kept out from now on; anybody else who comes again is judged anew. Returns how many sessions end.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> usize {
        if let Revocation::Token { method, id } = *revocation {
            self.site().refuse_token(method, id);
        }
        self.registry.revoke(revocation)
    }

    /// Whether [`Self::start_draining`] was called.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Ends a moment after a drain has begun: who has not asked for anything by then is not waited
    /// for. Cancel-safe.
    async fn closing_time(&self) {
        // An error would mean that the sender is gone, and that is this very gate.
        let _ = self
            .draining
            .subscribe()
            .wait_for(|is_draining| *is_draining)
            .await;
        sleep(DRAIN_GRACE).await;
    }

    /// Ends when no client connection is left, in whatever state. To be waited for once accepting
    /// has stopped. Cancel-safe.
    pub async fn emptied(&self) {
        // Each connection holds a permit to its very end, so all permits together are the proof.
        drop(self.connections.acquire_many(self.max_connections).await);
    }
}

/// How long a client that is about to ask may take, so that it is told 503 rather than nothing.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// RFC 6455 §7.4.1: 1008 is for what breaks a policy. A client that comes back on it at once would only
/// throw the next one out.
fn replaced() -> CloseOrder {
    CloseOrder {
        code: 1008,
        reason: "replaced by a newer session".into(),
        why: GatewayEnd::Replaced,
    }
}

/// A service that was asked again has taken back what it had said.
fn no_longer_admitted(code: u16) -> CloseOrder {
    CloseOrder {
        code,
        reason: "the session is no longer admitted".into(),
        why: GatewayEnd::Revoked,
    }
}

/// RFC 6455 §7.4.1: 1001 is "a server going down".
fn going_away() -> CloseOrder {
    CloseOrder {
        code: 1001,
        reason: "the server is going away".into(),
        why: GatewayEnd::Drain,
    }
}
