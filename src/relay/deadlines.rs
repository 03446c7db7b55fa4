//! Deadlines of many sessions at the cost of a number each.
//!
//! Each thread has one clock of coarse ticks and one small task that, ten times a second and only while
//! there are sessions, looks through a dense list of deadlines and wakes those that are due. A session
//! asks for the tick (a plain load), never for the time, and moves its deadline only to an earlier one.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A moment of a thread's clock, in tenths of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u32);

impl Tick {
    /// Where every clock begins.
    pub(super) const START: Self = Self(0);

    /// Later than every other.
    pub(super) const NEVER: Self = Self(u32::MAX);

    /// The first tick at which `wait` has surely passed, whenever within this one it began.
    pub(super) fn after(self, wait: Duration) -> Self {
        let whole = wait.as_secs().saturating_mul(PER_SECOND);
        let part = u64::from(wait.subsec_nanos()).div_ceil(LENGTH.as_nanos() as u64);
        let ticks = whole.saturating_add(part + 1);
        Self(
            self.0
                .saturating_add(u32::try_from(ticks).unwrap_or(u32::MAX)),
        )
    }

    /// How long it is from this one to `later`, by the clock of ticks.
    pub(super) fn until(self, later: Self) -> Duration {
        LENGTH * later.0.saturating_sub(self.0)
    }
}

/// A moment of a thread's clock, exactly: nanoseconds since the clock was started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn tick(self) -> Tick {
        let ticks = self.0 / LENGTH.as_nanos() as u64;
        Tick(u32::try_from(ticks).unwrap_or(u32::MAX - 1))
    }

    pub(super) const fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// One session's place in the list of its thread.
#[derive(Debug)]
pub(super) struct Timer {
    clock: Arc<Clock>,
    slot: u32,
    armed: Tick,
}

impl Timer {
    /// Takes a place with this thread's clock, starting it if it doesn't run.
    pub(super) fn new() -> Self {
        let (clock, slot) = Clock::enter();
        Self {
            clock,
            slot,
            armed: Tick::NEVER,
        }
    }

    /// The current tick, at most a tick old.
    pub(super) fn now(&self) -> Tick {
        Tick(self.clock.now.load(Ordering::Relaxed))
    }

    /// The time; unlike `now` it costs a system call or nearly.
    pub(super) fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// A number by which neighbours in the list differ as much as they can, so that the deadlines of
    /// sessions that began together are spread.
    pub(super) fn spread(&self) -> u8 {
        // The golden section of 256, made odd so that all numbers occur.
        const STEP: u8 = 159;
        let [low, ..] = self.slot.to_le_bytes();
        low.wrapping_mul(STEP)
    }

    /// Names whom the deadline wakes.
    pub(super) fn watch(&self, waker: &Waker) {
        let place = self.slot as usize;
        let before = self.clock.lock().wakers[place].replace(waker.clone());
        drop(before);
    }

    /// Whether the deadline has passed.
    pub(super) fn is_due(&self, now: Tick) -> bool {
        self.armed <= now
    }

    /// Sees to being woken at `deadline` or before: a deadline that moves away is left where it was,
    /// as it is cheaper to look once too often than to move it with every message.
    pub(super) fn arm(&mut self, deadline: Tick, now: Tick) {
        if deadline < self.armed || self.is_due(now) {
            self.clock.lock().deadlines[self.slot as usize] = deadline;
            self.armed = deadline;
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let waker = self.clock.lock().release(self.slot);
        drop(waker);
    }
}

const PER_SECOND: u64 = 10;
const LENGTH: Duration = Duration::from_millis(1000 / PER_SECOND);

thread_local! {
    static CLOCK: RefCell<Weak<Clock>> = const { RefCell::new(Weak::new()) };
}

/// What the sessions of a thread share. A session that moves to another thread stays with its clock.
#[derive(Debug)]
struct Clock {
    now: AtomicU32,
    started: Instant,
    /// Never held while a waker runs or is dropped: both may end a session, which takes this lock.
    slots: Mutex<Slots>,
}

impl Clock {
    fn enter() -> (Arc<Self>, u32) {
        CLOCK.with_borrow_mut(|current| {
            if let Some(clock) = current.upgrade() {
                let slot = clock.lock().take_slot();
                if let Some(slot) = slot {
                    return (clock, slot);
                }
            }
            let (clock, slot) = Self::start();
            *current = Arc::downgrade(&clock);
            (clock, slot)
        })
    }

