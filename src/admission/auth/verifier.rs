//! Verifies passwords on threads of their own, because one verification takes as long as thousands
//! of messages, behind a queue with a limit.
//!
//! The same question asked by many at once is answered once, a question that nobody waits for any
//! more is dropped, and a right answer is remembered for a while (`verified.rs`).

use super::password::PasswordHash;
use super::verified::{Key, Verified};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// Questions in the queue, beside those being worked on.
const WAITING_MAX: usize = 256;
/// Longer than this and the client is better told to come again.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// More would only help guessing.
const THREADS_MAX: usize = 8;

/// The queue and its threads; they end when it is dropped.
#[derive(Debug)]
pub(super) struct Verifier {
    queue: SyncSender<Job>,
    desk: Arc<Desk>,
}

/// There are too many questions, or no answer came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// What the threads and those who ask share.
struct Desk {
    /// Of this process alone, so that cached keys tell nothing and cannot be aimed at.
    secret: hmac::Key,
    jobs: Mutex<Receiver<Job>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    verified: Verified,
    in_flight: HashMap<Key, Answer>,
}

/// `None` until it is there; closed without one if the verification could not be done.
type Answer = Arc<watch::Sender<Option<bool>>>;

struct Job {
    key: Key,
    hash: Arc<PasswordHash>,
    password: String,
    asked: Instant,
    answer: Answer,
}

enum Asked {
    Known,
    Pending(watch::Receiver<Option<bool>>),
}

impl Verifier {
    /// Half of the cores, so that the other half goes on carrying frames while passwords are guessed.
    pub(super) fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism()?.get();
        Self::with_threads((cores / 2).clamp(1, THREADS_MAX))
    }

    pub(super) fn with_threads(threads: usize) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(WAITING_MAX);
        let secret = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| io::Error::other("no randomness"))?;
        let desk = Arc::new(Desk {
            secret,
            jobs: Mutex::new(jobs),
            state: Mutex::default(),
        });
        for number in 0..threads {
            let desk = Arc::clone(&desk);
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || while desk.work().is_some() {})?;
        }
        Ok(Self { queue, desk })
    }

    /// Whether the password fits. Cancel-safe: a question is dropped with the last who waits for it.
    pub(super) async fn verify(
        &self,
        name: &str,
        password: &str,
        hash: &Arc<PasswordHash>,
    ) -> Result<bool, Busy> {
        match self.ask(name, password, hash)? {
            Asked::Known => Ok(true),
            Asked::Pending(mut answer) => {
                let answered = timeout(WAIT_MAX, answer.wait_for(Option::is_some)).await;
                let answer = answered.map_err(|_| Busy)?.map_err(|_| Busy)?;
                (*answer).ok_or(Busy)
            }
        }
    }

    fn ask(&self, name: &str, password: &str, hash: &Arc<PasswordHash>) -> Result<Asked, Busy> {
        let key = self.desk.key(name, password, hash);
        let asked = Instant::now();
        let mut state = self.desk.state();
        if state.verified.knows(&key, asked) {
            return Ok(Asked::Known);
        }
        match state.in_flight.entry(key) {
            Entry::Occupied(entry) => Ok(Asked::Pending(entry.get().subscribe())),
            Entry::Vacant(entry) => {
                let (answer, pending) = watch::channel(None);
                let answer = Arc::new(answer);
                self.enqueue(Job {
                    key,
                    hash: Arc::clone(hash),
                    password: password.to_owned(),
                    asked,
                    answer: Arc::clone(&answer),
                })?;
                entry.insert(answer);
                Ok(Asked::Pending(pending))
            }
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), Busy> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        })
    }
}

