//! What an answer of the service means. What is not clearly a yes or a no is neither.

use super::super::proof::{Fault, ServiceAnswer};
use crate::admission::Identity;
use crate::config;
use crate::fetch::Fetched;
use crate::http::CacheControl;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

/// Bytes of a user's name at most.
const NAME_MAX: usize = 256;

/// Who is admitted without a name; see `identity_header`.
const NAMELESS: &str = "anonymous";

/// What of a refusal reaches the client. Nothing else, so that a service cannot do to a client's
/// connection what only the gateway may.
const FOR_CLIENTS: [HeaderName; 5] = [
    CACHE_CONTROL,
    CONTENT_TYPE,
    LOCATION,
    SET_COOKIE,
    WWW_AUTHENTICATE,
];

/// What the service has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Admits(Admission),
    Refuses(Box<ServiceAnswer>),
}

/// The client may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) identity: Identity,
    /// For the upstream.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// What the service has said of it; `None`: nothing.
    pub(super) good_until: Option<Instant>,
}

/// How answers are read.
#[derive(Debug)]
pub(super) struct Reading {
    method: Box<str>,
    copied: Vec<HeaderName>,
    identity: Option<HeaderName>,
}

impl Reading {
    pub(super) fn new(method: &str, settings: &config::ForwardAuth) -> Self {
        // The configuration knows no other names.
        let name = |name: &String| HeaderName::from_bytes(name.as_bytes()).ok();
        Self {
            method: method.into(),
            copied: settings.copy_headers.iter().filter_map(name).collect(),
            identity: settings.identity_header.as_ref().and_then(name),
        }
    }

    /// See [`super::Forward::header_names`].
    pub(super) fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.copied.iter().chain(&self.identity)
    }

    /// The answer to a question that was asked at `asked`.
    pub(super) fn read(&self, asked: Instant, fetched: &Fetched) -> Result<Verdict, Fault> {
        match fetched.status {
            status if status.is_success() => self.admission(asked, fetched).map(Verdict::Admits),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(refusal(fetched)),
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
                if fetched.headers.contains_key(LOCATION) =>
            {
                Ok(refusal(fetched))
            }
            status => Err(Fault(
                format!("the service answered {}", status.as_u16()).into(),
            )),
        }
    }

    fn admission(&self, asked: Instant, fetched: &Fetched) -> Result<Admission, Fault> {
        let name = self.name(&fetched.headers)?;
        let identity = Identity::new(&*self.method, name).ok_or(Fault::of(
            "the service named a user with control characters",
        ))?;
        let copy = |name: &HeaderName| {
            let values = fetched.headers.get_all(name).into_iter().cloned();
            values
                .map(|value| (name.clone(), value))
                .collect::<Vec<_>>()
        };
        Ok(Admission {
            identity,
            headers: self.copied.iter().flat_map(copy).collect(),
            good_until: good_until(asked, &fetched.headers),
        })
    }

    fn name<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, Fault> {
        let Some(header) = &self.identity else {
            return Ok(NAMELESS);
        };
        let mut values = headers.get_all(header).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Fault(
                format!("the service admitted without one `{header}`").into(),
            ));
        };
        let name = str::from_utf8(value.as_bytes()).ok();
        name.filter(|name| (1..=NAME_MAX).contains(&name.len()))
            .ok_or_else(|| Fault(format!("the service named nobody in `{header}`").into()))
    }
}

/// What is good for no time at all is merely not to be kept: many frameworks say so of all they answer.
fn good_until(asked: Instant, headers: &HeaderMap) -> Option<Instant> {
    let told = CacheControl::of(headers);
    let max_age = told.max_age.filter(|_| !told.is_forbidden)?;
    (!max_age.is_zero()).then(|| asked + max_age)
}

