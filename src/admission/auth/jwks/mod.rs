//! A set of keys that somebody else changes: in a file that is followed, or at a URL that is asked from
//! time to time. What a set looks like is its reader's affair; here is how it is got and kept.
//!
//! Handshakes never wait for a fetch, and never cause one each: they take the set as it is now. The last
//! good one stays, whatever comes of later fetches, so that an outage of who publishes it costs only new
//! keys. It is `schedule` that says when to ask.

mod schedule;
#[cfg(test)]
mod tests;

use super::jwt::KEY_SET_BYTES_MAX;
use crate::causes;
use crate::config::Url;
use crate::fetch::{FetchError, Fetcher, Limits};
use crate::follow::Follower;
use crate::http::CacheControl;
use crate::tls::TlsError;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{ACCEPT, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use schedule::Schedule;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// More is no key set.
const BYTES_MAX: usize = KEY_SET_BYTES_MAX;

const LIMITS: Limits = Limits {
    body: BYTES_MAX,
    timeout: Duration::from_secs(10),
};

/// Makes a set of its text, or says what is wrong with it.
pub(super) type Reader<K> = fn(&[u8]) -> Result<K, String>;

/// The set as it is now.
#[derive(Debug)]
pub(super) struct Keys<K> {
    origin: Origin<K>,
    current: ArcSwapOption<K>,
}

#[derive(Debug)]
enum Origin<K> {
    /// It is what it is.
    Fixed,
    File {
        path: PathBuf,
        /// Asynchronous, since it is held while waiting for a change.
        follower: tokio::sync::Mutex<Follower>,
        read: Reader<K>,
    },
    // On the heap: it is large, and there is one of it.
    Url(Box<Published<K>>),
}

/// A set that is fetched.
#[derive(Debug)]
struct Published<K> {
    fetcher: Fetcher,
    read: Reader<K>,
    headers: HeaderMap,
    /// Somebody has shown a key that is not in the set.
    is_wanted: Notify,
    /// Text of the current set.
    text: Mutex<Bytes>,
}

/// Why a set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Its file cannot be read.
    #[error("key set `{}` cannot be read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no TLS to fetch it over.
    #[error("key set `{url}` cannot be fetched")]
    Setup {
        /// Where it should be fetched.
        url: String,
        /// Why.
        source: Box<TlsError>,
    },
    /// It was not fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is something else.
    #[error("the answer is {0}, not 200")]
    Status(StatusCode),
    /// It is somewhere else. Who answers does not decide where keys come from.
    #[error("the answer is {0} and leads to {1:?}: if that is right, write it as `jwks`")]
    Moved(StatusCode, HeaderValue),
    /// It is no key set.
    #[error("the key set cannot be used: {0}")]
    Content(String),
}

impl<K> Keys<K> {
    /// A set that does not change.
    pub(super) fn fixed(keys: K) -> Self {
        Self {
            origin: Origin::Fixed,
            current: ArcSwapOption::from_pointee(keys),
        }
    }

    /// The set in a file, which must be good when the gateway starts; blocks.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub(super) fn file(path: PathBuf, read: Reader<K>) -> Result<Self, KeysError> {
        // Before the first read, so that a change in between is seen.
        let follower = Follower::new(vec![path.clone()]).into();
        let keys = load(&path, read)?;
        Ok(Self {
            origin: Origin::File {
                path,
                follower,
                read,
            },
            current: ArcSwapOption::from_pointee(keys),
        })
    }

    /// The set at a URL. Nothing is fetched before [`Self::follow`] runs, so that no start waits for it.
    /// By https the roots in `ca` are trusted, or else those of the system; reads files.
    ///
    /// # Errors
    /// If those roots cannot be used.
    pub(super) fn url(url: Url, ca: Option<PathBuf>, read: Reader<K>) -> Result<Self, KeysError> {
        let shown = url.to_string();
        let fetcher = Fetcher::new(url, ca, LIMITS).map_err(|source| KeysError::Setup {
            url: shown,
            source: Box::new(source),
        })?;
        let mut headers = HeaderMap::new();
        // RFC 7517 §8.5.1, and what is used besides.
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/jwk-set+json, application/json"),
        );
        headers.insert(USER_AGENT, HeaderValue::from_static("wsgate"));
        let published = Published {
            fetcher,
            read,
            headers,
            is_wanted: Notify::new(),
            text: Mutex::default(),
        };
        Ok(Self {
            origin: Origin::Url(Box::new(published)),
            current: ArcSwapOption::empty(),
        })
    }

    /// `None`: it has never been fetched.
    pub(super) fn current(&self) -> Option<Arc<K>> {
        self.current.load_full()
    }

    /// A token names a key that is not in the set. If the set is fetched, it is fetched anew soon, for
    /// all who say so together; costs next to nothing.
    pub(super) fn unknown_kid(&self) {
        if let Origin::Url(published) = &self.origin {
            published.is_wanted.notify_one();
        }
    }
}

