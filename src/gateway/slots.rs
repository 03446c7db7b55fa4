//! How many handshakes are in flight: each from the first byte of TLS, or else from the head of its
//! request, to the answer. A connection that asks for nothing takes up none.
//!
//! Whoever finds no slot is told 503, and over TLS that needs a handshake too: for it there is a small
//! reserve. Beyond that a connection is closed without a word.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a TLS connection waits for a slot: a burst that passes by then is no overload.
const PATIENCE: Duration = Duration::from_secs(1);

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

    /// A slot for TLS: waits a moment for one, and takes from the reserve then. Cancel-safe.
    pub(super) async fn take_for_tls(&self) -> Result<Slot, Crowded> {
        if let Ok(Ok(permit)) = timeout(PATIENCE, self.free.clone().acquire_owned()).await {
            return Ok(Slot::new(permit, false));
        }
        let permit = self.reserve.clone().try_acquire_owned();
        Ok(Slot::new(permit.map_err(|_| Crowded)?, true))
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
    use std::pin::pin;
    use std::task::{Context, Waker};

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

    #[tokio::test(start_paused = true)]
    async fn over_tls_there_is_a_reserve_to_be_told_so() {
        let slots = Slots::new(1);
        let first = slots.take_for_tls().await.unwrap();
        assert!(!first.is_reserve);
        let mut told = Vec::new();
        for _ in 0..RESERVE_MIN {
            let slot = slots.take_for_tls().await.unwrap();
            assert!(slot.is_reserve);
            told.push(slot);
        }
        assert!(slots.take_for_tls().await.is_err());

        let refused = Held::new(told.pop());
        assert!(!refused.begin(&slots), "the reserve serves nobody");
        assert!(slots.take_for_tls().await.is_ok(), "and is given back");
        drop(first);
        let late = Held::new(told.pop());
        assert!(late.begin(&slots), "there is a slot by now");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_over_tls_waits() {
        let slots = Slots::new(1);
        let first = slots.take().unwrap();
        let mut second = pin!(slots.take_for_tls());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert!(!second.await.unwrap().is_reserve);
    }
}