fn refusal(fetched: &Fetched) -> Verdict {
    let mut headers = HeaderMap::new();
    for name in FOR_CLIENTS {
        for value in fetched.headers.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    Verdict::Refuses(Box::new(ServiceAnswer {
        status: fetched.status,
        headers,
        body: fetched.body.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    fn fetched(status: u16, lines: &[(&'static str, &str)]) -> Fetched {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Fetched {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(b"hm"),
        }
    }

    fn read(status: u16, lines: &[(&'static str, &str)]) -> Result<Verdict, String> {
        let reading = Reading::new("portal", &settings(80));
        let verdict = reading.read(Instant::now(), &fetched(status, lines));
        verdict.map_err(|fault| fault.to_string())
    }

    const ANN: (&str, &str) = ("x-auth-request-user", "ann");

    #[test]
    fn only_2xx_with_a_name_admits() {
        for status in [200, 202, 204, 299] {
            let Ok(Verdict::Admits(admission)) = read(status, &[ANN, ("server", "x")]) else {
                panic!("{status}");
            };
            assert_eq!(admission.identity.to_string(), "portal:ann");
            assert_eq!(admission.headers.len(), 1);
            assert_eq!(admission.good_until, None);
        }
        let long = "n".repeat(NAME_MAX + 1);
        for lines in [
            &[][..],
            &[("x-auth-request-user", "")],
            &[ANN, ("x-auth-request-user", "bob")],
            &[("x-auth-request-user", &long)],
            &[("x-auth-request-user", "a\tb")],
            &[("x-auth-request-email", "ann@example.com")],
        ] {
            assert!(read(200, lines).is_err(), "{lines:?}");
        }
        let latin1 = Fetched {
            headers: HeaderMap::from_iter([(
                HeaderName::from_static("x-auth-request-user"),
                HeaderValue::from_bytes(b"zo\xeb").unwrap(),
            )]),
            ..fetched(200, &[])
        };
        let reading = Reading::new("portal", &settings(80));
        assert!(reading.read(Instant::now(), &latin1).is_err());
    }

    #[test]
    fn without_a_header_for_it_nobody_has_a_name() {
        let settings = config::ForwardAuth {
            identity_header: None,
            copy_headers: Vec::new(),
            ..settings(80)
        };
        let reading = Reading::new("portal", &settings);
        let read = reading.read(Instant::now(), &fetched(204, &[ANN]));
        let Ok(Verdict::Admits(admission)) = read else {
            panic!("{read:?}");
        };
        assert_eq!(admission.identity.to_string(), "portal:anonymous");
        assert_eq!(admission.headers, []);
    }

    #[test]
    fn refusals_reach_the_client_without_what_is_not_for_it() {
        let lines = [
            ("location", "https://login.example.com/?rd=x"),
            ("set-cookie", "csrf=1"),
            ("set-cookie", "b=2"),
            ("www-authenticate", "Bearer"),
            ("content-type", "text/html"),
            ("cache-control", "no-store"),
            ("connection", "x"),
            ("transfer-encoding", "chunked"),
            ("strict-transport-security", "max-age=1"),
            ("x-auth-request-user", "ann"),
            ("sec-websocket-accept", "x"),
        ];
        for status in [301, 302, 303, 307, 308, 401, 403] {
            let Ok(Verdict::Refuses(answer)) = read(status, &lines) else {
                panic!("{status}");
            };
            assert_eq!(answer.status.as_u16(), status);
            assert_eq!(answer.body, "hm");
            assert_eq!(answer.headers.len(), 6);
            assert_eq!(answer.headers.get_all(SET_COOKIE).iter().count(), 2);
            let is_for_clients = |name: &HeaderName| FOR_CLIENTS.contains(name);
            assert!(answer.headers.keys().all(is_for_clients));
        }
    }

    #[test]
    fn whatever_else_a_service_says_admits_nobody() {
        for status in [
            300, 304, 400, 402, 404, 405, 407, 429, 431, 500, 502, 503, 504,
        ] {
            let lines = [ANN, ("location", "/")];
            assert_eq!(
                read(status, &lines),
                Err(format!("the service answered {status}"))
            );
        }
        // A redirect to nowhere.
        assert_eq!(
            read(302, &[ANN]),
            Err("the service answered 302".to_owned())
        );
    }

    #[test]
    fn its_age_bounds_an_admission_unless_it_has_none() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (told, expected) in [
            ("max-age=60", seconds(60)),
            ("private, max-age=5", seconds(5)),
            ("max-age=0, must-revalidate", None),
            ("no-cache, max-age=60", None),
            ("private", None),
        ] {
            let asked = Instant::now();
            let reading = Reading::new("portal", &settings(80));
            let lines = [ANN, ("cache-control", told)];
            let read = reading.read(asked, &fetched(200, &lines));
            let Ok(Verdict::Admits(admission)) = read else {
                panic!("{read:?}");
            };
            let good_for = admission.good_until.map(|until| until - asked);
            assert_eq!(good_for, expected, "{told}");
        }
    }
}
