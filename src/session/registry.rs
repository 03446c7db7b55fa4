//! Every live session of the process, found, counted and closed.
//!
//! One shard a worker: a session is registered and forgotten by the thread that carries it, so a
//! lock is contended only while somebody looks at all of them.

use crate::relay::{CloseOrder, Control};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What is known of a session for as long as it lives.
#[derive(Debug)]
pub struct Session {
    /// The id of its handshake, as in the upstream's `X-Request-Id` and in the log.
    pub request_id: Box<str>,
    /// The name of the listener it came by.
    pub listener: Arc<str>,
    /// The client's address; `None` on a unix socket.
    pub client: Option<IpAddr>,
    /// Host as routed.
    pub host: Box<str>,
    /// Path as the client asked, without the query.
    pub path: Box<str>,
    /// The name of its route.
    pub route: Arc<str>,
    /// The name of its upstream.
    pub upstream: Arc<str>,
    /// The endpoint that serves it.
    pub endpoint: Box<str>,
    /// `method:name`, where the route asks for one.
    pub identity: Option<Box<str>>,
    /// What both ends agreed on.
    pub subprotocol: Option<Box<str>>,
    /// When the client was answered.
    pub opened: Instant,
    /// Ends it.
    pub control: Arc<Control>,
}

/// All live sessions.
#[derive(Debug)]
pub struct Registry {
    shards: Box<[Shard]>,
    next_id: AtomicU64,
}

type Shard = Mutex<HashMap<u64, Arc<Entry>>>;

/// A session with its place in the registry.
#[derive(Debug)]
struct Entry {
    session: Session,
    id: u64,
    worker: usize,
}

/// Keeps a session in the registry; dropping it forgets the session.
#[derive(Debug)]
pub struct Registered {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
}

impl Registry {
    /// An empty registry for so many workers, at least one.
    pub fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers.max(1)).map(|_| Shard::default()).collect(),
            next_id: AtomicU64::new(1),
        }
    }

    /// Adds a session carried by `worker`.
    pub fn register(self: &Arc<Self>, worker: usize, session: Session) -> Registered {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry {
            session,
            id,
            worker,
        });
        lock(self.shard_of(worker)).insert(id, entry.clone());
        Registered {
            registry: self.clone(),
            entry,
        }
    }

    fn shard_of(&self, worker: usize) -> &Shard {
        &self.shards[worker % self.shards.len()]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Orders every session that is live now to end. Returns how many.
    pub fn close_all(&self, order: &CloseOrder) -> usize {
        let live: Vec<_> = self
            .shards
            .iter()
            .flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>())
            .collect();
        for entry in &live {
            entry.session.control.close(order.clone());
        }
        live.len()
    }
}

impl Registered {
    /// The session itself.
    pub fn session(&self) -> &Session {
        &self.entry.session
    }

    /// Who carries it.
    pub fn worker(&self) -> usize {
        self.entry.worker
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(self.registry.shard_of(self.entry.worker)).remove(&self.entry.id);
    }
}

/// A panic elsewhere leaves the map whole: insert and remove are its only changes.
fn lock(shard: &Shard) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
