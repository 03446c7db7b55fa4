//! Whose turn it is to compute a step of a TLS handshake, on one worker.
//!
//! A step takes a quarter of a millisecond, a hundred times what a message takes. Thousands of clients
//! that come back at once would stand before every live session, so each worker makes one step at a
//! time, and between two of them everything else that is ready has its turn.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;

/// The turn of one worker.
#[derive(Debug)]
pub(super) struct Turn(Semaphore);

impl Default for Turn {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl Turn {
    /// Drives `work` and takes a turn for each step of it; nothing is held while it waits for its peer.
    /// To be called on the turn's own worker. Cancel-safe if `work` is.
    pub(super) async fn each_step<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            let turn = self.take().await;
            let step = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
            drop(turn);
            match step {
                Poll::Ready(output) => return output,
                Poll::Pending => woken().await,
            }
        }
    }

    /// `None` only if there are no turns to take, and that is never.
    async fn take(&self) -> Option<SemaphorePermit<'_>> {
        let turn = self.0.acquire().await;
        // With the turn in hand: whoever makes the next step, the sockets are looked at before it.
        yield_now().await;
        turn.ok()
    }
}

/// Ends when the task is woken next, by what it has registered with before.
async fn woken() {
    let mut is_asked_again = false;
    poll_fn(|_| match std::mem::replace(&mut is_asked_again, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::{Arc, Mutex};
    use tokio::sync::oneshot;

    /// Computes so many steps without a pause, and notes each.
    async fn handshake(turn: &Turn, seen: &Mutex<String>, steps: usize) {
        let mut left = steps;
        let steps = poll_fn(|cx| {
            seen.lock().unwrap().push('h');
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        turn.each_step(steps).await;
    }

    #[tokio::test]
    async fn between_two_steps_others_have_theirs() {
        let turn = Arc::new(Turn::default());
        let seen = Arc::new(Mutex::default());
        for steps in [2, 3, 2] {
            let (turn, seen) = (turn.clone(), seen.clone());
            tokio::spawn(async move { handshake(&turn, &seen, steps).await });
        }
        let count = || seen.lock().unwrap().matches('h').count();
        while count() < 7 {
            yield_now().await;
            seen.lock().unwrap().push('s');
        }
        let seen = seen.lock().unwrap();
        assert!(!seen.contains("hh"), "{seen}");
    }

    #[tokio::test]
    async fn who_waits_for_its_peer_keeps_nobody_waiting() {
        let turn = Turn::default();
        let (answer, answered) = oneshot::channel();
        tokio::select! {
            biased;
            () = turn.each_step(pending()) => unreachable!(),
            got = turn.each_step(answered) => assert_eq!(got, Ok(7)),
            () = async { answer.send(7).unwrap(); pending().await } => {}
        }
    }

    #[tokio::test]
    async fn who_is_gone_gives_its_turn_up() {
        let turn = Turn::default();
        let held = turn.take().await;
        let mut second = pin!(turn.each_step(async {}));
        tokio::select! {
            biased;
            () = &mut second => unreachable!(),
            () = yield_now() => {}
        }
        drop(held);
        {
            let mut third = pin!(turn.each_step(async {}));
            tokio::select! {
                biased;
                () = &mut third => unreachable!("the second comes first"),
                () = yield_now() => {}
            }
        }
        second.await;
        turn.each_step(async {}).await;
    }
}
