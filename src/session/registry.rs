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
    pub request_id: String,
    /// The name of the listener it came by.
    pub listener: Arc<str>,
    /// The client's address; `None` on a unix socket.
    pub client: Option<IpAddr>,
    /// Host as routed.
    pub host: String,
    /// Path as the client asked, without the query.
    pub path: String,
    /// The name of its route.
    pub route: Arc<str>,
    /// The name of its upstream.
    pub upstream: Arc<str>,
    /// The endpoint that serves it.
    pub endpoint: String,
    /// `method:name`, where the route asks for one.
    pub identity: Option<String>,
    /// What both ends agreed on.
    pub subprotocol: Option<String>,
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

type Shard = Mutex<HashMap<u64, Arc<Session>>>;

/// Keeps a session in the registry; dropping it forgets the session.
#[derive(Debug)]
pub struct Registered {
    registry: Arc<Registry>,
    shard: usize,
    id: u64,
    session: Arc<Session>,
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
        let shard = worker % self.shards.len();
        let session = Arc::new(session);
        lock(&self.shards[shard]).insert(id, session.clone());
        Registered {
            registry: self.clone(),
            shard,
            id,
            session,
        }
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
        for session in &live {
            session.control.close(order.clone());
        }
        live.len()
    }
}

impl Registered {
    /// The session itself.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.registry.shards[self.shard]).remove(&self.id);
    }
}

/// A panic elsewhere leaves the map whole: insert and remove are its only changes.
fn lock(shard: &Shard) -> MutexGuard<'_, HashMap<u64, Arc<Session>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
