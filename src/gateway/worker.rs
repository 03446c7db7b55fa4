//! The threads that carry connections: a single-threaded runtime each.
//!
//! Nothing of a session ever moves between cores, so buffers and counters need no lock. A new
//! connection goes to the worker with the fewest before it is registered with any runtime
//! (`docs/decisions/0001-workers.md`).

use crate::net::start_reactor;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio::time::timeout;

/// All workers of the process.
#[derive(Debug)]
pub struct Workers {
    seats: Box<[Seat]>,
}

/// One worker as seen from the others.
#[derive(Debug)]
struct Seat {
    runtime: Handle,
    /// Connections on it.
    load: AtomicUsize,
}

/// The threads behind [`Workers`]. Stops and joins them when told.
#[derive(Debug)]
pub struct Threads {
    running: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// If the operating system gives no thread or no epoll instance.
    pub fn start(count: usize) -> io::Result<(Self, Threads)> {
        let mut seats = Vec::new();
        let mut running = Vec::new();
        for index in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            seats.push(Seat {
                runtime: runtime.handle().clone(),
                load: AtomicUsize::new(0),
            });
            let (stop, stopped) = oneshot::channel();
            let (report, is_up) = mpsc::channel();
            let thread = std::thread::Builder::new()
                .name(format!("wsgate-{index}"))
                .spawn(move || {
                    runtime.block_on(async {
                        // Now, while there surely are descriptors to be had.
                        let _ = report.send(start_reactor());
                        // The sender's end, by word or by drop, ends the thread and its tasks.
                        let _ = stopped.await;
                    });
                    runtime.shutdown_background();
                })?;
            is_up.recv().map_err(io::Error::other)??;
            running.push((stop, thread));
        }
        Ok((
            Self {
                seats: seats.into(),
            },
            Threads { running },
        ))
    }

    /// One worker, on the runtime of the calling task: no other thread, which makes every system call
    /// cheaper, as a process of one thread shares its table of open files with nobody.
    ///
    /// # Errors
    /// If the operating system gives no epoll instance.
    pub fn here() -> io::Result<Self> {
        start_reactor()?;
        let seat = Seat {
            runtime: Handle::current(),
            load: AtomicUsize::new(0),
        };
        Ok(Self {
            seats: [seat].into(),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Connections on all of them.
    pub fn connections(&self) -> usize {
        let loads = self.seats.iter();
        loads.map(|seat| seat.load.load(Ordering::Relaxed)).sum()
    }

    /// Adds a connection to the worker with the fewest, and says which it is. To be undone by [`Self::leave`].
    pub fn enter(&self) -> usize {
        let loads = self
            .seats
            .iter()
            .map(|seat| seat.load.load(Ordering::Relaxed));
        let worker = loads
            .enumerate()
            .min_by_key(|(_, load)| *load)
            .map_or(0, |(index, _)| index);
        self.seats[worker].load.fetch_add(1, Ordering::Relaxed);
        worker
    }

    /// Takes a connection from `worker`.
    pub fn leave(&self, worker: usize) {
        self.seats[worker].load.fetch_sub(1, Ordering::Relaxed);
    }

    /// A worker's runtime; indices wrap.
    pub fn runtime(&self, worker: usize) -> &Handle {
        &self.seats[worker % self.seats.len()].runtime
    }

    /// Whether every worker gets to a new task in so long a time.
    pub async fn all_run(&self, patience: Duration) -> bool {
        let asked: Vec<_> = self
            .seats
            .iter()
            .map(|seat| seat.runtime.spawn(async {}))
            .collect();
        let answered = async {
            for worker in asked {
                worker.await?;
            }
            Ok::<_, JoinError>(())
        };
        matches!(timeout(patience, answered).await, Ok(Ok(())))
    }

    /// Runs a task on a worker. A panic in it ends the task alone.
    pub fn spawn<F>(&self, worker: usize, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Nobody waits for it: what a task holds (permit, place, registration) tells of its end.
        drop(self.runtime(worker).spawn(task));
    }
}

impl Threads {
    /// Ends every task that is left, and waits for the threads.
    pub fn stop(self) {
        let (stops, threads): (Vec<_>, Vec<_>) = self.running.into_iter().unzip();
        for stop in stops {
            let _ = stop.send(());
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_to_the_emptiest_worker() {
        let (workers, threads) = Workers::start(3).unwrap();
        let order: Vec<_> = (0..6).map(|_| workers.enter()).collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);

        workers.leave(1);
        assert_eq!(workers.enter(), 1);
        assert_eq!(workers.connections(), 6);
        threads.stop();
    }

    #[test]
    fn a_panic_ends_its_task_alone() {
        let (workers, threads) = Workers::start(1).unwrap();
        workers.spawn(0, async { panic!("on purpose") });
        let (done, wait) = mpsc::channel();
        workers.spawn(0, async move { done.send(()).unwrap() });
        wait.recv().unwrap();
        threads.stop();
    }

    #[tokio::test]
    async fn a_worker_that_hangs_shows() {
        let (workers, threads) = Workers::start(2).unwrap();
        assert!(workers.all_run(Duration::from_secs(60)).await);
        let (release, released) = mpsc::channel::<()>();
        workers.spawn(1, async move { released.recv().unwrap() });
        assert!(!workers.all_run(Duration::from_millis(50)).await);
        release.send(()).unwrap();
        assert!(workers.all_run(Duration::from_secs(60)).await);
        threads.stop();
        assert!(!workers.all_run(Duration::from_secs(60)).await);
    }
}
