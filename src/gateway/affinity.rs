//! What binds a client to an endpoint: the key of its request, and the cookie that it is given where
//! the gateway issues one.

use super::request::Story;
use super::service::Service;
use crate::admission::Permit;
use crate::config::{Affinity as Settings, HashKey, IssuedCookie, SameSite};
use crate::http::{Scheme, Target, cookie, opaque_value, query};
use crate::upstream::Affinity;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

/// The bond of one request.
#[derive(Debug, Default)]
pub(super) struct Bond {
    /// For the choice of an endpoint; `None`: any will do.
    pub(super) affinity: Option<Affinity>,
    /// The cookie that the answer sets.
    issued: Option<HeaderValue>,
}

impl Bond {
    /// Of an admitted request, whose headers are as the client sent them.
    pub(super) fn of(
        story: &Story<'_>,
        service: &Service,
        permit: &Permit,
        headers: &HeaderMap,
        target: &Target,
    ) -> Self {
        let Some(settings) = &service.affinity else {
            return Self::default();
        };
        let found = key(settings, story, permit, headers, target);
        match (found, &settings.key, settings.issue) {
            (Some(affinity), _, _) => Self {
                affinity: Some(affinity),
                issued: None,
            },
            (None, HashKey::Cookie(name), Some(issue)) => {
                let (affinity, value) = service.pool.spread(|| {
                    let value = opaque_value();
                    (Affinity::of(value.as_bytes()), value)
                });
                Self {
                    affinity: Some(affinity),
                    issued: set_cookie(name, &value, issue, story.client.scheme),
                }
            }
            (None, _, _) => Self::default(),
        }
    }

    /// Adds the cookie to the answer.
    pub(super) fn apply(&self, answer: &mut HeaderMap) {
        if let Some(cookie) = &self.issued {
            answer.append(SET_COOKIE, cookie.clone());
        }
    }
}

fn key(
    settings: &Settings,
    story: &Story<'_>,
    permit: &Permit,
    headers: &HeaderMap,
    target: &Target,
) -> Option<Affinity> {
    match &settings.key {
        HashKey::ClientIp => {
            let address = story.client.address?;
            Some(Affinity::of(address.to_string().as_bytes()))
        }
        HashKey::Path => Some(Affinity::of(target.path.as_bytes())),
        HashKey::Identity => {
            let identity = permit.identity()?;
            Some(Affinity::of(identity.to_string().as_bytes()))
        }
        HashKey::Header(name) => {
            let value = headers.get(name)?;
            Some(Affinity::of(value.as_bytes()))
        }
        HashKey::Cookie(name) => cookie::read(headers, name)
            .filter(|value| !value.is_empty())
            .map(Affinity::of),
        HashKey::Query(name) => {
            let value = query::read(target.query.as_deref()?, name)?;
            Some(Affinity::of(&value))
        }
    }
}

/// RFC 6265 §4.1. Scripts have no use for it; `SameSite=None` needs `Secure`, and that needs https.
/// Browsers that give pages no cookies of other sites still give them `Partitioned` ones, kept apart
/// for each site that a page is of; the others don't know the word.
fn set_cookie(name: &str, value: &str, issue: IssuedCookie, scheme: Scheme) -> Option<HeaderValue> {
    let is_secure = scheme == Scheme::Https;
    let same_site = match issue.same_site {
        SameSite::Strict => "Strict",
        SameSite::None if is_secure => "None; Partitioned",
        SameSite::None | SameSite::Lax => "Lax",
    };
    let mut cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}");
    if is_secure {
        cookie += "; Secure";
    }
    if let Some(age) = issue.max_age {
        cookie += &format!("; Max-Age={}", age.as_secs());
    }
    HeaderValue::from_str(&cookie).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_cookie_says_what_browsers_need_to_hear() {
        let hour = Some(Duration::from_secs(3600));
        for (same_site, max_age, scheme, expected) in [
            (
                SameSite::Lax,
                None,
                Scheme::Http,
                "a=1; Path=/; HttpOnly; SameSite=Lax",
            ),
            (
                SameSite::None,
                None,
                Scheme::Https,
                "a=1; Path=/; HttpOnly; SameSite=None; Partitioned; Secure",
            ),
            (
                SameSite::None,
                None,
                Scheme::Http,
                "a=1; Path=/; HttpOnly; SameSite=Lax",
            ),
            (
                SameSite::Strict,
                hour,
                Scheme::Https,
                "a=1; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=3600",
            ),
        ] {
            let issue = IssuedCookie { same_site, max_age };
            assert_eq!(set_cookie("a", "1", issue, scheme).unwrap(), expected);
        }
    }
}
