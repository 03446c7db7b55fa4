//! How long nothing has moved.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for all the waits of an exchange.
#[derive(Debug, Default)]
pub(super) struct Stall {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether `sleep` is that of the wait that goes on now.
    is_set: bool,
}

impl Stall {
    /// Something has moved: the next poll begins to wait anew.
    pub(super) fn ended(&mut self) {
        self.is_set = false;
    }

    /// Ready once nothing has moved for `limit`; never without one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, limit: Option<Duration>) -> Poll<()> {
        let Some(limit) = limit else {
            return Poll::Pending;
        };
        if !self.is_set {
            self.is_set = true;
            let until = Instant::now() + limit;
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(until),
                None => self.sleep = Some(Box::pin(sleep_until(until))),
            }
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
