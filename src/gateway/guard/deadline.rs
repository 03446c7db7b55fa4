//! By when a head must be whole: one timer for all heads of a connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// By when the awaited head must be whole.
#[derive(Debug)]
pub(super) struct Deadline {
    each: Duration,
    sleep: Pin<Box<Sleep>>,
    /// Whether `sleep` is that of the head that is awaited now.
    is_set: bool,
    has_passed: bool,
}

impl Deadline {
    /// The first head by `first`, any other `each` after it began to be awaited.
    pub(super) fn new(first: Instant, each: Duration) -> Self {
        Self {
            each,
            sleep: Box::pin(sleep_until(first)),
            is_set: true,
            has_passed: false,
        }
    }

    /// A head is whole; the next poll begins to await another.
    pub(super) fn met(&mut self) {
        self.is_set = false;
    }

    /// Whether it was ever too late.
    pub(super) fn has_passed(&self) -> bool {
        self.has_passed
    }

    /// Ready once the head that is awaited is overdue.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_set {
            self.sleep.as_mut().reset(Instant::now() + self.each);
            self.is_set = true;
        }
        ready!(self.sleep.as_mut().poll(cx));
        self.has_passed = true;
        Poll::Ready(())
    }
}
