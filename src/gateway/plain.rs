//! An ordinary request on a route that takes them: the same checks as for a handshake, then the
//! same upstream, and the bodies streamed both ways.

use super::affinity::Bond;
use super::body::Body;
use super::failure::Failure;
use super::link::Link;
use super::passing::{End, Ledger, Passing, Upload};
use super::request::{Answer, Story};
use super::service::Service;
use super::upstream_request::upstream_ask;
use crate::admission::{self, CorsRule, Permit};
use crate::config::{HttpRequests, Route};
use crate::http::Target;
use crate::upstream::{Answered, Length, Request};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderValue, Method, Response, Version};
use hyper::body::{Body as _, Incoming};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;

/// What a route does with ordinary requests.
#[derive(Debug)]
pub(super) struct PlainRules {
    /// Whether the upstream gets them.
    pub(super) is_proxied: bool,
    /// How long the upstream may take to answer.
    response: Option<Duration>,
    /// How long a body may stand still.
    body: Option<Duration>,
    pub(super) cors: Option<Arc<CorsRule>>,
}

impl PlainRules {
    /// Of a route.
    pub(super) fn new(route: &Route) -> Self {
        Self {
            is_proxied: route.http_requests == HttpRequests::Proxy,
            response: route.timeouts.response,
            body: route.timeouts.body,
            cors: route.cors.as_ref().map(CorsRule::new).map(Arc::new),
        }
    }
}

/// Answers it.
pub(super) async fn serve(
    story: &Story<'_>,
    service: &Arc<Service>,
    parts: &mut Parts,
    body: Incoming,
    target: &Target,
) -> Result<Answer, Failure> {
    check_method(&parts.method)?;
    let permit = service
        .admission
        .admit(&story.ask(parts, target, admission::Purpose::of(&parts.method)))
        .await?;
    // From here it may wait for its answer as long as a session lasts (long polling).
    story.exchange.slot.end();
    let bond = Bond::of(story, service, &permit, &parts.headers, target);
    let route = Passage::new(story, service, parts);
    let request = Request {
        method: parts.method.clone(),
        ask: upstream_ask(story, service, &permit, &bond, parts, target),
        length: length(&body),
        response: service.plain.response,
        body: service.plain.body,
    };
    let link = &story.exchange.link;
    link.watch(service.plain.body);
    let sent = Arc::new(AtomicU64::new(0));
    let upload = Upload {
        body,
        bytes: sent.clone(),
    };
    let answered = tokio::select! {
        biased;
        () = hung_up(link) => return Err(Failure::ClientGone),
        answered = service.pool.request(&request, upload) => answered?,
    };
    let mut answer = route.answer(answered, &permit, target, sent);
    bond.apply(answer.headers_mut());
    Ok(answer)
}

/// TRACE would show a page the cookies and credentials that it must not see; CONNECT never comes
/// this far.
fn check_method(method: &Method) -> Result<(), Failure> {
    let is_served = *method != Method::TRACE
        && method.as_str() != "TRACK"
        && method.as_str().len() <= METHOD_MAX;
    match is_served {
        true => Ok(()),
        false => Err(Failure::Method(method.clone())),
    }
}

/// Bytes of a method at most: the longest that is registered has 18.
const METHOD_MAX: usize = 32;

fn length(body: &Incoming) -> Length {
    match body.size_hint().exact() {
        Some(0) => Length::None,
        Some(length) => Length::Known(length),
        None => Length::Unknown,
    }
}

/// Ends once the client has hung up. Nobody is woken for it: the guard that sees it is part of the
/// task that polls this.
async fn hung_up(link: &Link) {
    poll_fn(|_| match link.has_hung_up() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// What of a request is needed when its answer comes.
struct Passage<'a> {
    story: &'a Story<'a>,
    service: &'a Service,
    method: Method,
    version: Version,
}

impl<'a> Passage<'a> {
    fn new(story: &'a Story<'a>, service: &'a Service, parts: &Parts) -> Self {
        Self {
            story,
            service,
            method: parts.method.clone(),
            version: parts.version,
        }
    }

    fn answer(
        &self,
        answered: Answered<Upload>,
        permit: &Permit,
        target: &Target,
        to_upstream: Arc<AtomicU64>,
    ) -> Answer {
        let exchange = self.story.exchange;
        let is_last = answered.is_early || exchange.gate.is_draining();
        let method = self.method.clone();
        let mut ledger = Ledger::new(self.story, self.service, method, target, answered.status);
        ledger.endpoint = Some(answered.endpoint);
        ledger.identity = permit.identity().map(ToString::to_string);
        ledger.to_upstream = to_upstream;
        if !answered.body.is_end_stream() {
            ledger.end = End::Dropped;
        }
        let length = answered.body.size_hint().exact();
        let mut answer = Response::new(Body::passing(Passing {
            body: answered.body,
            link: exchange.link.clone(),
            ends_with_connection: length.is_none() && self.version < Version::HTTP_11,
            ledger,
        }));
        *answer.status_mut() = answered.status;
        let headers = answer.headers_mut();
        *headers = answered.headers;
        self.service.response_headers.apply(headers);
        if let Some(length) = answered.unsent {
            headers.insert(CONTENT_LENGTH, length);
        }
        if is_last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}
