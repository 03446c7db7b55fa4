//! `kind = "forward_auth"`: a service of the operator's decides.
//!
//! It is told what nginx's `auth_request`, Traefik's ForwardAuth and oauth2-proxy expect (`told`), and
//! what it answers is a verdict (`verdict`) or, in whatever other way, nothing: then nobody enters. A
//! verdict may be kept for equal requests (`cache`), and be asked for anew while a session lives
//! (`recheck`).

mod cache;
mod recheck;
#[cfg(test)]
mod tests;
mod told;
mod verdict;

pub use recheck::{Over, Recheck};

use super::proof::{Check, Fault, Lifetime, Proof};
use crate::admission::Ask;
use crate::causes;
use crate::config;
use crate::fetch::{Asking, Fetcher, Limits};
use crate::tls::TlsError;
use cache::{Cache, Key};
use http::{HeaderMap, HeaderName};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use told::Telling;
use verdict::{Reading, Verdict};

/// Bytes of an answer's body at most.
const BODY_MAX: usize = 64 * 1024;
/// An answer is kept no longer, whatever is configured.
const CACHE_MAX: Duration = Duration::from_secs(60 * 60);
/// Live sessions about which the service is asked at a time: they must not keep handshakes waiting.
const RECHECKS_MAX: usize = 16;

/// One `[auth.*]` of this kind.
#[derive(Debug)]
pub(super) struct Forward {
    fetcher: Fetcher,
    telling: Telling,
    reading: Reading,
    cache: Option<Cache>,
    recheck: Option<Duration>,
    rechecks: Semaphore,
    expire_session: bool,
    expire_code: u16,
}

/// A question to the service, which can be asked again.
#[derive(Debug)]
struct Question {
    asking: Asking,
    key: Option<Key>,
}

impl Forward {
    /// Reads the roots, if there are any; blocks.
    ///
    /// # Errors
    /// If the roots cannot be used.
    pub(super) fn new(method: &str, settings: &config::ForwardAuth) -> Result<Self, TlsError> {
        let limits = Limits {
            body: BODY_MAX,
            timeout: settings.timeout,
        };
        let kept_for = settings.cache.map(|kept_for| kept_for.min(CACHE_MAX));
        Ok(Self {
            fetcher: Fetcher::new(settings.url.clone(), settings.ca.clone(), limits)?,
            telling: Telling::new(settings),
            reading: Reading::new(method, settings),
            cache: kept_for.map(Cache::new),
            recheck: settings.recheck,
            rechecks: Semaphore::new(RECHECKS_MAX),
            expire_session: settings.expire_session,
            expire_code: settings.expire_code,
        })
    }

    /// Cancel-safe: dropping it ends the request to the service.
    pub(super) async fn check(self: &Arc<Self>, ask: &Ask<'_>) -> Check {
        let question = self.question(&self.telling.headers(ask));
        let known = self.kept(&question);
        let verdict = match known {
            Some(verdict) => verdict,
            None => match self.ask(&question).await {
                Ok(verdict) => verdict,
                Err(fault) => return Check::Unavailable(fault),
            },
        };
        match verdict {
            Verdict::Admits(admission) => Check::Admitted(Box::new(Proof {
                lifetime: self.lifetime(admission.good_until),
                headers: admission.headers.clone(),
                recheck: self.recheck.map(|every| {
                    let forward = Arc::clone(self);
                    Arc::new(Recheck::new(forward, question, &admission, every))
                }),
                ..Proof::of(admission.identity)
            })),
            Verdict::Refuses(answer) => Check::Answered(answer),
        }
    }

    /// What the upstream is told in, and what the service says who somebody is by: no client can.
    pub(super) fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.reading.header_names()
    }

    /// Follows the file with the roots; never ends.
    pub(super) async fn follow(&self) {
        self.fetcher.follow().await;
    }

    fn question(&self, headers: &HeaderMap) -> Question {
        Question {
            asking: self.fetcher.asking(headers),
            key: self.cache.as_ref().map(|cache| cache.key(headers)),
        }
    }

    fn kept(&self, question: &Question) -> Option<Verdict> {
        let (cache, key) = self.cache.as_ref().zip(question.key.as_ref())?;
        cache.get(key, Instant::now())
    }

    /// Asks the service, whatever it has said before.
    async fn ask(&self, question: &Question) -> Result<Verdict, Fault> {
        let asked = Instant::now();
        let fetched = self.fetcher.send(&question.asking).await;
        let fetched = fetched.map_err(|error| {
            let why = causes::in_line(&error);
            Fault(format!("the service was not asked: {why}").into())
        })?;
        let verdict = self.reading.read(asked, &fetched);
        if let (Some(cache), Some(key)) = (&self.cache, &question.key) {
            match &verdict {
                Ok(verdict) => cache.keep(*key, asked, verdict, &fetched.headers),
                // What it said before may be no longer so.
                Err(_) => cache.forget(key),
            }
        }
        verdict
    }

    /// Where the service is asked again it is that which ends a session.
    fn lifetime(&self, good_until: Option<Instant>) -> Option<Lifetime> {
        let ends = good_until.filter(|_| self.expire_session && self.recheck.is_none())?;
        Some(Lifetime {
            ends,
            code: self.expire_code,
        })
    }
}
