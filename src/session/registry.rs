//! Every live session of the process, found, counted and closed.
//!
//! One shard a worker: a session is registered and forgotten by the thread that carries it, so a
//! lock is contended only while somebody looks at all of them.

use super::grounds::{Expiry, Revocation};
use super::missed::Latest;
use super::record::Session;
use crate::relay::{CloseOrder, GatewayEnd};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The close code of a session whose credential was taken back: of those that no RFC has, the one that
/// IANA keeps for "unauthorized".
const CREDENTIAL_GONE: u16 = 3000;
/// How many sessions of a worker are taken out of its list while it waits.
const EXPIRED_AT_ONCE: usize = 256;

/// All live sessions.
#[derive(Debug)]
pub struct Registry {
    shards: Box<[Mutex<Shard>]>,
    /// Told when a session expires before all others of its worker.
    sooner: Notify,
    revoked: Latest,
}

/// Those of one worker.
#[derive(Debug, Default)]
struct Shard {
    all: Vec<Option<Arc<Session>>>,
    /// Where there is none.
    vacant: Vec<u32>,
    /// The close codes of those that expire, by when and where.
    expiring: BTreeMap<(Instant, u32), u16>,
}

impl Registry {
    /// An empty registry for so many workers, at least one.
    pub fn new(workers: usize) -> Self {
        let shards = workers.clamp(1, usize::from(u16::MAX));
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            sooner: Notify::new(),
            revoked: Latest::default(),
        }
    }

    /// Adds a session carried by `worker`; until it is forgotten. What was taken back since then, when
    /// what it rests on was found out, ends it.
    pub fn register(&self, worker: usize, mut session: Session, proven: Instant) -> Arc<Session> {
        let shard = worker % self.shards.len();
        let mut members = lock(&self.shards[shard]);
        session.shard = shard as u16;
        session.index = members.take_place();
        let session = Arc::new(session);
        members.all[session.index as usize] = Some(session.clone());
        if let Some(expiry) = session.expiry()
            && members.expires(session.index, expiry)
        {
            self.sooner.notify_one();
        }
        drop(members);
        // It is in the list by now: whatever is taken back from here on finds it there.
        if self.revoked.take_back(&session, proven) {
            session.control().close(revoked());
        }
        session
    }

    /// Takes a session out, if it is one of these.
    pub fn forget(&self, session: &Arc<Session>) {
        if let Some(shard) = self.shards.get(usize::from(session.shard)) {
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

    /// Orders every session that is live now to end. Returns how many had no order yet.
    pub fn close_all(&self, order: &CloseOrder) -> usize {
        self.close_those(order, |_| true)
    }

    /// Orders every session that rests on what is taken back to end with 3000, those included whose
    /// handshake is under way. Returns how many live ones had no order yet.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> usize {
        self.revoked.add(revocation, Instant::now());
        let is_meant = |session: &Session| session.is_revoked_by(revocation);
        self.close_those(&revoked(), is_meant)
    }

    /// Never ends: orders each session to end when what it rests on does. Cancel-safe.
    pub async fn expire(&self) {
        loop {
            let sooner = self.sooner.notified();
            match self.expire_until(Instant::now()) {
                None => sooner.await,
                Some(next) => tokio::select! {
                    () = sooner => {}
                    () = sleep_until(next) => {}
                },
            }
        }
    }

    /// Orders those to end whose time has come, and says when the next will.
    fn expire_until(&self, now: Instant) -> Option<Instant> {
        let next = self.shards.iter().filter_map(|shard| {
            loop {
                let due = lock(shard).due(now);
                match due {
                    Due::Now(sessions) => sessions.iter().for_each(expired),
                    Due::Later(next) => return next,
                }
            }
        });
        next.min()
    }

    /// Counts those that had no order yet.
    fn close_those(&self, order: &CloseOrder, is_meant: impl Fn(&Session) -> bool) -> usize {
        let mut meant = Vec::new();
        for shard in &self.shards {
            let members = lock(shard);
            let live = members.all.iter().flatten();
            meant.extend(live.filter(|session| is_meant(session)).cloned());
        }
        let closed = meant.iter();
        closed
            .filter(|session| session.control().close(order.clone()))
            .count()
    }
}

