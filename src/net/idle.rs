//! Connections to one server that wait for the next request.
//!
//! Few, and not for long: servers close what is idle, and a request that meets such a close is lost.
//! A connection is taken again, and closed, only by the thread that left it: it has a place in that
//! thread's reactor, which nobody else can give back, and nothing here should wake another core.

use super::Connection;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

/// Connections to one server that wait, over all threads.
const IDLE_MAX: usize = 64;

/// What waits; the longest waiting one first.
#[derive(Debug, Default)]
pub struct Idle {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    parked: Vec<Parked>,
    /// Threads on which somebody will come and close what has waited too long.
    swept: Vec<ThreadId>,
}

#[derive(Debug)]
struct Parked {
    connection: Connection,
    thread: ThreadId,
    until: Instant,
}

impl Idle {
    /// The connection that this thread left last and that is still good.
    pub fn take(&self) -> Option<Connection> {
        let (thread, now) = (thread::current().id(), Instant::now());
        loop {
            let mut waiting = self.lock();
            let is_ours = |one: &Parked| one.thread == thread;
            let index = waiting.parked.iter().rposition(is_ours)?;
            let mut one = waiting.parked.remove(index);
            drop(waiting);
            if now < one.until && one.connection.is_quiet() {
                return Some(one.connection);
            }
        }
    }

    /// Keeps a connection whose last answer has ended, until `until`.
    pub fn park(self: &Arc<Self>, connection: Connection, until: Instant) {
        // Without a runtime nobody would ever close it.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let thread = thread::current().id();
        let mut waiting = self.lock();
        let surplus = match waiting.parked.len() >= IDLE_MAX {
            true => match waiting.parked.iter().position(|one| one.thread == thread) {
                Some(oldest) => Some(waiting.parked.remove(oldest)),
                // Those of other threads are not ours to close.
                None => return,
            },
            false => None,
        };
        waiting.parked.push(Parked {
            connection,
            thread,
            until,
        });
        let is_swept = waiting.swept.contains(&thread);
        if !is_swept {
            waiting.swept.push(thread);
        }
        drop(waiting);
        drop(surplus);
        if !is_swept {
            drop(runtime.spawn(sweep(Arc::clone(self), until)));
        }
    }

    /// Closes what this thread has left for too long; when to come again, unless nothing of it waits.
    fn close_overdue(&self) -> Option<Instant> {
        let (thread, now) = (thread::current().id(), Instant::now());
        let mut waiting = self.lock();
        let (overdue, parked) = std::mem::take(&mut waiting.parked)
            .into_iter()
            .partition::<Vec<_>, _>(|one| one.thread == thread && one.until <= now);
        waiting.parked = parked;
        let own = waiting.parked.iter().filter(|one| one.thread == thread);
        let next = own.map(|one| one.until).min();
        if next.is_none() {
            waiting.swept.retain(|one| *one != thread);
        }
        drop(waiting);
        drop(overdue);
        next
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends once nothing of its thread waits.
async fn sweep(idle: Arc<Idle>, first: Instant) {
    let mut next = Some(first);
    while let Some(until) = next {
        sleep_until(until).await;
        next = idle.close_overdue();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Stream;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn pair() -> (Connection, DuplexStream) {
        let (ours, theirs) = duplex(1024);
        (Connection::new(Stream::Memory(Box::new(ours))), theirs)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(4)
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_one_left_is_the_first_one_taken() {
        let idle = Arc::new(Idle::default());
        let (first, mut first_peer) = pair();
        let (second, mut second_peer) = pair();
        idle.park(first, soon());
        idle.park(second, soon());
        for peer in [&mut second_peer, &mut first_peer] {
            let mut taken = idle.take().unwrap();
            taken.stream.write_all(b"!").await.unwrap();
            assert_eq!(peer.read_u8().await.unwrap(), b'!');
        }
        assert!(idle.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn closed_ones_and_those_with_unasked_bytes_are_not_taken() {
        let idle = Arc::new(Idle::default());
        let (talks, mut talkative) = pair();
        let (ends, ended) = pair();
        let (mut has_rest, _peer) = pair();
        has_rest.unread.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        idle.park(talks, soon());
        idle.park(ends, soon());
        idle.park(has_rest, soon());
        talkative.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        drop(ended);
        assert!(idle.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_too_long_is_closed() {
        let idle = Arc::new(Idle::default());
        let (connection, mut peer) = pair();
        idle.park(connection, soon());
        let begun = Instant::now();
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), 4);
        assert!(idle.take().is_none());
        // The sweeper has gone; the next one to wait brings another.
        let (connection, mut peer) = pair();
        idle.park(connection, soon());
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait() {
        let idle = Arc::new(Idle::default());
        let mut peers = Vec::new();
        for _ in 0..=IDLE_MAX {
            let (connection, peer) = pair();
            idle.park(connection, soon());
            peers.push(peer);
        }
        let begun = Instant::now();
        assert_eq!(peers[0].read(&mut [0]).await.unwrap(), 0);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn other_threads_leave_it_alone() {
        let idle = Arc::new(Idle::default());
        let (connection, _peer) = pair();
        idle.park(connection, soon());
        let other = Arc::clone(&idle);
        let taken = thread::spawn(move || other.take().is_some()).join();
        assert!(!taken.unwrap());
        assert!(idle.take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn only_its_own_thread_closes_it() {
        let idle = Arc::new(Idle::default());
        let mut peers = Vec::new();
        for _ in 0..IDLE_MAX {
            let (connection, peer) = pair();
            idle.park(connection, Instant::now());
            peers.push(peer);
        }
        let other = Arc::clone(&idle);
        let swept = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(async {
                // Neither because they are overdue, nor to make room.
                other.park(pair().0, soon());
                other.close_overdue()
            })
        });
        assert_eq!(swept.join().unwrap(), None);
        assert_eq!(idle.lock().parked.len(), IDLE_MAX);
        for mut peer in peers {
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        }
    }
}
