//! Names of endpoints: looked up at first use and again from time to time.
//!
//! The last good answer is kept whatever later lookups say, so that an outage of DNS costs no
//! session. Handshakes wait for a lookup only while there has never been an answer, and those that
//! wait at the same time wait for the same one.

use super::error::ResolveError;
use arc_swap::ArcSwapOption;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// One lookup at most, whatever the system's resolver thinks.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// For how long a failure answers those who ask again.
const FAILURE_REST: Duration = Duration::from_secs(1);
/// Addresses of one name that are used.
const ADDRESSES_LIMIT: usize = 256;

/// Looks a host and port up.
pub(super) type Lookup = Arc<dyn Fn(String, u16) -> LookupFuture + Send + Sync>;
/// What a lookup gives.
pub(super) type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// A host name that endpoints are found by.
pub(super) struct Name {
    host: String,
    port: u16,
    lookup: Lookup,
    known: ArcSwapOption<Vec<SocketAddr>>,
    /// Held during a lookup: one at a time. The last failure, if the last lookup failed.
    turn: Mutex<Option<Failure>>,
    failing: AtomicBool,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    error: ResolveError,
}

impl Name {
    /// Knows nothing yet.
    pub(super) fn new(host: String, port: u16, lookup: Lookup) -> Self {
        Self {
            host,
            port,
            lookup,
            known: ArcSwapOption::empty(),
            turn: Mutex::new(None),
            failing: AtomicBool::new(false),
        }
    }

    /// The last good answer, in the resolver's order.
    pub(super) fn known(&self) -> Option<Arc<Vec<SocketAddr>>> {
        self.known.load_full()
    }

    /// Makes sure that there is an answer. Cancel-safe: another that waits takes over.
    pub(super) async fn first(&self) -> Result<(), ResolveError> {
        if self.known.load().is_some() {
            return Ok(());
        }
        let mut turn = self.turn.lock().await;
        if self.known.load().is_some() {
            return Ok(());
        }
        match &*turn {
            Some(failure) if failure.at.elapsed() < FAILURE_REST => Err(failure.error.clone()),
            _ => self.ask(&mut turn).await,
        }
    }

    /// Asks again. A failure leaves everything as it was.
    pub(super) async fn refresh(&self) {
        let mut turn = self.turn.lock().await;
        // The failure was logged, and is told to those who wait for it.
        let _ = self.ask(&mut turn).await;
    }

