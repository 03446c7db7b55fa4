//! How many handshakes are in flight: each from the first byte of TLS, or else from the head of its
//! request, to the answer. A connection that asks for nothing takes up none.
//!
//! Whoever finds no slot is told 503. Over TLS that would need a handshake too, the dearest part of it
//! all, and the client would come back for another: so a TLS connection waits first, its hello unread.
//! A small reserve of slots serves to tell 503 to those who have waited for long; who is not reached
//! even so is closed without a word.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The least number of TLS connections that can be told 503 at the same time.
const RESERVE_MIN: usize = 16;

/// All slots of the process.
#[derive(Debug)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
}

/// A slot; dropping it frees it.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
    /// Whether it serves to be told 503 only.
    is_reserve: bool,
}

/// There are too many even to be told so.
#[derive(Debug, thiserror::Error)]
#[error("too many handshakes are in flight")]
pub(super) struct Crowded;

/// What a connection has of it: none while it carries no handshake.
#[derive(Debug)]
pub(super) struct Held(Mutex<Option<Slot>>);

impl Slots {
    pub(super) fn new(max: usize) -> Self {
        let semaphore = |slots: usize| Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS)));
        Self {
            free: semaphore(max),
            reserve: semaphore((max / 10).max(RESERVE_MIN)),
        }
    }

    /// A slot, if one is free.
    fn take(&self) -> Option<Slot> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(Slot::new(permit, false))
    }

    /// A slot for TLS, waited for in turn until `deadline`. From half of that time on one of the
    /// reserve will do. Cancel-safe, but for the place in the queue.
    pub(super) async fn take_for_tls(&self, deadline: Instant) -> Result<Slot, Crowded> {
        let now = Instant::now();
        let halfway = now + deadline.saturating_duration_since(now) / 2;
        let mut free = pin!(self.free.clone().acquire_owned());
        let found = match timeout_at(halfway, &mut free).await {
            Ok(permit) => (permit, false),
            Err(_) => {
                let reserve = self.reserve.clone().acquire_owned();
                let either = async {
                    tokio::select! {
                        biased;
                        permit = free => (permit, false),
                        permit = reserve => (permit, true),
                    }
                };
                timeout_at(deadline, either).await.map_err(|_| Crowded)?
            }
        };
        match found {
            (Ok(permit), is_reserve) => Ok(Slot::new(permit, is_reserve)),
            // Nobody closes the semaphores.
            (Err(_), _) => Err(Crowded),
        }
    }
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit, is_reserve: bool) -> Self {
        Self {
            _permit: permit,
            is_reserve,
        }
    }
}

impl Held {
    pub(super) fn new(slot: Option<Slot>) -> Self {
        Self(Mutex::new(slot))
    }

    /// Whether a request may be served: there is a slot for it, from its connection's beginning or
    /// from now on.
    pub(super) fn begin(&self, slots: &Slots) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|slot| !slot.is_reserve) {
            return true;
        }
        *held = slots.take();
        held.is_some()
    }

    /// The handshake is over: its request is answered, or goes on as something else.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::task::{Context, Waker};
    use std::time::Duration;

    #[test]
    fn a_slot_is_held_from_request_to_request() {
        let slots = Slots::new(1);
        let first = Held::new(slots.take());
        let second = Held::new(slots.take());
        assert!(first.begin(&slots));
        assert!(!second.begin(&slots));
        first.end();
        assert!(second.begin(&slots));
        assert!(second.begin(&slots), "it has one already");
        assert!(!first.begin(&slots));
        drop(second);
        assert!(first.begin(&slots));
    }

    fn in_ten_seconds() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_for_long_over_tls_is_told_by_the_reserve() {
        let slots = Slots::new(1);
        let first = slots.take_for_tls(in_ten_seconds()).await.unwrap();
        assert!(!first.is_reserve);
        let mut told = Vec::new();
        for _ in 0..RESERVE_MIN {
            let begun = Instant::now();
            let slot = slots.take_for_tls(in_ten_seconds()).await.unwrap();
            assert_eq!((slot.is_reserve, begun.elapsed().as_secs()), (true, 5));
            told.push(slot);
        }
        let begun = Instant::now();
        assert!(slots.take_for_tls(in_ten_seconds()).await.is_err());
        assert_eq!(begun.elapsed().as_secs(), 10);

        let refused = Held::new(told.pop());
        assert!(!refused.begin(&slots), "the reserve serves nobody");
        drop(first);
        let late = Held::new(told.pop());
        assert!(late.begin(&slots), "there is a slot by now");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_over_tls_waits_in_turn() {
        let slots = Slots::new(1);
        let first = slots.take().unwrap();
        let mut second = pin!(slots.take_for_tls(in_ten_seconds()));
        let mut third = pin!(slots.take_for_tls(in_ten_seconds()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert!(third.as_mut().poll(&mut cx).is_pending());
        let slot = second.await.unwrap();
        assert!(!slot.is_reserve);
        drop(slot);
        assert!(!third.await.unwrap().is_reserve);
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_is_free_first_serves_who_has_waited_for_long() {
        let slots = Slots::new(1);
        let first = slots.take().unwrap();
        let _reserve: Vec<_> = (0..RESERVE_MIN)
            .map(|_| slots.reserve.clone().try_acquire_owned().unwrap())
            .collect();
        let mut second = pin!(slots.take_for_tls(in_ten_seconds()));
        let waited = timeout_at(Instant::now() + Duration::from_secs(8), &mut second).await;
        assert!(waited.is_err());
        drop(first);
        assert!(!second.await.unwrap().is_reserve);
    }
}
