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

#[derive(Debug, Default)]
struct State {
    order: Option<CloseOrder>,
    waker: Option<Waker>,
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
        state.order = Some(order);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Names whom an order wakes.
    pub(super) fn watch(&self, waker: &Waker) {
        let before = self.lock().waker.replace(waker.clone());
        drop(before);
    }

    /// Forgets whom an order wakes: the waker would keep the ended session's memory.
    pub(super) fn forget_waker(&self) {
        let before = self.lock().waker.take();
        drop(before);
    }

    /// The order, once.
    pub(super) fn take(&self) -> Option<CloseOrder> {
        if !self.ordered.load(Ordering::Acquire) {
            return None;
        }
        self.lock().order.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(control.take(), Some(order(1001)));
        assert_eq!(control.take(), None);
        assert!(!control.close(order(4000)));
    }
}
