//! Verdicts for requests that come again, as they do after a restart of whatever is behind.
//!
//! A verdict is for all that the service saw: method, host, path and query, addresses, every header. A
//! key over less would admit one client by the answer to another. Entries are known by a keyed hash of
//! that, and bounded in number and size by two generations: when the young one is full it becomes the
//! old one, and what was not asked for since then is gone.

use super::verdict::Verdict;
use crate::http::CacheControl;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use http::header::{HeaderMap, SET_COOKIE};
use std::collections::HashMap;
use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Keyed hash of a question.
pub(super) type Key = [u8; 32];

/// Entries of a generation.
const ENTRIES_MAX: usize = 10_000;
/// Bytes of a generation.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// What an entry takes besides its headers and body.
const ENTRY: usize = 256;

/// The gateway's name for a request is no part of what is asked.
const REQUEST_ID: &str = "x-request-id";

/// The verdicts of one service.
#[derive(Debug)]
pub(super) struct Cache {
    kept_for: Duration,
    /// Of this process alone, so that keys tell nothing and cannot be aimed at.
    secret: hmac::Key,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
    young_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    verdict: Verdict,
    until: Instant,
}

impl Cache {
    /// Keeps each verdict for `kept_for` at most.
    pub(super) fn new(kept_for: Duration) -> Self {
        let secret = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            kept_for,
            // aws-lc aborts the process rather than run short of entropy; a key that is known would do no
            // more than let keys be aimed at.
            secret: secret.unwrap_or_else(|_| hmac::Key::new(hmac::HMAC_SHA256, &[])),
            generations: Mutex::default(),
        }
    }

    /// Of the question with these headers, in which method, host and path stand too.
    pub(super) fn key(&self, headers: &HeaderMap) -> Key {
        let mut context = hmac::Context::with_key(&self.secret);
        for (name, value) in headers {
            if name != REQUEST_ID {
                for part in [name.as_str().as_bytes(), value.as_bytes()] {
                    // With its length: no two questions are the same bytes.
                    context.update(&(part.len() as u64).to_le_bytes());
                    context.update(part);
                }
            }
        }
        let mut key = Key::default();
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    /// What is known.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Verdict> {
        let mut generations = self.lock();
        let entry = generations.take(key).filter(|entry| now < entry.until)?;
        let verdict = entry.verdict.clone();
        generations.put(*key, entry);
        Some(verdict)
    }

    /// Keeps what the service answered with `headers` to a question of `asked`, if it may be kept.
    pub(super) fn keep(&self, key: Key, asked: Instant, verdict: &Verdict, headers: &HeaderMap) {
        let mut generations = self.lock();
        generations.take(&key);
        if let Some(good_for) = self.good_for(verdict, headers) {
            let entry = Entry {
                verdict: verdict.clone(),
                until: asked + good_for,
            };
            generations.put(key, entry);
        }
    }

    /// What was known is no longer so.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().take(key);
    }

    /// `None`: it is for once. A redirect to a login and a cookie are of one visit each.
    fn good_for(&self, verdict: &Verdict, headers: &HeaderMap) -> Option<Duration> {
        let told = CacheControl::of(headers);
        let is_redirect = match verdict {
            Verdict::Refuses(answer) => answer.status.is_redirection(),
            Verdict::Admits(_) => false,
        };
        let is_kept = !is_redirect && !told.is_forbidden && !headers.contains_key(SET_COOKIE);
        let most = told.max_age.unwrap_or(self.kept_for);
        Some(self.kept_for.min(most)).filter(|good_for| is_kept && !good_for.is_zero())
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn take(&mut self, key: &Key) -> Option<Entry> {
        if let Some(entry) = self.young.remove(key) {
            self.young_bytes -= entry.bytes();
            return Some(entry);
        }
        self.old.remove(key)
    }

    fn put(&mut self, key: Key, entry: Entry) {
        let bytes = entry.bytes();
        if self.young.len() >= ENTRIES_MAX || self.young_bytes + bytes > BYTES_MAX {
            self.old = take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(key, entry);
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        let own = match &self.verdict {
            Verdict::Admits(admission) => {
                let headers = admission.headers.iter();
                headers
                    .map(|(name, value)| line(name.as_str(), value))
                    .sum()
            }
            Verdict::Refuses(answer) => {
                let headers = answer.headers.iter();
                let headers = headers.map(|(name, value)| line(name.as_str(), value));
                headers.sum::<usize>() + answer.body.len()
            }
        };
        ENTRY + own
    }
}

/// With what a map of headers takes for it.
fn line(name: &str, value: &http::HeaderValue) -> usize {
    96 + name.len() + value.len()
}

#[cfg(test)]
mod tests {
    use super::super::super::proof::ServiceAnswer;
    use super::super::verdict::Admission;
    use super::*;
    use crate::admission::Identity;
    use bytes::Bytes;
    use http::{HeaderValue, StatusCode};

    const TEN: Duration = Duration::from_secs(10);

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn admits(name: &str) -> Verdict {
        Verdict::Admits(Admission {
            identity: Identity::new("portal", name).unwrap(),
            headers: Vec::new(),
            good_until: None,
        })
    }

    fn refuses(status: StatusCode, body: Bytes) -> Verdict {
        Verdict::Refuses(Box::new(ServiceAnswer {
            status,
            headers: HeaderMap::new(),
            body,
        }))
    }

    #[test]
    fn whatever_the_service_sees_makes_another_question() {
        let cache = Cache::new(TEN);
        let base = [
            ("cookie", "a=1"),
            ("authorization", "Bearer x"),
            ("x-forwarded-method", "GET"),
            ("x-forwarded-host", "a.example"),
            ("x-forwarded-uri", "/chat?room=1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("user-agent", "x"),
        ];
        let key = cache.key(&headers(&base));
        assert_eq!(cache.key(&headers(&base)), key);
        for at in 0..base.len() {
            let mut other = base;
            other[at].1 = "other";
            assert_ne!(cache.key(&headers(&other)), key, "{}", other[at].0);
            let mut less = base.to_vec();
            less.remove(at);
            assert_ne!(cache.key(&headers(&less)), key, "without {}", base[at].0);
        }
        // What is one header's must not count as another's.
        let (one, two) = ([("a", "bc"), ("d", "e")], [("a", "b"), ("cd", "e")]);
        assert_ne!(cache.key(&headers(&one)), cache.key(&headers(&two)));
        // The same question under another request id.
        let (first, again) = ([("x-request-id", "1")], [("x-request-id", "2")]);
        assert_eq!(cache.key(&headers(&first)), cache.key(&headers(&again)));
        // Keys of one process say nothing to another.
        assert_ne!(Cache::new(TEN).key(&headers(&base)), key);
    }

    #[test]
    fn answers_say_for_how_long_they_are_kept() {
        let second = Duration::from_secs(1);
        let (found, forbidden) = (StatusCode::FOUND, StatusCode::FORBIDDEN);
        for (verdict, lines, kept) in [
            (admits("ann"), &[][..], Some(10)),
            (admits("ann"), &[("cache-control", "max-age=3")], Some(3)),
            (admits("ann"), &[("cache-control", "max-age=300")], Some(10)),
            (admits("ann"), &[("cache-control", "max-age=0")], None),
            (admits("ann"), &[("cache-control", "no-store")], None),
            (
                admits("ann"),
                &[("cache-control", "no-cache, max-age=3")],
                None,
            ),
            (admits("ann"), &[("set-cookie", "a=1")], None),
            (refuses(forbidden, Bytes::new()), &[], Some(10)),
            (
                refuses(forbidden, Bytes::new()),
                &[("set-cookie", "csrf=1")],
                None,
            ),
            (refuses(found, Bytes::new()), &[], None),
        ] {
            let (cache, asked) = (Cache::new(TEN), Instant::now());
            cache.keep([1; 32], asked, &verdict, &headers(lines));
            let known = |after| cache.get(&[1; 32], asked + after);
            match kept {
                Some(seconds) => {
                    assert_eq!(
                        known(second * seconds - second / 2),
                        Some(verdict),
                        "{lines:?}"
                    );
                    assert_eq!(known(second * seconds), None, "{lines:?}");
                }
                None => assert_eq!(known(Duration::ZERO), None, "{lines:?}"),
            }
        }
    }

    #[test]
    fn a_new_answer_takes_the_place_of_the_old_one() {
        let (cache, now) = (Cache::new(TEN), Instant::now());
        cache.keep([1; 32], now, &admits("ann"), &HeaderMap::new());
        let refused = refuses(StatusCode::FORBIDDEN, Bytes::new());
        cache.keep([1; 32], now, &refused, &HeaderMap::new());
        assert_eq!(cache.get(&[1; 32], now), Some(refused));
        let not_kept = headers(&[("cache-control", "no-store")]);
        cache.keep([1; 32], now, &admits("ann"), &not_kept);
        assert_eq!(cache.get(&[1; 32], now), None);
        cache.keep([1; 32], now, &admits("ann"), &HeaderMap::new());
        cache.forget(&[1; 32]);
        assert_eq!(cache.get(&[1; 32], now), None);
    }

    fn numbered(number: usize) -> Key {
        let mut key = Key::default();
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn number_and_size_are_bounded_and_used_ones_stay() {
        let (cache, now) = (Cache::new(TEN), Instant::now());
        let large = refuses(StatusCode::FORBIDDEN, Bytes::from(vec![0; 64 * 1024]));
        for number in 1..30_000 {
            cache.keep(numbered(0), now, &admits("ann"), &HeaderMap::new());
            let verdict = if number % 100 == 0 {
                &large
            } else {
                &admits("bob")
            };
            cache.keep(numbered(number), now, verdict, &HeaderMap::new());
            assert_eq!(cache.get(&numbered(0), now), Some(admits("ann")));
            let generations = cache.lock();
            let entries = generations.young.values().chain(generations.old.values());
            if number % 1000 == 0 {
                assert!(entries.map(Entry::bytes).sum::<usize>() <= 2 * BYTES_MAX);
            }
            assert!(generations.young.len() <= ENTRIES_MAX);
        }
        assert_eq!(cache.get(&numbered(1), now), None);
        let generations = cache.lock();
        let bytes: usize = generations.young.values().map(Entry::bytes).sum();
        assert_eq!(bytes, generations.young_bytes);
    }
}