impl Desk {
    /// Neither a name nor a password holds a NUL, so the three cannot be shifted into each other.
    fn key(&self, name: &str, password: &str, hash: &PasswordHash) -> Key {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(name.as_bytes());
        context.update(b"\0");
        context.update(password.as_bytes());
        context.update(b"\0");
        context.update(hash.as_bytes());
        let mut key = Key::default();
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    /// Takes one job and sees it through; `None` once nobody can ask any more.
    fn work(&self) -> Option<()> {
        let job = lock(&self.jobs).recv().ok()?;
        if self.is_wanted(&job) {
            self.answer(job);
        }
        Some(())
    }

    /// Under the same lock by which others join in, so that nobody joins a job that is dropped.
    fn is_wanted(&self, job: &Job) -> bool {
        let mut state = self.state();
        let is_wanted = job.answer.receiver_count() > 0;
        if !is_wanted {
            state.in_flight.remove(&job.key);
        }
        is_wanted
    }

    fn answer(&self, job: Job) {
        let verified = catch_unwind(AssertUnwindSafe(|| job.hash.verify(&job.password)));
        let is_right = verified.ok().and_then(Result::ok);
        let mut state = self.state();
        state.in_flight.remove(&job.key);
        if is_right == Some(true) {
            state.verified.insert(job.key, job.asked);
        }
        drop(state);
        if is_right.is_none() {
            tracing::warn!("a password could not be verified");
        } else {
            job.answer.send_replace(is_right);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// What is guarded is whole after each statement: a thread that panicked has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    const PASSWORD: &str = "rasmuslerdorf";
    const HASH: &str = "$2y$04$BCryptRequires22ChrcteQDi0HlnGbzOigg2i2tQ6M79Q0/bnJM6";

    fn hash() -> Arc<PasswordHash> {
        Arc::new(PasswordHash::parse(HASH).unwrap())
    }

    /// Without threads; the test does the work when it likes.
    fn idle() -> Verifier {
        Verifier::with_threads(0).unwrap()
    }

    fn queued(verifier: &Verifier) -> usize {
        lock(&verifier.desk.jobs).try_iter().count()
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn threads_answer() {
        let verifier = Verifier::start().unwrap();
        let hash = hash();
        assert_eq!(verifier.verify("ann", PASSWORD, &hash).await, Ok(true));
        assert_eq!(verifier.verify("ann", "wrong", &hash).await, Ok(false));
        assert_eq!(verifier.verify("ann", PASSWORD, &hash).await, Ok(true));
    }

    #[tokio::test]
    async fn the_same_question_is_worked_on_once() {
        let (verifier, hash) = (idle(), hash());
        let mut first = pin!(verifier.verify("ann", PASSWORD, &hash));
        let mut second = pin!(verifier.verify("ann", PASSWORD, &hash));
        let mut other = pin!(verifier.verify("ann", "wrong", &hash));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(other.as_mut()).is_pending());
        verifier.desk.work().unwrap();
        verifier.desk.work().unwrap();
        assert_eq!(queued(&verifier), 0);
        assert_eq!(first.await, Ok(true));
        assert_eq!(second.await, Ok(true));
        assert_eq!(other.await, Ok(false));
        assert!(verifier.desk.state().in_flight.is_empty());
    }

    #[tokio::test]
    async fn a_question_nobody_waits_for_is_dropped() {
        let (verifier, hash) = (idle(), hash());
        {
            let mut given_up = pin!(verifier.verify("ann", PASSWORD, &hash));
            assert!(poll(given_up.as_mut()).is_pending());
        }
        verifier.desk.work().unwrap();
        let mut state = verifier.desk.state();
        assert!(state.in_flight.is_empty());
        let key = verifier.desk.key("ann", PASSWORD, &hash);
        assert!(
            !state.verified.knows(&key, Instant::now()),
            "it was worked on"
        );
    }

    #[tokio::test]
    async fn one_who_stays_keeps_the_question() {
        let (verifier, hash) = (idle(), hash());
        let mut stays = pin!(verifier.verify("ann", PASSWORD, &hash));
        {
            let mut given_up = pin!(verifier.verify("ann", PASSWORD, &hash));
            assert!(poll(given_up.as_mut()).is_pending());
            assert!(poll(stays.as_mut()).is_pending());
        }
        verifier.desk.work().unwrap();
        assert_eq!(stays.await, Ok(true));
    }

    #[tokio::test]
    async fn a_full_queue_is_told_at_once() {
        let (verifier, hash) = (idle(), hash());
        let guesses: Vec<String> = (0..WAITING_MAX).map(|n| n.to_string()).collect();
        let mut waiting: Vec<_> = guesses
            .iter()
            .map(|guess| Box::pin(verifier.verify("ann", guess, &hash)))
            .collect();
        assert!(
            waiting
                .iter_mut()
                .all(|one| poll(one.as_mut()).is_pending())
        );
        assert_eq!(verifier.verify("ann", PASSWORD, &hash).await, Err(Busy));
        // Joining a question that is there already takes no place.
        let mut joined = pin!(verifier.verify("ann", &guesses[0], &hash));
        assert!(poll(joined.as_mut()).is_pending());

        drop(waiting.split_off(1));
        for _ in 0..WAITING_MAX {
            verifier.desk.work().unwrap();
        }
        assert_eq!(joined.await, Ok(false));
        let mut again = pin!(verifier.verify("ann", PASSWORD, &hash));
        assert!(poll(again.as_mut()).is_pending());
        verifier.desk.work().unwrap();
        assert_eq!(again.await, Ok(true));
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_in_time_is_busy() {
        let (verifier, hash) = (idle(), hash());
        let start = Instant::now();
        assert_eq!(verifier.verify("ann", PASSWORD, &hash).await, Err(Busy));
        assert_eq!(start.elapsed(), WAIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_password_is_remembered_for_a_while() {
        let (verifier, hash) = (idle(), hash());
        for (password, is_right) in [(PASSWORD, true), ("wrong", false)] {
            let mut first = pin!(verifier.verify("ann", password, &hash));
            assert!(poll(first.as_mut()).is_pending());
            verifier.desk.work().unwrap();
            assert_eq!(first.await, Ok(is_right));
        }

        assert_eq!(verifier.verify("ann", PASSWORD, &hash).await, Ok(true));
        for (name, password) in [("ann", "wrong"), ("bob", PASSWORD)] {
            assert_eq!(verifier.verify(name, password, &hash).await, Err(Busy));
        }
        let changed = Arc::new(PasswordHash::parse(&HASH.replace("$2y$", "$2b$")).unwrap());
        assert_eq!(verifier.verify("ann", PASSWORD, &changed).await, Err(Busy));

        tokio::time::advance(Duration::from_secs(6 * 60)).await;
        assert_eq!(verifier.verify("ann", PASSWORD, &hash).await, Err(Busy));
    }

    #[test]
    fn threads_end_with_the_verifier() {
        let verifier = Verifier::with_threads(2).unwrap();
        let desk = Arc::downgrade(&verifier.desk);
        drop(verifier);
        let begun = Instant::now();
        while desk.strong_count() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10), "one lives on");
            thread::yield_now();
        }
    }
}
