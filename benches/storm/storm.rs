//! Clients that come all at once, and come again for as long as they are refused.

use crate::Arguments;
use crate::client::{Attempt, Dialer};
use crate::live::Pauses;
use crate::rig::Failure;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

/// No answer within this is none.
const ATTEMPT: Duration = Duration::from_secs(30);
/// How long to wait where nobody says so.
const AGAIN: Duration = Duration::from_secs(1);

/// What came of it, so far.
#[derive(Debug, Default)]
pub(crate) struct Storm {
    entered: AtomicUsize,
    gave_up: AtomicUsize,
    second: AtomicU64,
    finished: Notify,
    tally: Mutex<Tally>,
}

/// The counts of a storm.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    /// From the start of the storm to the 101, of each that is in.
    pub(crate) in_after: Vec<Duration>,
    /// From the attempt that succeeded to the 101.
    pub(crate) handshakes: Vec<Duration>,
    /// Attempts that were refused, by status.
    pub(crate) refused: BTreeMap<u16, usize>,
    /// Attempts that ended otherwise, by what was wrong.
    pub(crate) failed: BTreeMap<String, usize>,
    /// The most attempts that one client needed.
    pub(crate) attempts: usize,
}

impl Storm {
    pub(crate) fn entered(&self) -> usize {
        self.entered.load(Ordering::Relaxed)
    }

    pub(crate) fn waiting(&self, clients: usize) -> usize {
        clients - self.entered() - self.gave_up.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> usize {
        self.tally().refused.values().sum()
    }

    /// Resolves when the last has entered or given up.
    pub(crate) async fn changed(&self) {
        self.finished.notified().await;
    }

    /// Whether nobody has asked about this second yet.
    pub(crate) fn is_new_second(&self, second: u64) -> bool {
        self.second.swap(second, Ordering::Relaxed) != second
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets all clients loose; those that are in stay, to the end of the process.
pub(crate) async fn run(
    dialer: Dialer,
    arguments: Arguments,
    storm: Arc<Storm>,
) -> Result<(), Failure> {
    let start = Instant::now();
    let end = start + Duration::from_secs(arguments.patience);
    let mut clients = JoinSet::new();
    for number in 0..arguments.clients {
        let user = format!("user-{}", number % arguments.users);
        let (dialer, storm) = (dialer.clone(), storm.clone());
        clients.spawn(async move {
            let came_in = timeout_at(end, insist(&dialer, &user, start, &storm)).await;
            match came_in {
                Ok(_) => storm.entered.fetch_add(1, Ordering::Relaxed),
                Err(_) => storm.gave_up.fetch_add(1, Ordering::Relaxed),
            };
            came_in.ok()
        });
    }
    let mut sessions = Vec::with_capacity(arguments.clients);
    while let Some(session) = clients.join_next().await {
        sessions.push(session?);
    }
    storm.finished.notify_one();
    std::future::pending().await
}

/// Comes until it is let in; waits as long as it is told, with jitter, so that nobody marches in step.
async fn insist(
    dialer: &Dialer,
    user: &str,
    start: Instant,
    storm: &Storm,
) -> TlsStream<TcpStream> {
    let mut pauses = Pauses::new();
    for attempts in 1.. {
        let began = Instant::now();
        let wait = match timeout(ATTEMPT, dialer.attempt(user)).await {
            Ok(Ok(Attempt::Entered(stream))) => {
                let mut tally = storm.tally();
                tally.in_after.push(start.elapsed());
                tally.handshakes.push(began.elapsed());
                tally.attempts = tally.attempts.max(attempts);
                return *stream;
            }
            Ok(Ok(Attempt::Refused {
                status,
                retry_after,
            })) => {
                *storm.tally().refused.entry(status).or_default() += 1;
                retry_after.unwrap_or(AGAIN)
            }
            Ok(Err(error)) => {
                storm.fail(error.to_string());
                AGAIN
            }
            Err(_) => {
                storm.fail(format!("no answer within {ATTEMPT:?}"));
                AGAIN
            }
        };
        let jitter = Duration::from_millis(pauses.below(1 + wait.as_millis() as u64));
        sleep(wait + jitter).await;
    }
    unreachable!("attempts are counted without end")
}

impl Storm {
    fn fail(&self, what: String) {
        *self.tally().failed.entry(what).or_default() += 1;
    }
}