/// What a worker has to end.
enum Due {
    /// These, and perhaps more.
    Now(Vec<(Arc<Session>, u16)>),
    /// Nothing before then, if anything at all.
    Later(Option<Instant>),
}

impl Shard {
    fn take_place(&mut self) -> u32 {
        self.vacant.pop().unwrap_or_else(|| {
            self.all.push(None);
            (self.all.len() - 1) as u32
        })
    }

    /// Whether it is the first to.
    fn expires(&mut self, index: u32, expiry: Expiry) -> bool {
        let key = (expiry.at, index);
        self.expiring.insert(key, expiry.code);
        self.expiring.first_key_value().map(|(first, _)| *first) == Some(key)
    }

    /// Takes out those whose time has come, some at a time.
    fn due(&mut self, now: Instant) -> Due {
        let mut due = Vec::new();
        while due.len() < EXPIRED_AT_ONCE
            && let Some(first) = self.expiring.first_entry()
            && first.key().0 <= now
        {
            let ((_, index), code) = first.remove_entry();
            let session = self.all.get(index as usize).and_then(Option::as_ref);
            due.extend(session.map(|session| (session.clone(), code)));
        }
        match due.is_empty() {
            false => Due::Now(due),
            true => Due::Later(self.expiring.first_key_value().map(|(first, _)| first.0)),
        }
    }

    fn forget(&mut self, session: &Arc<Session>) {
        let index = session.index;
        let Some(place) = self.all.get_mut(index as usize) else {
            return;
        };
        if place
            .take_if(|member| Arc::ptr_eq(member, session))
            .is_some()
        {
            self.vacant.push(index);
            if let Some(expiry) = session.expiry() {
                self.expiring.remove(&(expiry.at, index));
            }
        }
    }

    const fn len(&self) -> usize {
        self.all.len() - self.vacant.len()
    }
}

fn revoked() -> CloseOrder {
    CloseOrder {
        code: CREDENTIAL_GONE,
        reason: "the credential was revoked".into(),
        why: GatewayEnd::Revoked,
    }
}

fn expired((session, code): &(Arc<Session>, u16)) {
    session.control().close(CloseOrder {
        code: *code,
        reason: "the credential has expired".into(),
        why: GatewayEnd::Expired,
    });
}

