//! `kind = "api_key"`: long random keys, of which only the SHA-256 is known here.
//!
//! A key has no guessable structure, so a fast hash serves; each one presented is compared with
//! all that are configured, in constant time, whether one fits or not.

use super::source::Source;
use super::{Check, MethodError};
use crate::admission::{Ask, Identity};
use crate::config;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// A longer one is wrong, unread.
const KEY_BYTES_MAX: usize = 1024;

const UNKNOWN: &str = "the key is not known";

/// One `[auth.*]` of this kind.
#[derive(Debug)]
pub(super) struct ApiKeys {
    keys: Vec<Key>,
    sources: Vec<Source>,
}

struct Key {
    identity: Identity,
    sha256: [u8; 32],
}

impl ApiKeys {
    pub(super) fn new(method: &str, settings: &config::ApiKeys) -> Result<Self, MethodError> {
        let key = |key: &config::ApiKey| match Identity::new(method, &*key.name) {
            Some(identity) => Ok(Key {
                identity,
                sha256: key.sha256,
            }),
            None => Err(MethodError::KeyName {
                method: method.to_owned(),
            }),
        };
        Ok(Self {
            keys: settings.keys.iter().map(key).collect::<Result<_, _>>()?,
            sources: super::sources(method, &settings.sources)?,
        })
    }

    /// The first place where there is a key decides.
    pub(super) fn check(&self, ask: &Ask<'_>) -> Check {
        let mut presented = self.sources.iter().filter_map(|one| one.read(ask));
        match presented.find(|key| !key.is_empty()) {
            None => Check::Absent,
            Some(key) if key.len() > KEY_BYTES_MAX => Check::wrong("the key is too long"),
            Some(key) => match self.identity_of(&key) {
                Some(identity) => Check::admitted(identity),
                None => Check::wrong(UNKNOWN),
            },
        }
    }

    fn identity_of(&self, presented: &[u8]) -> Option<Identity> {
        let presented = digest(&SHA256, presented);
        let is_equal = |key: &[u8]| verify_slices_are_equal(presented.as_ref(), key).is_ok();
        self.find(is_equal).map(|key| key.identity.clone())
    }

    /// Compares with every key, also after one has fitted.
    fn find(&self, mut is_equal: impl FnMut(&[u8]) -> bool) -> Option<&Key> {
        let mut found = None;
        for key in &self.keys {
            if is_equal(&key.sha256) {
                found = Some(key);
            }
        }
        found
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        self.sources.clone()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CredentialSource;
    use http::HeaderMap;

    fn sha256(key: &str) -> [u8; 32] {
        digest(&SHA256, key.as_bytes()).as_ref().try_into().unwrap()
    }

    fn api_keys(keys: &[(&str, &str)]) -> ApiKeys {
        let key = |(name, key): &(&str, &str)| config::ApiKey {
            name: (*name).to_owned(),
            sha256: sha256(key),
        };
        let settings = config::ApiKeys {
            keys: keys.iter().map(key).collect(),
            sources: vec![
                CredentialSource::Header("x-api-key".into()),
                CredentialSource::Header("authorization".into()),
                CredentialSource::Cookie("key".into()),
                CredentialSource::Query("key".into()),
            ],
        };
        ApiKeys::new("robots", &settings).unwrap()
    }

    #[test]
    fn keys_are_found_in_every_source_and_the_first_decides() {
        let keys = api_keys(&[("ci", "KEY-1"), ("bot", "KEY 2+")]);
        let named = |name| Check::admitted(Identity::new("robots", name).unwrap());
        for (lines, query, expected) in [
            (&[("x-api-key", "KEY-1")][..], None, named("ci")),
            (&[("x-api-key", "KEY 2+")], None, named("bot")),
            (&[("authorization", "Bearer KEY-1")], None, named("ci")),
            (&[("authorization", "bearer KEY 2+")], None, named("bot")),
            (&[("authorization", "KEY-1")], None, named("ci")),
            (&[("authorization", "Basic KEY-1")], None, Check::Absent),
            (&[("cookie", "a=1; key=KEY-1")], None, named("ci")),
            (&[], Some("a=1&key=KEY%202+"), named("bot")),
            (&[], Some("a=1&%6bey=%4bEY-1"), named("ci")),
            (&[], Some("key="), Check::Absent),
            (&[("x-api-key", "")], Some("key=KEY-1"), named("ci")),
            (
                &[("x-api-key", "WRONG")],
                Some("key=KEY-1"),
                Check::wrong(UNKNOWN),
            ),
            (
                &[("cookie", "key=WRONG")],
                Some("key=KEY-1"),
                Check::wrong(UNKNOWN),
            ),
            (&[("x-api-key", "KEY-1")], Some("key=WRONG"), named("ci")),
            (&[("x-api-key", "key-1")], None, Check::wrong(UNKNOWN)),
            (&[], None, Check::Absent),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(
                keys.check(&Ask::of(&headers, query)),
                expected,
                "{lines:?} {query:?}"
            );
        }
    }

    #[test]
    fn a_huge_key_is_wrong_unread() {
        let huge = "K".repeat(1024 * 1024);
        let longest = "K".repeat(KEY_BYTES_MAX);
        let keys = api_keys(&[("huge", &huge), ("longest", &longest)]);
        let check = |key: &str| {
            let query = format!("key={key}");
            keys.check(&Ask::of(&HeaderMap::new(), Some(&query)))
        };
        assert_eq!(check(&huge), Check::wrong("the key is too long"));
        assert_eq!(
            check(&longest),
            Check::admitted(Identity::new("robots", "longest").unwrap())
        );
    }

    #[test]
    fn every_key_is_compared_whichever_fits() {
        let keys = api_keys(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        for presented in ["1", "2", "4", "none"] {
            let mut compared = 0;
            let found = keys.find(|key| {
                compared += 1;
                key == sha256(presented)
            });
            assert_eq!(compared, 4);
            assert_eq!(found.is_some(), presented != "none");
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let shown = format!("{:?}", api_keys(&[("ci", "1")]));
        assert!(shown.contains("ci"));
        assert!(!shown.contains(&sha256("1")[0].to_string()), "{shown}");
    }
}
