//! What is answered on `[health]` and on `[admin]`.

use super::tokens::{Tokens, Verdict};
use crate::config::AdminRight;
use crate::gateway::Gate;
use crate::telemetry::metrics::Format;
use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// What is answered.
pub(super) type Answer = Response<Full<Bytes>>;

/// Answers for one address.
#[derive(Debug)]
pub struct Desk {
    gate: Arc<Gate>,
    offer: Offer,
}

/// What an address has to offer.
#[derive(Debug)]
pub enum Offer {
    /// Probes.
    Health,
    /// Probes, and for these tokens what shows.
    Admin(Tokens),
}

/// A worker that does not get to a new task in so long a time hangs.
const WORKER_PATIENCE: Duration = Duration::from_secs(2);

/// No page of another origin is to take an answer for something else than it is.
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

impl Desk {
    /// For what an address offers.
    pub fn new(gate: Arc<Gate>, offer: Offer) -> Self {
        Self { gate, offer }
    }

    pub(super) async fn answer(&self, request: &Parts) -> Answer {
        let tokens = match (request.uri.path(), &self.offer) {
            ("/healthz" | "/readyz", _) => None,
            ("/metrics", Offer::Admin(tokens)) => Some(tokens),
            _ => return plain(StatusCode::NOT_FOUND, "there is nothing here"),
        };
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD");
            let allowed = HeaderValue::from_static("GET, HEAD");
            answer.headers_mut().insert(ALLOW, allowed);
            return answer;
        }
        if let Some(tokens) = tokens
            && let Err(refused) = check(tokens, request)
        {
            return *refused;
        }
        match request.uri.path() {
            "/healthz" => self.health().await,
            "/readyz" => self.readiness(),
            _ => self.metrics(request),
        }
    }

    /// Whether every thread that carries connections still does.
    async fn health(&self) -> Answer {
        match self.gate.workers().all_run(WORKER_PATIENCE).await {
            true => plain(StatusCode::OK, "ok"),
            false => plain(StatusCode::SERVICE_UNAVAILABLE, "a worker hangs"),
        }
    }

    fn metrics(&self, request: &Parts) -> Answer {
        let accept = request.headers.get(ACCEPT);
        let format = Format::asked_by(accept.and_then(|accept| accept.to_str().ok()));
        let mut answer = plain(StatusCode::OK, "");
        *answer.body_mut() = Full::from(self.gate.metrics_page(format));
        let kind = HeaderValue::from_static(format.content_type());
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }

    /// Whether new clients are welcome.
    fn readiness(&self) -> Answer {
        match self.gate.is_ready() {
            true => plain(StatusCode::OK, "ready"),
            false => plain(StatusCode::SERVICE_UNAVAILABLE, "going away"),
        }
    }
}

/// Whether this request may see what only some may.
fn check(tokens: &Tokens, request: &Parts) -> Result<(), Box<Answer>> {
    let refuse = |status, text| Err(Box::new(plain(status, text)));
    if tokens.is_open() && !is_local_name(request) {
        // A page of a foreign name that was pointed at this machine (DNS rebinding) has a browser's
        // reach and no token: where none is asked for, the name has to be one of this machine.
        return refuse(StatusCode::MISDIRECTED_REQUEST, "not by this name");
    }
    match tokens.check(&request.headers, AdminRight::Read) {
        Verdict::Granted => Ok(()),
        Verdict::Forbidden => refuse(StatusCode::FORBIDDEN, "this token may not read"),
        Verdict::Unknown => {
            let mut answer = plain(StatusCode::UNAUTHORIZED, "a token is needed");
            let challenge = HeaderValue::from_static("Bearer realm=\"wsgate\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            Err(Box::new(answer))
        }
    }
}

/// Whether `Host` is an address or `localhost`. One that does not say is no browser.
fn is_local_name(request: &Parts) -> bool {
    let written = request.headers.get(HOST).map(HeaderValue::to_str);
    let host = match (request.uri.host(), &written) {
        (Some(host), _) => host,
        (None, Some(Ok(host))) => match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        },
        (None, Some(Err(_))) => return false,
        (None, None) => return true,
    };
    host.is_empty()
        || host.starts_with('[')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok()
}

fn plain(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::from(format!("{text}\n")));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn a_name_of_this_machine_is_an_address_or_localhost() {
        for (host, is_local) in [
            ("127.0.0.1:9180", true),
            ("127.0.0.1", true),
            ("[::1]:9180", true),
            ("[::1]", true),
            ("localhost:9180", true),
            ("LocalHost", true),
            ("", true),
            ("evil.example:9180", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:9180", false),
            ("1.2.3", false),
        ] {
            let request = Request::builder().header(HOST, host).body(()).unwrap();
            assert_eq!(is_local_name(&request.into_parts().0), is_local, "{host}");
        }
        let nameless = Request::builder().body(()).unwrap().into_parts().0;
        assert!(is_local_name(&nameless));
    }
}
