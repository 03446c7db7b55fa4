//! How many sessions may be open at the same time: a count, or a list by age, for each key.
//!
//! A session holds its [`Seats`] for as long as it lives, so what is kept here is bounded by the live
//! sessions. How one is closed is not known here: the gateway gives a hook for it.

use super::key::{Hashed, KeyHash};
use crate::config::{LimitKey, OnSessions, SessionLimit};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks among which keys are spread.
const SHARDS: usize = 16;

/// Ends one session; called once, from any thread.
pub type CloseHook = Box<dyn FnOnce() + Send>;

/// One of `sessions`.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) per: LimitKey,
    max: u32,
    book: Book,
}

#[derive(Debug)]
enum Book {
    /// For [`OnSessions::Refuse`]: how many there are.
    Counts(Shards<u32>),
    /// For [`OnSessions::CloseOldest`]: those that are open, and how each is closed.
    Ages { next: AtomicU64, open: Shards<Ages> },
}

/// Open sessions in the order in which they opened. An age is never given out twice: a session that
/// was closed keeps it until its end.
#[derive(Default)]
struct Ages(BTreeMap<u64, CloseHook>);

type Shards<T> = Box<[Mutex<Shard<T>>]>;
type Shard<T> = HashMap<KeyHash, T, Hashed>;

/// What a session takes up, seat by seat; empty without limits. Dropping it makes room.
#[derive(Debug, Default)]
pub struct Seats(Option<Box<Seat>>);

/// What a session takes up of one limit.
#[derive(Debug)]
pub(super) struct Seat {
    sessions: Arc<Sessions>,
    key: KeyHash,
    /// Its place among the open ones, once it is one of them.
    age: Option<u64>,
    /// Of the next limit.
    next: Seats,
}

impl Sessions {
    pub(super) fn new(limit: &SessionLimit) -> Self {
        Self {
            per: limit.per,
            max: limit.max,
            book: match limit.on_exceed {
                OnSessions::Refuse => Book::Counts(shards()),
                OnSessions::CloseOldest => Book::Ages {
                    next: AtomicU64::new(0),
                    open: shards(),
                },
            },
        }
    }

    /// A seat, if there is one. Where the oldest makes room there always is.
    pub(super) fn enter(self: &Arc<Self>, key: KeyHash) -> Option<Seat> {
        if let Book::Counts(shards) = &self.book {
            let mut counts = shard(shards, key);
            let count = counts.entry(key).or_insert(0);
            if *count >= self.max {
                return None;
            }
            *count += 1;
        }
        Some(Seat {
            sessions: Arc::clone(self),
            key,
            age: None,
            next: Seats::default(),
        })
    }

    /// Puts a session among the open ones; gives those that are too many, oldest first.
    fn open(&self, key: KeyHash, hook: CloseHook) -> Option<(u64, Vec<CloseHook>)> {
        let Book::Ages { next, open } = &self.book else {
            return None;
        };
        let mut shard = shard(open, key);
        let Ages(open) = shard.entry(key).or_default();
        // Under the lock, so that of one key the later is the younger.
        let age = next.fetch_add(1, Ordering::Relaxed);
        open.insert(age, hook);
        let mut surplus = Vec::new();
        while open.len() > self.max as usize {
            surplus.extend(open.pop_first().map(|(_, hook)| hook));
        }
        Some((age, surplus))
    }

    fn leave(&self, key: KeyHash, age: Option<u64>) {
        match (&self.book, age) {
            (Book::Counts(shards), _) => update(&mut shard(shards, key), key, |count| {
                *count = count.saturating_sub(1);
                *count == 0
            }),
            (Book::Ages { open, .. }, Some(age)) => {
                update(&mut shard(open, key), key, |Ages(open)| {
                    open.remove(&age);
                    open.is_empty()
                });
            }
            (Book::Ages { .. }, None) => {}
        }
    }
}

impl Seats {
    pub(super) fn new(seats: Vec<Seat>) -> Self {
        let before = |next, mut seat: Seat| {
            seat.next = next;
            Self(Some(Box::new(seat)))
        };
        seats.into_iter().rfold(Self::default(), before)
    }

    /// The session is open from now on, and `hook` makes what closes it. Sessions of which there is
    /// one too many by that are closed.
    pub fn opened(&mut self, hook: impl Fn() -> CloseHook) {
        let mut seats = self;
        while let Some(seat) = &mut seats.0 {
            if let Book::Ages { .. } = seat.sessions.book
                && let Some((age, surplus)) = seat.sessions.open(seat.key, hook())
            {
                seat.age = Some(age);
                surplus.into_iter().for_each(|close| close());
            }
            seats = &mut seat.next;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sessions.leave(self.key, self.age);
    }
}

impl fmt::Debug for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ages")
            .field("open", &self.0.len())
            .finish_non_exhaustive()
    }
}

