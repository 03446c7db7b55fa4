//! `[routes.cors]`: which pages of other origins may ask what, and read the answers.

use super::HttpRequests;
use super::kind::{Parsed, boolean, duration, list, or_off, parsed};
use super::problem::{Log, Problem};
use super::route::RouteKeys;
use super::section::section;
use http::{HeaderName, Method};
use std::time::Duration;

section! {
    /// What pages of other origins may ask for, and whether they may read the answers, as far as
    /// ordinary requests go (`http_requests = "proxy"`). The origins are those that the route admits
    /// anyway: `origins`, or its own. The gateway answers preflights itself, before it asks for
    /// credentials, since browsers send none with them; what the upstream says of CORS is replaced.
    /// Left out: the upstream's own headers pass.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Cors at "`[routes.cors]`" {
        /// Methods that a preflight is granted. Browsers ask for none before a plain GET, HEAD or
        /// POST, so leaving these out does not keep anyone from them.
        pub methods: Vec<Method> = list(method()), or(["GET", "HEAD", "POST"]);
        /// Request headers that a preflight is granted, beside those that need none. A body that is
        /// JSON needs `"Content-Type"`.
        pub headers: Vec<HeaderName> = list(header()), or([]);
        /// Headers of answers that pages may read, beside those that they always may.
        pub expose_headers: Vec<HeaderName> = list(header()), or([]);
        /// Whether pages may send cookies and passwords along.
        pub credentials: bool = boolean(), or(false);
        /// How long browsers may remember the answer to a preflight.
        pub max_age: Option<Duration> = or_off(duration("1s")), or("10m");
    }
    example r#"[[routes]]
upstream = "ws://10.0.0.1:8080"
origins = ["https://app.example.com"]
http_requests = "proxy"

[routes.cors]
methods = ["GET", "POST", "DELETE"]
headers = ["Content-Type", "Authorization"]
credentials = true
"#
}

/// Of no use, and perhaps meant as a lock, where no ordinary request gets anywhere.
pub(super) fn check(route: &RouteKeys, log: &Log) {
    if let Some(cors) = &route.cors
        && route.http_requests == HttpRequests::Reject
    {
        log.add(
            Problem::new("`cors` concerns ordinary requests, which this route rejects")
                .at(&cors.place)
                .help("add `http_requests = \"proxy\"`, or take `cors` out; handshakes need `origins` alone"),
        );
    }
}

fn method() -> Parsed<Method> {
    parsed("a method such as `\"GET\"`", ".", |text| {
        let invalid = || Problem::new(format!("`{text}` is not a method"));
        let method = Method::from_bytes(text.as_bytes()).map_err(|_| invalid())?;
        if text == "*" {
            return Err(invalid().help("list the methods"));
        }
        let upper = text.to_ascii_uppercase();
        if upper != text {
            return Err(invalid()
                .label("methods are written as they are sent")
                .help(format!("write `\"{upper}\"`")));
        }
        Ok(method)
    })
}

fn header() -> Parsed<HeaderName> {
    parsed("a header name", ".", |text| {
        let invalid = || Problem::new(format!("`{text}` is not a header name"));
        if text == "*" {
            return Err(invalid().help("list the headers: with credentials browsers know no `*`"));
        }
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| invalid())
    })
}
