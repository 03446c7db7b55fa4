//! The handle by which others end a session: the drain, an administrator.

use super::GatewayEnd;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The order to end a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseOrder {
    /// The close code for the client; the upstream always gets 1001.
    pub code: u16,
    /// The reason for both; it is cut to fit a Close frame.
    pub reason: Cow<'static, str>,
    /// What the outcome will say.
    pub why: GatewayEnd,
}

/// Shared between a session and those who may end it; works from any thread.
#[derive(Debug, Default)]
pub struct Control {
    /// Read once per poll, so that a session takes the lock only when there is something to take.
    ordered: AtomicBool,
    state: Mutex<State>,
}

/// Either, as nobody waits for an order once there is one.
#[derive(Debug)]
enum State {
    Awaited(Waker),
    Given(Option<Box<CloseOrder>>),
}

impl Default for State {
    fn default() -> Self {
        Self::Given(None)
    }
}

impl Control {
    /// A handle without an order.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the session at the next frame boundaries. The first order wins; says whether this was it.
    pub fn close(&self, order: CloseOrder) -> bool {
        let mut state = self.lock();
        if self.ordered.swap(true, Ordering::AcqRel) {
            return false;
        }
        let before = std::mem::replace(&mut *state, State::Given(Some(Box::new(order))));
        drop(state);
        if let State::Awaited(waker) = before {
            waker.wake();
        }
        true
    }

    /// Names whom an order wakes. Who has an order already is not told again: it is to be taken.
    pub(super) fn watch(&self, waker: &Waker) {
        let mut state = self.lock();
        if !self.ordered.load(Ordering::Acquire) {
            let before = std::mem::replace(&mut *state, State::Awaited(waker.clone()));
            drop(state);
            drop(before);
        }
    }

    /// Nobody waits for an order any more: whom it would wake is forgotten, as the waker would keep the
    /// ended session's memory.
    pub fn forget_waker(&self) {
        let mut state = self.lock();
        if matches!(*state, State::Awaited(_)) {
            let before = std::mem::take(&mut *state);
            drop(state);
            drop(before);
        }
    }

    /// The order, once.
    pub(super) fn take(&self) -> Option<Box<CloseOrder>> {
        if !self.ordered.load(Ordering::Acquire) {
            return None;
        }
        match &mut *self.lock() {
            State::Awaited(_) => None,
            State::Given(order) => order.take(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[test]
    fn the_first_order_wins_and_is_given_once() {
        let control = Control::new();
        assert_eq!(control.take(), None);
        let order = |code| CloseOrder {
            code,
            reason: Cow::Borrowed("go"),
            why: GatewayEnd::Drain,
        };
        assert!(control.close(order(1001)));
        assert!(!control.close(order(4000)));
        assert_eq!(control.take().as_deref(), Some(&order(1001)));
        assert_eq!(control.take(), None);
        assert!(!control.close(order(4000)));
    }

    #[test]
    fn an_order_wakes_who_waits_and_no_waker_is_kept_longer() {
        let order = CloseOrder {
            code: 1001,
            reason: Cow::Borrowed("go"),
            why: GatewayEnd::Drain,
        };
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let control = Control::new();
        control.watch(&waker);
        control.forget_waker();
        assert_eq!(Arc::strong_count(&woken), 2);
        control.watch(&waker);
        assert_eq!(Arc::strong_count(&woken), 3);
        control.close(order.clone());
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        control.watch(&waker);
        control.forget_waker();
        assert_eq!(Arc::strong_count(&woken), 2);
        assert_eq!(control.take().as_deref(), Some(&order));
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