    async fn ask(&self, turn: &mut Option<Failure>) -> Result<(), ResolveError> {
        let lookup = (self.lookup)(self.host.clone(), self.port);
        let asked = timeout(LOOKUP_TIMEOUT, lookup).await;
        let outcome = match asked {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("the answer is empty".to_owned()),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        let outcome = outcome.map_err(|why| ResolveError {
            host: self.host.clone(),
            why,
        });
        self.log_turn(outcome.as_ref().err());
        match outcome {
            Ok(addresses) => {
                self.keep(addresses);
                *turn = None;
                Ok(())
            }
            Err(error) => {
                *turn = Some(Failure {
                    at: Instant::now(),
                    error: error.clone(),
                });
                Err(error)
            }
        }
    }

    fn keep(&self, mut addresses: Vec<SocketAddr>) {
        let mut seen = std::collections::HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        if addresses.len() > ADDRESSES_LIMIT {
            tracing::warn!(
                host = %self.host,
                addresses = addresses.len(),
                limit = ADDRESSES_LIMIT,
                "a name has more addresses than are used"
            );
            addresses.truncate(ADDRESSES_LIMIT);
        }
        self.known.store(Some(Arc::new(addresses)));
    }

    /// Says when lookups begin to fail and when they no longer do.
    fn log_turn(&self, error: Option<&ResolveError>) {
        let was_failing = self.failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was_failing => {
                let kept = self.known.load().as_ref().map_or(0, |known| known.len());
                tracing::warn!(%error, kept, "an upstream's name cannot be resolved");
            }
            None if was_failing => {
                tracing::info!(host = %self.host, "an upstream's name is resolved again");
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Name")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

/// The system's resolver, on a thread where it may block.
pub(super) fn system() -> Lookup {
    Arc::new(|host, port| {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host, port)).await?;
            Ok(addresses.collect())
        })
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// A resolver that gives one answer after the other, the last one for ever, each after a while.
    pub(in crate::upstream) struct Script {
        asked: AtomicUsize,
        answers: Vec<Result<Vec<SocketAddr>, &'static str>>,
        delay: Duration,
    }

    impl Script {
        pub(in crate::upstream) fn new(
            delay: Duration,
            answers: Vec<Result<Vec<SocketAddr>, &'static str>>,
        ) -> Arc<Self> {
            Arc::new(Self {
                asked: AtomicUsize::new(0),
                answers,
                delay,
            })
        }

        pub(in crate::upstream) fn at_once(
            answers: Vec<Result<Vec<SocketAddr>, &'static str>>,
        ) -> Arc<Self> {
            Self::new(Duration::ZERO, answers)
        }

        pub(in crate::upstream) fn lookup(self: &Arc<Self>) -> Lookup {
            let script = Arc::clone(self);
            Arc::new(move |_, _| {
                let script = Arc::clone(&script);
                Box::pin(async move {
                    let asked = script.asked.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(script.delay).await;
                    let last = script.answers.len() - 1;
                    script.answers[asked.min(last)]
                        .clone()
                        .map_err(io::Error::other)
                })
            })
        }

        pub(in crate::upstream) fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    pub(in crate::upstream) fn addresses(last: &[u8]) -> Vec<SocketAddr> {
        last.iter()
            .map(|&last| SocketAddr::from(([10, 0, 0, last], 80)))
            .collect()
    }

    fn name(script: &Arc<Script>) -> Arc<Name> {
        Arc::new(Name::new("chat.test".to_owned(), 80, script.lookup()))
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_together_ask_once() {
        let script = Script::new(Duration::from_secs(3), vec![Ok(addresses(&[1]))]);
        let name = name(&script);
        let (one, two, three) = tokio::join!(name.first(), name.first(), name.first());
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        assert_eq!(script.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_answers_all_who_waited_and_rests() {
        let script = Script::new(
            Duration::from_secs(3),
            vec![Err("no such host"), Ok(addresses(&[1]))],
        );
        let name = name(&script);
        let (one, two) = tokio::join!(name.first(), name.first());
        assert_eq!(
            one.unwrap_err().to_string(),
            "`chat.test` cannot be resolved: no such host"
        );
        assert!(two.is_err());
        assert_eq!(script.asked(), 1);
        tokio::time::advance(FAILURE_REST).await;
        assert!(name.first().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_gives_up_leaves_the_turn_to_the_next() {
        let script = Script::new(Duration::from_secs(3), vec![Ok(addresses(&[1]))]);
        let name = name(&script);
        let impatient = timeout(Duration::from_secs(1), name.first());
        let (gone, patient) = tokio::join!(impatient, name.first());
        assert!(gone.is_err());
        assert!(patient.is_ok());
        assert_eq!(script.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_answer_outlives_failures_of_every_kind() {
        let script = Script::new(
            Duration::ZERO,
            vec![
                Ok(addresses(&[1, 2])),
                Err("server failure"),
                Ok(Vec::new()),
                Ok(addresses(&[3])),
            ],
        );
        let name = name(&script);
        name.first().await.unwrap();
        for _ in 0..2 {
            name.refresh().await;
            assert_eq!(*name.known().unwrap(), addresses(&[1, 2]));
        }
        name.refresh().await;
        assert_eq!(*name.known().unwrap(), addresses(&[3]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_hangs_is_given_up() {
        let script = Script::new(Duration::from_secs(3600), vec![Ok(addresses(&[1]))]);
        let error = name(&script).first().await.unwrap_err();
        assert_eq!(error.why, "no answer in time");
    }

    #[tokio::test]
    async fn doubles_and_too_many_addresses_are_left_out() {
        let many = (0..1000_u16)
            .map(|n| SocketAddr::from(([10, 0, (n % 500 / 250) as u8, (n % 250) as u8], 80)))
            .collect();
        let script = Script::new(Duration::ZERO, vec![Ok(many)]);
        let name = name(&script);
        name.first().await.unwrap();
        assert_eq!(name.known().unwrap().len(), ADDRESSES_LIMIT);
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let found = system()("localhost".to_owned(), 80).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert!(!found.is_empty());
    }
}