impl<K: Send + Sync + 'static> Keys<K> {
    /// Never ends: keeps the set up to date. What cannot be used is logged, and the last good set stays.
    pub(super) async fn follow(&self, method: &str) {
        match &self.origin {
            Origin::Fixed => std::future::pending().await,
            Origin::File {
                path,
                follower,
                read,
            } => self.follow_file(method, path, follower, *read).await,
            Origin::Url(published) => {
                let roots = published.fetcher.follow();
                tokio::join!(self.follow_url(method, published), roots);
            }
        }
    }

    /// Fetches the set once, if it is one that is fetched: for who does not live long enough for
    /// [`Self::follow`].
    ///
    /// # Errors
    /// If it cannot be had.
    pub(super) async fn fetch_now(&self, method: &str) -> Result<(), KeysError> {
        match &self.origin {
            Origin::Url(published) => self.fetch(method, published).await.map(drop),
            Origin::Fixed | Origin::File { .. } => Ok(()),
        }
    }

    async fn follow_file(
        &self,
        method: &str,
        path: &Path,
        follower: &tokio::sync::Mutex<Follower>,
        read: Reader<K>,
    ) {
        let mut follower = follower.lock().await;
        loop {
            follower.changed().await;
            let path = path.to_owned();
            let Ok(loaded) = tokio::task::spawn_blocking(move || load(&path, read)).await else {
                continue; // The runtime is ending.
            };
            let loaded = loaded.map(|keys| self.current.store(Some(Arc::new(keys))));
            if loaded.is_ok() {
                tracing::info!(method, "a key set was read again");
            }
            // Each change of the file that is wrong is news.
            Standing::Good.tell(method, loaded.err().as_ref(), true);
        }
    }

    async fn follow_url(&self, method: &str, published: &Published<K>) {
        let mut schedule = Schedule::new(Instant::now());
        let mut standing = Standing::New;
        loop {
            wait(&schedule, &published.is_wanted).await;
            forget(&published.is_wanted).await;
            let asked = Instant::now();
            let fetched = self.fetch(method, published).await;
            match &fetched {
                Ok(told) => schedule.fetched(asked, *told),
                Err(_) => schedule.failed(asked),
            }
            let has_keys = self.current.load().is_some();
            standing = standing.tell(method, fetched.err().as_ref(), has_keys);
        }
    }

    /// Fetches the set once.
    async fn fetch(
        &self,
        method: &str,
        published: &Published<K>,
    ) -> Result<CacheControl, KeysError> {
        let fetched = published.fetcher.get(&published.headers).await?;
        if fetched.status != StatusCode::OK {
            let leads_to = fetched.headers.get(LOCATION);
            return Err(match leads_to.filter(|_| fetched.status.is_redirection()) {
                Some(place) => KeysError::Moved(fetched.status, place.clone()),
                None => KeysError::Status(fetched.status),
            });
        }
        let told = CacheControl::of(&fetched.headers);
        let mut text = published
            .text
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.current.load().is_none() || *text != fetched.body {
            let keys = (published.read)(&fetched.body).map_err(KeysError::Content)?;
            self.current.store(Some(Arc::new(keys)));
            *text = fetched.body;
            tracing::info!(method, "a key set was fetched");
        }
        Ok(told)
    }
}

/// Until the set is due, or until it is wanted and may be had.
async fn wait(schedule: &Schedule, is_wanted: &Notify) {
    tokio::select! {
        () = sleep_until(schedule.due()) => {}
        () = is_wanted.notified() => sleep_until(schedule.due_if_wanted()).await,
    }
}

/// What was wanted before a fetch is answered by it.
async fn forget(is_wanted: &Notify) {
    tokio::select! {
        biased;
        () = is_wanted.notified() => {}
        () = std::future::ready(()) => {}
    }
}

fn load<K>(path: &Path, read: Reader<K>) -> Result<K, KeysError> {
    let text = read_file(path).map_err(|source| KeysError::File {
        path: path.to_owned(),
        source,
    })?;
    read(&text).map_err(KeysError::Content)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = BYTES_MAX as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut text)?;
    match text.len() > BYTES_MAX {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(text),
    }
}

/// How the last attempt ended: what is told once must not be told at every try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    New,
    Good,
    Failing,
}

impl Standing {
    /// Says what has changed, and what it is now.
    fn tell(self, method: &str, error: Option<&KeysError>, has_keys: bool) -> Self {
        match (self, error) {
            (Self::Failing, None) => tracing::info!(method, "the key set can be had again"),
            (Self::New | Self::Good, Some(error)) => {
                let error = causes::in_line(error);
                match has_keys {
                    true => tracing::warn!(
                        method,
                        error,
                        "the key set cannot be renewed, the last good one stays"
                    ),
                    false => tracing::error!(
                        method,
                        error,
                        "the key set cannot be had, until then no token can be verified"
                    ),
                }
            }
            _ => {}
        }
        match error {
            Some(_) => Self::Failing,
            None => Self::Good,
        }
    }
}
