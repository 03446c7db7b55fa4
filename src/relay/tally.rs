//! Live counts of what passes, for whoever looks from outside while the sessions go on.
//!
//! One cell for each route and worker, and its thread alone writes it: an addition is a plain load and
//! a plain store, no locked instruction, made once for all that is written together, before it is.
//! Readers may see one number a moment before another.

use super::deadlines::Tick;
use super::outcome::Totals;
use super::rules::Rules;
use super::session::Way;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the sessions of one route on one worker share.
#[derive(Debug)]
pub struct Course {
    /// The rules of the route.
    pub rules: Arc<Rules>,
    /// What passes on this worker.
    pub tally: Arc<Tally>,
}

/// The courses of a route, one for each worker.
#[derive(Debug)]
pub struct Courses {
    rules: Arc<Rules>,
    workers: Mutex<Vec<Arc<Course>>>,
}

impl Courses {
    /// Under these rules, nothing counted yet.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            workers: Mutex::default(),
        }
    }

    /// For the sessions that `worker` carries. To be asked once for a session, on its way in.
    pub fn of(&self, worker: usize) -> Arc<Course> {
        let mut workers = self.lock();
        while workers.len() <= worker {
            workers.push(Arc::new(Course {
                rules: self.rules.clone(),
                tally: Arc::default(),
            }));
        }
        workers[worker].clone()
    }

    /// What has passed on all workers.
    pub fn sum(&self) -> Traffic {
        let mut sum = Traffic::default();
        for course in &*self.lock() {
            course.tally.to_upstream.add_to(&mut sum.to_upstream);
            course.tally.to_client.add_to(&mut sum.to_client);
        }
        sum
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Course>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The live counts of one route on one worker. Two cache lines of its own, as processors fetch
/// them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Tally {
    to_upstream: Counters,
    to_client: Counters,
}

/// What has passed both ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From clients to upstreams.
    pub to_upstream: Flow,
    /// From upstreams to clients.
    pub to_client: Flow,
}

/// What has passed one way, and how long it was kept from passing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Frames, messages and bytes of payload that were sent on.
    pub totals: Totals,
    /// How long sessions waited, in sum, because a limit was reached.
    pub throttled: Duration,
    /// How long sessions waited, in sum, because the receiving leg took nothing. Counted whenever it
    /// takes something again, to a tenth of a second.
    pub blocked: Duration,
}

/// What one session waited for at some moment of a poll.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    pub(super) to_upstream: Wait,
    pub(super) to_client: Wait,
}

impl Waits {
    /// The same when no leg has to take anything any more.
    pub(super) const fn at_the_end(mut self) -> Self {
        self.to_upstream.stalled_since = Tick::NEVER;
        self.to_client.stalled_since = Tick::NEVER;
        self
    }
}

/// The same for one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// How long it has waited for a limit, ever.
    pub(super) throttled: Duration,
    /// When the receiving leg last took something, though more is waiting; `NEVER` if nothing is.
    pub(super) stalled_since: Tick,
}

impl Tally {
    /// The counts of one direction.
    pub(super) const fn of(&self, way: Way) -> &Counters {
        match way {
            Way::ToUpstream => &self.to_upstream,
            Way::ToClient => &self.to_client,
        }
    }

    /// Adds how long one session waited from `before` to `after`, the tick being `now`.
    pub(super) fn waited(&self, before: &Waits, after: &Waits, now: Tick) {
        self.to_upstream
            .waited(&before.to_upstream, &after.to_upstream, now);
        self.to_client
            .waited(&before.to_client, &after.to_client, now);
    }
}

/// The live counts of one direction. Times in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Counters {
    frames: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    throttled: AtomicU64,
    blocked: AtomicU64,
}

impl Counters {
    /// Adds what is let through.
    #[inline]
    pub(super) fn pass(&self, passed: &Totals) {
        add(&self.frames, passed.frames);
        add(&self.messages, passed.messages);
        add(&self.bytes, passed.bytes);
    }

    fn waited(&self, before: &Wait, after: &Wait, now: Tick) {
        if before.throttled != after.throttled {
            let waited = after.throttled.saturating_sub(before.throttled);
            add(&self.throttled, nanos(waited));
        }
        if before.stalled_since != after.stalled_since && before.stalled_since != Tick::NEVER {
            add(&self.blocked, nanos(before.stalled_since.until(now)));
        }
    }

    fn add_to(&self, flow: &mut Flow) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        flow.totals.frames += read(&self.frames);
        flow.totals.messages += read(&self.messages);
        flow.totals.bytes += read(&self.bytes);
        flow.throttled += Duration::from_nanos(read(&self.throttled));
        flow.blocked += Duration::from_nanos(read(&self.blocked));
    }
}

/// Right as long as one thread alone writes.
fn add(counter: &AtomicU64, more: u64) {
    let before = counter.load(Ordering::Relaxed);
    counter.store(before.wrapping_add(more), Ordering::Relaxed);
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