    fn start() -> (Arc<Self>, u32) {
        let mut slots = Slots {
            running: true,
            ..Slots::default()
        };
        let slot = slots.take_slot().unwrap_or_default();
        let now = AtomicU32::new(Tick::START.0);
        let clock = Arc::new(Self {
            now,
            started: Instant::now(),
            slots: Mutex::new(slots),
        });
        tokio::spawn(tick(Running(Arc::clone(&clock))));
        (clock, slot)
    }

    /// Moves the clock on and collects who is due. `false`: nobody is left, the clock stops.
    fn advance(&self, due: &mut Vec<Waker>) -> bool {
        let now = self.moment().tick();
        self.now.store(now.0, Ordering::Relaxed);
        self.lock().collect_due(now, due)
    }

    fn moment(&self) -> Moment {
        let nanos = self.started.elapsed().as_nanos();
        Moment(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Slots {
    /// Apart from the wakers, so that a scan touches four bytes per session.
    deadlines: Vec<Tick>,
    wakers: Vec<Option<Waker>>,
    free: Vec<u32>,
    running: bool,
}

impl Slots {
    /// A place, unless the clock has stopped.
    fn take_slot(&mut self) -> Option<u32> {
        if !self.running {
            return None;
        }
        Some(self.free.pop().unwrap_or_else(|| {
            self.deadlines.push(Tick::NEVER);
            self.wakers.push(None);
            (self.deadlines.len() - 1) as u32
        }))
    }

    fn release(&mut self, slot: u32) -> Option<Waker> {
        self.free.push(slot);
        self.deadlines[slot as usize] = Tick::NEVER;
        self.wakers[slot as usize].take()
    }

    fn collect_due(&mut self, now: Tick, due: &mut Vec<Waker>) -> bool {
        self.running = self.free.len() < self.deadlines.len();
        for (deadline, waker) in self.deadlines.iter_mut().zip(&self.wakers) {
            if *deadline <= now {
                *deadline = Tick::NEVER;
                due.extend(waker.clone());
            }
        }
        self.running
    }
}

/// Held by the clock's task, so that the end of its runtime stops the clock too.
struct Running(Arc<Clock>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().running = false;
    }
}

async fn tick(clock: Running) {
    let mut interval = interval(LENGTH);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut due = Vec::new();
    loop {
        interval.tick().await;
        if !clock.0.advance(&mut due) {
            return;
        }
        due.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    async fn wait_until(timer: &mut Timer, deadline: Tick) {
        timer.arm(deadline, timer.now());
        poll_fn(|cx| {
            timer.watch(cx.waker());
            if timer.is_due(timer.now()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_never_early_and_at_most_two_ticks_late() {
        for millis in [0, 1, 99, 100, 101, 2_500, 60_000] {
            let wait = Duration::from_millis(millis);
            let mut timer = Timer::new();
            tokio::time::sleep(Duration::from_millis(millis % 7 * 13)).await;
            let started = Instant::now();
            let deadline = timer.now().after(wait);
            wait_until(&mut timer, deadline).await;
            assert!(started.elapsed() >= wait, "{wait:?}");
            assert!(
                started.elapsed() <= wait + 2 * LENGTH,
                "{wait:?}: {:?}",
                started.elapsed()
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stops_with_its_last_session_and_starts_again() {
        let timer = Timer::new();
        let first = Arc::downgrade(&timer.clock);
        drop(timer);
        tokio::time::sleep(3 * LENGTH).await;
        assert!(first.upgrade().is_none());
        let mut timer = Timer::new();
        let deadline = timer.now().after(LENGTH);
        wait_until(&mut timer, deadline).await;
    }

    #[test]
    fn a_clock_dies_with_its_runtime() {
        let run = |work: &mut dyn FnMut() -> Timer| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(async { work() })
        };
        let left_over = run(&mut Timer::new);
        let other = run(&mut Timer::new);
        assert!(!Arc::ptr_eq(&left_over.clock, &other.clock));
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_used_again() {
        let timers: Vec<_> = (0..3).map(|_| Timer::new()).collect();
        let slots: Vec<_> = timers.iter().map(|timer| timer.slot).collect();
        assert_eq!(slots, [0, 1, 2]);
        drop(timers);
        let again = Timer::new();
        assert_eq!(again.clock.lock().deadlines.len(), 3);
    }
}