fn shards<T>() -> Shards<T> {
    (0..SHARDS).map(|_| Mutex::default()).collect()
}

/// Each change is whole after its statement, so a panic elsewhere leaves nothing half done.
fn shard<T>(shards: &Shards<T>, key: KeyHash) -> MutexGuard<'_, Shard<T>> {
    shards[key.bucket(SHARDS)]
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Changes what there is for `key`, and forgets it where `change` says that nothing is left.
fn update<T>(shard: &mut Shard<T>, key: KeyHash, change: impl FnOnce(&mut T) -> bool) {
    let Entry::Occupied(mut entry) = shard.entry(key) else {
        return;
    };
    if change(entry.get_mut()) {
        entry.remove();
        if shard.capacity() > 64 && shard.capacity() / 4 > shard.len() {
            shard.shrink_to(shard.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection, prelude::*};
    use std::collections::HashSet;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    fn sessions(max: u32, on_exceed: OnSessions) -> Arc<Sessions> {
        Arc::new(Sessions::new(&SessionLimit {
            max,
            per: LimitKey::ClientIp,
            on_exceed,
        }))
    }

    fn key(address: &str) -> KeyHash {
        KeyHash::of(LimitKey::ClientIp, address.parse().ok(), None)
    }

    fn known(sessions: &Sessions) -> usize {
        match &sessions.book {
            Book::Counts(shards) => shards.iter().map(|one| one.lock().unwrap().len()).sum(),
            Book::Ages { open, .. } => open.iter().map(|one| one.lock().unwrap().len()).sum(),
        }
    }

    fn open(sessions: &Arc<Sessions>, key: KeyHash) -> (Seats, Arc<AtomicUsize>) {
        let closed = Arc::new(AtomicUsize::new(0));
        let mut seats = Seats::new(vec![sessions.enter(key).unwrap()]);
        seats.opened(|| {
            let closed = Arc::clone(&closed);
            Box::new(move || {
                closed.fetch_add(1, Ordering::Relaxed);
            })
        });
        (seats, closed)
    }

    #[test]
    fn no_more_than_so_many_of_a_key_enter() {
        let sessions = sessions(2, OnSessions::Refuse);
        let (one, other) = (key("10.0.0.1"), key("10.0.0.2"));
        let first = sessions.enter(one).unwrap();
        let _second = sessions.enter(one).unwrap();
        assert!(sessions.enter(one).is_none());
        let _of_another = sessions.enter(other).unwrap();
        drop(first);
        let _third = sessions.enter(one).unwrap();
        assert!(sessions.enter(one).is_none());
    }

    #[test]
    fn nothing_is_left_of_those_who_left() {
        for on_exceed in [OnSessions::Refuse, OnSessions::CloseOldest] {
            let sessions = sessions(2, on_exceed);
            let keys: Vec<_> = (0..1000_u32)
                .map(|number| key(&Ipv4Addr::from_bits(number).to_string()))
                .collect();
            let open: Vec<_> = keys.iter().map(|key| open(&sessions, *key)).collect();
            assert_eq!(known(&sessions), 1000);
            drop(open);
            assert_eq!(known(&sessions), 0);
        }
    }

    #[test]
    fn the_oldest_makes_room_once_the_new_one_is_open() {
        let sessions = sessions(2, OnSessions::CloseOldest);
        let key = key("10.0.0.1");
        let (_first, first) = open(&sessions, key);
        let (second_seats, second) = open(&sessions, key);
        let pending = sessions.enter(key).unwrap();
        drop(pending);
        assert_eq!(first.load(Ordering::Relaxed), 0, "it never opened");
        let (_third, third) = open(&sessions, key);
        assert_eq!(first.load(Ordering::Relaxed), 1);
        drop(second_seats);
        let (_fourth, fourth) = open(&sessions, key);
        for still_open in [second, third, fourth] {
            assert_eq!(still_open.load(Ordering::Relaxed), 0);
        }
        let _fifth = open(&sessions, key);
        assert_eq!(first.load(Ordering::Relaxed), 1, "once");
    }

    #[test]
    fn one_that_was_closed_takes_nobody_elses_place_when_it_ends() {
        let sessions = sessions(1, OnSessions::CloseOldest);
        let key = key("10.0.0.1");
        let (first_seats, _) = open(&sessions, key);
        let (second_seats, _) = open(&sessions, key);
        drop(second_seats);
        let (_third_seats, third) = open(&sessions, key);
        drop(first_seats);
        let _fourth = open(&sessions, key);
        assert_eq!(third.load(Ordering::Relaxed), 1, "it was still counted");
    }

    #[test]
    fn a_session_that_panics_leaves_its_place() {
        for on_exceed in [OnSessions::Refuse, OnSessions::CloseOldest] {
            let sessions = sessions(1, on_exceed);
            let (seats, _) = open(&sessions, key("10.0.0.1"));
            let session = std::thread::spawn(move || {
                let _seats = seats;
                std::panic::resume_unwind(Box::new(()));
            });
            assert!(session.join().is_err());
            assert_eq!(known(&sessions), 0);
        }
    }

    #[test]
    fn without_limits_a_session_holds_nothing() {
        assert_eq!(size_of::<Seats>(), 8);
        let mut seats = Seats::default();
        seats.opened(|| panic!("nobody asked for a hook"));
    }

    /// What happens to one of a few keys.
    #[derive(Debug, Clone)]
    enum Step {
        Enter(u32),
        /// The one that entered so long ago.
        Open(usize),
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..3_u32).prop_map(Step::Enter),
            (0..8_usize).prop_map(Step::Open),
            (0..8_usize).prop_map(Step::Leave),
        ];
        collection::vec(step, 0..200)
    }

    /// One that entered, and whether it has opened and was not closed.
    struct Present {
        number: u32,
        seats: Seats,
        is_open: Arc<AtomicBool>,
        has_opened: bool,
    }

    fn count(present: &[Present], number: u32, is_counted: impl Fn(&Present) -> bool) -> usize {
        let of_key = present.iter().filter(|one| one.number == number);
        of_key.filter(|one| is_counted(one)).count()
    }

    proptest! {
        #[test]
        fn the_count_is_right_in_any_order(steps in steps(), max in 1..4_u32) {
            let sessions = sessions(max, OnSessions::Refuse);
            let mut present: Vec<(u32, Seat)> = Vec::new();
            for step in steps {
                match step {
                    Step::Enter(number) => {
                        let seat = sessions.enter(key(&Ipv4Addr::from_bits(number).to_string()));
                        let there = present.iter().filter(|(other, _)| *other == number).count();
                        prop_assert_eq!(seat.is_some(), there < max as usize);
                        present.extend(seat.map(|seat| (number, seat)));
                    }
                    Step::Leave(at) if at < present.len() => drop(present.swap_remove(at)),
                    Step::Open(_) | Step::Leave(_) => {}
                }
                let keys: HashSet<_> = present.iter().map(|(number, _)| number).collect();
                prop_assert_eq!(known(&sessions), keys.len());
            }
            drop(present);
            prop_assert_eq!(known(&sessions), 0);
        }

        #[test]
        fn no_more_than_so_many_stay_open_in_any_order(steps in steps(), max in 1..4_u32) {
            let sessions = sessions(max, OnSessions::CloseOldest);
            let mut present: Vec<Present> = Vec::new();
            for step in steps {
                match step {
                    Step::Enter(number) => {
                        let key = key(&Ipv4Addr::from_bits(number).to_string());
                        present.push(Present {
                            number,
                            seats: Seats::new(vec![sessions.enter(key).unwrap()]),
                            is_open: Arc::default(),
                            has_opened: false,
                        });
                    }
                    Step::Open(at) if at < present.len() && !present[at].has_opened => {
                        let number = present[at].number;
                        let is_open = |one: &Present| one.is_open.load(Ordering::Relaxed);
                        let before = count(&present, number, is_open);
                        let one = &mut present[at];
                        one.has_opened = true;
                        one.is_open.store(true, Ordering::Relaxed);
                        let flag = Arc::clone(&one.is_open);
                        one.seats.opened(|| {
                            let flag = Arc::clone(&flag);
                            Box::new(move || flag.store(false, Ordering::Relaxed))
                        });
                        prop_assert!(is_open(&present[at]), "the newest stays");
                        let expected = (before + 1).min(max as usize);
                        prop_assert_eq!(count(&present, number, is_open), expected);
                    }
                    Step::Leave(at) if at < present.len() => drop(present.remove(at)),
                    Step::Open(_) | Step::Leave(_) => {}
                }
            }
            drop(present);
            prop_assert_eq!(known(&sessions), 0);
        }
    }
}
