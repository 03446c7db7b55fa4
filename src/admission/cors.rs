//! What pages of other origins may ask for and read (Fetch Standard §3.2, CORS).
//!
//! Pure: header maps in, header maps out. Whether an origin is admitted at all is `origin`'s to say;
//! here is what its pages are told.

use crate::config;
use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use thiserror::Error;

/// `[routes.cors]`, compiled.
#[derive(Debug, Clone)]
pub struct CorsRule {
    methods: Vec<Method>,
    headers: Vec<HeaderName>,
    /// As they are told.
    allow_methods: HeaderValue,
    allow_headers: Option<HeaderValue>,
    expose_headers: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

/// Why a preflight is refused, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CorsRefusal {
    /// A method that is not listed, or more than one.
    #[error("pages may not use this method")]
    Method,
    /// A header that is not listed.
    #[error("pages may not send the header `{0}`")]
    Header(String),
}

/// Whether a browser asks what a page may do, instead of doing it.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl CorsRule {
    /// Compiles the settings of a route.
    pub fn new(settings: &config::Cors) -> Self {
        let methods: Vec<&str> = settings.methods.iter().map(Method::as_str).collect();
        let max_age = settings.max_age.map_or(0, |age| age.as_secs());
        Self {
            methods: settings.methods.clone(),
            headers: settings.headers.clone(),
            allow_methods: joined(&methods).unwrap_or(HeaderValue::from_static("")),
            allow_headers: named(&settings.headers),
            expose_headers: named(&settings.expose_headers),
            credentials: settings.credentials,
            max_age: max_age.into(),
        }
    }

    /// The headers that answer a preflight from an admitted origin, but for those of [`Self::mark`].
    /// Access to private networks is not granted: it is not asked for by those who are meant here.
    pub fn preflight(&self, asked: &HeaderMap) -> Result<HeaderMap, CorsRefusal> {
        self.check_method(asked)?;
        self.check_headers(asked)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.allow_methods.clone());
        if let Some(allowed) = &self.allow_headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        Ok(headers)
    }

    /// Marks the answer to an actual request, or to a preflight: pages of `origin` may read it, if it
    /// is an admitted one; nobody else's may. Whatever the upstream said of this is replaced.
    pub fn mark(&self, origin: Option<&HeaderValue>, is_preflight: bool, answer: &mut HeaderMap) {
        if !is_preflight {
            for name in &OF_CORS {
                answer.remove(name);
            }
        }
        vary(is_preflight, answer);
        let Some(origin) = origin else { return };
        // Never `*`: it would be no word about this origin, and void with credentials.
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        if let Some(exposed) = &self.expose_headers
            && !is_preflight
        {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    fn check_method(&self, asked: &HeaderMap) -> Result<(), CorsRefusal> {
        let mut methods = asked.get_all(ACCESS_CONTROL_REQUEST_METHOD).into_iter();
        let method = methods
            .next()
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let is_listed = self
            .methods
            .iter()
            .any(|listed| listed.as_str().as_bytes() == method);
        match is_listed && methods.next().is_none() {
            true => Ok(()),
            false => Err(CorsRefusal::Method),
        }
    }

    fn check_headers(&self, asked: &HeaderMap) -> Result<(), CorsRefusal> {
        let lines = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).into_iter();
        let names = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        for name in names
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
        {
            let is_listed = self
                .headers
                .iter()
                .any(|listed| listed.as_str().as_bytes().eq_ignore_ascii_case(name));
            if !is_listed {
                return Err(CorsRefusal::Header(name.escape_ascii().to_string()));
            }
        }
        Ok(())
    }
}

/// What depends on who asks must not be given to another out of a cache.
fn vary(is_preflight: bool, answer: &mut HeaderMap) {
    answer.append(VARY, HeaderValue::from_static("Origin"));
    if is_preflight {
        let rest = "Access-Control-Request-Method, Access-Control-Request-Headers";
        answer.append(VARY, HeaderValue::from_static(rest));
    }
}

fn named(names: &[HeaderName]) -> Option<HeaderValue> {
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    joined(&names)
}

/// `None` of nothing.
fn joined(names: &[&str]) -> Option<HeaderValue> {
    let list = HeaderValue::try_from(names.join(", ")).ok();
    list.filter(|_| !names.is_empty())
}