/// A panic elsewhere leaves a shard as it was: nothing in here panics halfway.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Evidence, Grounds, Names, Record};
    use super::*;
    use std::time::Duration;

    fn now() -> Instant {
        Instant::now()
    }

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
            .map(|at| registry.register(at % 2, session(), now()))
            .collect();
        assert_eq!(registry.len(), 4);
        registry.forget(&sessions[1]);
        registry.forget(&sessions[1]);
        assert_eq!(registry.len(), 3);
        let newer = registry.register(1, session(), now());
        assert_eq!(newer.index, sessions[1].index);
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
            .map(|worker| registry.register(worker, session(), now()))
            .collect();
        registry.forget(&sessions[4]);
        let order = CloseOrder {
            code: 1001,
            reason: "go".into(),
            why: GatewayEnd::Drain,
        };
        assert_eq!(registry.close_all(&order), 4);
        let is_ordered = |session: &Arc<Session>| !session.control().close(order.clone());
        let ordered: Vec<_> = sessions.iter().map(is_ordered).collect();
        assert_eq!(ordered, [true, true, true, true, false]);
    }

    /// Which of `sessions` have no order yet.
    fn at_rest(sessions: &[Arc<Session>]) -> Vec<bool> {
        let order = CloseOrder {
            code: 1000,
            reason: "".into(),
            why: GatewayEnd::Administrator,
        };
        let has_none = |session: &Arc<Session>| session.control().close(order.clone());
        sessions.iter().map(has_none).collect()
    }

    fn expiring(at: Instant) -> Session {
        let expiry = Expiry { at, code: 3000 };
        session().resting_on(Grounds::new(Some(expiry), Box::default(), None))
    }

    #[tokio::test(start_paused = true)]
    async fn each_session_ends_with_what_it_rests_on() {
        let registry = Registry::new(2);
        let second = |number| Instant::now() + Duration::from_secs(number);
        let ends = [second(1), second(2), second(1), second(3)];
        let sessions: Vec<_> = (0..4)
            .map(|at| registry.register(at, expiring(ends[at]), now()))
            .collect();
        registry.forget(&sessions[3]);
        assert_eq!(registry.expire_until(second(0)), Some(ends[0]));
        assert_eq!(registry.expire_until(ends[0]), Some(ends[1]));
        assert_eq!(at_rest(&sessions), [false, true, false, true]);
        assert_eq!(registry.expire_until(ends[3]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_expire_at_once_all_end() {
        let registry = Registry::new(1);
        let end = Instant::now();
        let sessions: Vec<_> = (0..EXPIRED_AT_ONCE * 2 + 1)
            .map(|_| registry.register(0, expiring(end), now()))
            .collect();
        assert_eq!(registry.expire_until(end), None);
        assert!(!at_rest(&sessions).contains(&true));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_expires_sooner_is_not_waited_past() {
        let registry = Registry::new(1);
        let at = |number| Instant::now() + Duration::from_secs(number);
        let far = registry.register(0, expiring(at(60)), now());
        let ended = async {
            let near = registry.register(0, expiring(at(1)), now());
            tokio::time::sleep(Duration::from_secs(2)).await;
            at_rest(&[near, far])
        };
        tokio::select! {
            biased;
            () = registry.expire() => unreachable!(),
            at_rest = ended => assert_eq!(at_rest, [false, true]),
        }
    }

    #[test]
    fn what_is_taken_back_ends_who_rests_on_it_and_nobody_else() {
        let evidence = |method: &str, name: &str, id: Option<&str>| Evidence {
            method: method.into(),
            identity: format!("{method}:{name}").into(),
            token_id: id.map(Into::into),
        };
        let rests_on =
            |proofs: &[Evidence]| session().resting_on(Grounds::new(None, proofs.into(), None));
        let all = || {
            [
                rests_on(&[evidence("people", "ann", Some("1"))]),
                rests_on(&[
                    evidence("people", "bob", Some("2")),
                    evidence("mesh", "a", Some("1")),
                ]),
                rests_on(&[evidence("devices", "ann", None)]),
                session(),
            ]
        };
        let token = |method, id| Revocation::Token { method, id };
        for (revocation, expected) in [
            (
                Revocation::Identity("people:ann"),
                [true, false, false, false],
            ),
            (Revocation::Identity("mesh:a"), [false, true, false, false]),
            (token("people", "1"), [true, false, false, false]),
            (token("mesh", "1"), [false, true, false, false]),
            (token("devices", "1"), [false; 4]),
            (Revocation::Session("r1"), [true; 4]),
            (Revocation::Session("r"), [false; 4]),
        ] {
            let registry = Registry::new(1);
            let sessions = all().map(|one| registry.register(0, one, now()));
            let count = expected.iter().filter(|ended| **ended).count();
            assert_eq!(registry.revoke(&revocation), count, "{revocation:?}");
            let ended: Vec<_> = at_rest(&sessions).iter().map(|rests| !rests).collect();
            assert_eq!(ended, expected, "{revocation:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_missed_a_revocation_ends_by_it() {
        let registry = Registry::new(1);
        let with = |name: &str| {
            let proof = Evidence {
                method: "people".into(),
                identity: format!("people:{name}").into(),
                token_id: None,
            };
            session().resting_on(Grounds::new(None, [proof].into(), None))
        };
        let before = now();
        tokio::time::advance(Duration::from_secs(1)).await;
        registry.revoke(&Revocation::Identity("people:ann"));
        tokio::time::advance(Duration::from_secs(1)).await;
        let sessions = [("ann", before), ("bob", before), ("ann", now())]
            .map(|(name, began)| registry.register(0, with(name), began));
        assert_eq!(at_rest(&sessions), [false, true, true]);
    }
}
