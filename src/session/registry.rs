//! Every live session of the process, found, counted and closed.
//!
//! One shard a worker: a session is registered and forgotten by the thread that carries it, so a
//! lock is contended only while somebody looks at all of them.

use super::record::{Position, Session};
use crate::relay::CloseOrder;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All live sessions.
#[derive(Debug)]
pub struct Registry {
    shards: Box<[Mutex<Shard>]>,
}

/// Those of one worker.
#[derive(Debug, Default)]
struct Shard {
    all: Vec<Option<Arc<Session>>>,
    /// Where there is none.
    vacant: Vec<u32>,
}

impl Registry {
    /// An empty registry for so many workers, at least one.
    pub fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers.max(1)).map(|_| Mutex::default()).collect(),
        }
    }

    /// Adds a session carried by `worker`; until it is forgotten.
    pub fn register(&self, worker: usize, mut session: Session) -> Arc<Session> {
        let shard = worker % self.shards.len();
        let mut members = lock(&self.shards[shard]);
        session.position = Position {
            shard: shard as u32,
            index: members.take_place(),
        };
        let session = Arc::new(session);
        members.all[session.position.index as usize] = Some(session.clone());
        session
    }

    /// Takes a session out, if it is one of these.
    pub fn forget(&self, session: &Arc<Session>) {
        if let Some(shard) = self.shards.get(session.position.shard as usize) {
            lock(shard).forget(session);
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
            .flat_map(|shard| {
                lock(shard)
                    .all
                    .iter()
                    .flatten()
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect();
        for session in &live {
            session.control().close(order.clone());
        }
        live.len()
    }
}

impl Shard {
    fn take_place(&mut self) -> u32 {
        self.vacant.pop().unwrap_or_else(|| {
            self.all.push(None);
            (self.all.len() - 1) as u32
        })
    }

    fn forget(&mut self, session: &Arc<Session>) {
        let index = session.position.index;
        let Some(place) = self.all.get_mut(index as usize) else {
            return;
        };
        if place
            .take_if(|member| Arc::ptr_eq(member, session))
            .is_some()
        {
            self.vacant.push(index);
        }
    }

    const fn len(&self) -> usize {
        self.all.len() - self.vacant.len()
    }
}

/// A panic elsewhere leaves a shard as it was: nothing in here panics halfway.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Names, Record};
    use super::*;

    fn session() -> Session {
        let names = Names {
            listener: "public".into(),
            route: "chat".into(),
            upstream: "back".into(),
        };
        Session::new(&Record {
            request_id: "r1",
            names: &Arc::new(names),
            client: None,
            host: "a.example",
            path: "/",
            endpoint: "10.0.0.9:80",
            identity: None,
            subprotocol: None,
        })
    }

    #[test]
    fn who_is_forgotten_makes_room_once_and_for_all() {
        let registry = Registry::new(2);
        let sessions: Vec<_> = (0..4)
            .map(|at| registry.register(at % 2, session()))
            .collect();
        assert_eq!(registry.len(), 4);
        registry.forget(&sessions[1]);
        registry.forget(&sessions[1]);
        assert_eq!(registry.len(), 3);
        let newer = registry.register(1, session());
        assert_eq!(newer.position, sessions[1].position);
        // It is not the one that sits there now.
        registry.forget(&sessions[1]);
        assert_eq!(registry.len(), 4);
        for session in [&sessions[0], &newer, &sessions[2], &sessions[3]] {
            registry.forget(session);
        }
        assert!(registry.is_empty());
    }

    #[test]
    fn an_order_reaches_every_worker() {
        let registry = Registry::new(3);
        let sessions: Vec<_> = (0..5)
            .map(|worker| registry.register(worker, session()))
            .collect();
        registry.forget(&sessions[4]);
        let order = CloseOrder {
            code: 1001,
            reason: "go".into(),
            why: crate::relay::GatewayEnd::Drain,
        };
        assert_eq!(registry.close_all(&order), 4);
        let is_ordered = |session: &Arc<Session>| !session.control().close(order.clone());
        let ordered: Vec<_> = sessions.iter().map(is_ordered).collect();
        assert_eq!(ordered, [true, true, true, true, false]);
    }
}