/// All that an upstream could say of it.
static OF_CORS: [HeaderName; 8] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
    HeaderName::from_static("access-control-allow-local-network"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PAGE: HeaderValue = HeaderValue::from_static("https://app.example.com");

    fn rule(credentials: bool) -> CorsRule {
        CorsRule::new(&config::Cors {
            methods: vec![Method::GET, Method::POST, Method::DELETE],
            headers: vec![
                HeaderName::from_static("content-type"),
                HeaderName::from_static("x-token"),
            ],
            expose_headers: vec![HeaderName::from_static("x-total")],
            credentials,
            max_age: Some(Duration::from_secs(600)),
        })
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_preflight_is_known_by_three_things() {
        let both = [
            ("origin", "https://a"),
            ("access-control-request-method", "PUT"),
        ];
        for (method, lines, expected) in [
            (Method::OPTIONS, &both[..], true),
            (Method::OPTIONS, &both[..1], false),
            (Method::OPTIONS, &both[1..], false),
            (Method::GET, &both, false),
        ] {
            let found = is_preflight(&method, &headers(lines));
            assert_eq!(found, expected, "{method} {lines:?}");
        }
    }

    #[test]
    fn a_preflight_is_granted_what_is_listed_and_all_of_it() {
        use CorsRefusal::{Header, Method};
        let (method, names) = (
            "access-control-request-method",
            "access-control-request-headers",
        );
        for (lines, expected) in [
            (&[(method, "DELETE")][..], Ok(())),
            (&[(method, "POST"), (names, "content-type")], Ok(())),
            (
                &[(method, "POST"), (names, "X-Token, ,content-type,")],
                Ok(()),
            ),
            (&[(method, "POST"), (names, "")], Ok(())),
            (&[(method, "PUT")], Err(Method)),
            (&[(method, "delete")], Err(Method)),
            (&[(method, "*")], Err(Method)),
            (&[(method, "GET, PUT")], Err(Method)),
            (&[(method, "GET"), (method, "PUT")], Err(Method)),
            (&[(names, "x-token")], Err(Method)),
            (
                &[(method, "GET"), (names, "x-token,x-other")],
                Err(Header("x-other".to_owned())),
            ),
            (
                &[(method, "GET"), (names, "x-token"), (names, "*")],
                Err(Header("*".to_owned())),
            ),
            (
                &[(method, "GET"), (names, "x-token content-type")],
                Err(Header("x-token content-type".to_owned())),
            ),
        ] {
            let found = rule(false).preflight(&headers(lines)).map(|_| ());
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_preflight_is_told_all_that_may_be_remembered() {
        let asked = [
            ("access-control-request-method", "DELETE"),
            ("access-control-request-private-network", "true"),
        ];
        let mut found = rule(true).preflight(&headers(&asked)).unwrap();
        rule(true).mark(Some(&PAGE), true, &mut found);
        let expected = headers(&[
            ("access-control-allow-methods", "GET, POST, DELETE"),
            ("access-control-allow-headers", "content-type, x-token"),
            ("access-control-max-age", "600"),
            ("vary", "Origin"),
            (
                "vary",
                "Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
            ("access-control-allow-origin", "https://app.example.com"),
            ("access-control-allow-credentials", "true"),
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn the_gateways_word_replaces_the_upstreams() {
        let said = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-private-network", "true"),
            ("access-control-expose-headers", "*"),
            ("vary", "Accept"),
        ];
        for (credentials, origin, expected) in [
            (false, None, &[("vary", "Accept"), ("vary", "Origin")][..]),
            (
                false,
                Some(&PAGE),
                &[
                    ("vary", "Accept"),
                    ("vary", "Origin"),
                    ("access-control-allow-origin", "https://app.example.com"),
                    ("access-control-expose-headers", "x-total"),
                ],
            ),
            (
                true,
                Some(&PAGE),
                &[
                    ("vary", "Accept"),
                    ("vary", "Origin"),
                    ("access-control-allow-origin", "https://app.example.com"),
                    ("access-control-allow-credentials", "true"),
                    ("access-control-expose-headers", "x-total"),
                ],
            ),
        ] {
            let mut answer = headers(&said);
            rule(credentials).mark(origin, false, &mut answer);
            assert_eq!(answer, headers(expected), "{credentials} {origin:?}");
        }
    }
}
