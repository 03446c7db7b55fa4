//! Where the buckets of a rate limiter are kept: a map with a bound, and a fixed crowd for those
//! who find it full.
//!
//! governor asks a store to measure a bucket and to replace what it measured. Here it may also only
//! look, or take what is not there; it is told which by the key.

use super::key::{Hashed, KeyHash};
use governor::nanos::Nanos;
use governor::state::direct::NotKeyed;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::state::{InMemoryState, StateStore};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bucket, and what is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    pub(super) key: KeyHash,
    pub(super) act: Act,
}

/// What is wanted of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Act {
    /// Take what is there.
    Take,
    /// Say whether it is there.
    Look,
    /// Take it, there or not.
    Charge,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    keys: DashMapStateStore<KeyHash, Hashed>,
    /// Buckets in `keys`: their number is asked for too often to be counted. Two threads that add
    /// the same one count it twice, until the next sweep.
    known: AtomicUsize,
    keys_max: usize,
    crowd: Box<[InMemoryState]>,
    /// How far below empty [`Act::Charge`] may go.
    debt: Nanos,
}

impl Store {
    /// Buckets that are shared once there is no room for more.
    pub(super) const CROWD: usize = 1024;

    /// Has at most `keys_max` buckets, and the crowd. `debt` is no more than what a whole bucket but
    /// one token takes to fill.
    pub(super) fn new(keys_max: usize, debt: Nanos) -> Self {
        Self {
            keys: DashMapStateStore::with_hasher(Hashed::default()),
            known: AtomicUsize::new(0),
            keys_max,
            crowd: (0..Self::CROWD).map(|_| InMemoryState::default()).collect(),
            debt,
        }
    }

    /// Whether the key has a bucket of its own, or gets one now if `is_wanted`.
    fn is_own(&self, key: &KeyHash, is_wanted: bool) -> bool {
        if self.keys.contains_key(key) {
            return true;
        }
        let has_room = self.known.load(Ordering::Relaxed) < self.keys_max;
        if has_room && is_wanted {
            self.known.fetch_add(1, Ordering::Relaxed);
        }
        has_room && is_wanted
    }

    fn is_full(&self) -> bool {
        self.known.load(Ordering::Relaxed) >= self.keys_max
    }
}

impl StateStore for Store {
    type Key = Cell;

    fn measure_and_replace<T, F, E>(&self, cell: &Cell, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Cell { key, act } = *cell;
        if self.is_own(&key, act != Act::Look) {
            return measure(&self.keys, &key, act, self.debt, f);
        }
        if self.is_full() {
            let shared = &self.crowd[key.bucket(self.crowd.len())];
            return measure(shared, &NotKeyed::NonKey, act, self.debt, f);
        }
        // A look at a bucket that nobody has touched.
        f(None).map(|(outcome, _)| outcome)
    }
}

fn measure<S, T, F, E>(store: &S, key: &S::Key, act: Act, debt: Nanos, f: F) -> Result<T, E>
where
    S: StateStore,
    F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
{
    match act {
        Act::Take => store.measure_and_replace(key, f),
        Act::Look => {
            // Nothing is replaced after an error.
            let looked: Result<Infallible, _> =
                store.measure_and_replace(key, |until| Err(f(until).map(|(outcome, _)| outcome)));
            match looked {
                Ok(never) => match never {},
                Err(outcome) => outcome,
            }
        }
        Act::Charge => store.measure_and_replace(key, |until| {
            f(until).or_else(|refusal| below_empty(until, debt, &f).ok_or(refusal))
        }),
    }
}

/// GCRA keeps the time at which a bucket will be full; an empty one that is judged as if it were
/// `debt` earlier has tokens to take.
fn below_empty<T, F, E>(until: Option<Nanos>, debt: Nanos, f: F) -> Option<(T, Nanos)>
where
    F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
{
    let earlier = until?.as_u64().checked_sub(debt.as_u64())?;
    let (outcome, next) = f(Some(earlier.into())).ok()?;
    Some((outcome, next + debt))
}

impl ShrinkableKeyedStateStore<Cell> for Store {
    fn retain_recent(&self, drop_below: Nanos) {
        self.keys.retain_recent(drop_below);
        self.known.store(self.keys.len(), Ordering::Relaxed);
    }

    fn shrink_to_fit(&self) {
        // A busy map keeps the room that it will need again.
        if self.keys.capacity() / 4 > self.keys.len() {
            self.keys.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
