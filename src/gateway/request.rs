//! The story of one request: what it asks, where it goes, whether it may, who serves it.

use super::body::Body;
use super::client::Client;
use super::connection::Exchange;
use super::cors::Marking;
use super::failure::Failure;
use super::service::Service;
use super::{plain, ticket, tunnel};
use crate::admission::auth::{self, Proof};
use crate::admission::{self, CorsRule, Permit, Witness};
use crate::http::{Ask, Handshake, HandshakeError, RequestId, Scheme, Target, to_bytes};
use crate::telemetry::access_log::Refused;
use crate::upstream::builtin;
use bytes::Bytes;
use http::header::{CONNECTION, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::time::Instant;

/// What is answered.
pub(super) type Answer = Response<Body>;

/// What is known of a request so far; a refusal is logged with as much of it as there is.
pub(super) struct Story<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) id: RequestId,
    pub(super) started: Instant,
    pub(super) client: Client,
    target: Option<Arc<Target>>,
    /// Whether it asks for no session, or is answered as if it did not.
    is_plain: bool,
    service: Option<Arc<Service>>,
    /// What the answer says of whose pages may read it.
    marking: Option<Marking>,
}

/// A handshake that may become a session.
pub(super) struct Admitted {
    pub(super) service: Arc<Service>,
    pub(super) permit: Permit,
    /// Without credentials among its subprotocols.
    pub(super) handshake: Handshake,
    /// What of its offer marked a credential: it may be chosen where nothing else is.
    pub(super) marker: Option<String>,
}

/// Answers a request. The one place that logs what was refused.
pub(super) async fn serve(exchange: &Exchange, request: Request<Incoming>) -> Answer {
    let mut story = Story::begin(exchange);
    let is_upgrade = request.headers().contains_key(UPGRADE);
    story.is_plain = !is_upgrade;
    if !exchange.slot.begin(&exchange.gate.slots) {
        return story.refuse(Failure::TooManyHandshakes).map(Body::from);
    }
    let (mut parts, body) = request.into_parts();
    let mut answer = match story.decide(&mut parts, body).await {
        Ok(answer) => answer,
        Err(failure) => story.refuse(failure).map(Body::from),
    };
    story.mark(answer.headers_mut());
    if is_upgrade && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        // The guard below looks at nothing that comes behind an upgrade.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().entry(CONNECTION).or_insert(close);
    }
    answer
}

/// The bytes that answer a head which never became a request.
pub(super) fn refuse_head(exchange: &Exchange, failure: Failure) -> Bytes {
    to_bytes(Story::begin(exchange).refuse(failure))
}

impl<'a> Story<'a> {
    pub(super) fn begin(exchange: &'a Exchange) -> Self {
        let started = Instant::now();
        Self {
            exchange,
            id: RequestId::fresh(),
            started,
            client: Client::of_connection(exchange),
            target: None,
            is_plain: false,
            service: None,
            marking: None,
        }
    }

    async fn decide(&mut self, parts: &mut Parts, body: Incoming) -> Result<Answer, Failure> {
        let (ask, target) = self.arrive(parts)?;
        match ask {
            Ask::WebSocket(handshake) => self.handshake(parts, &target, handshake).await,
            Ask::Other(error) => self.other(parts, &target, body, error).await,
            Ask::Plain => self.plain(parts, &target, body).await,
        }
    }

    /// What is asked for and where, if it may be asked for here at all.
    pub(super) fn arrive(&mut self, parts: &Parts) -> Result<(Ask, Arc<Target>), Failure> {
        self.client.introduce(self.exchange, &parts.headers);
        if self.exchange.gate.is_draining() {
            return Err(Failure::Draining);
        }
        let ask = Ask::of(parts)?;
        let target = self.target.insert(Arc::new(Target::of(parts)?)).clone();
        if !self.exchange.covers(&target.host) {
            return Err(Failure::Misdirected);
        }
        let entrance = self.exchange.site.listener(self.exchange.listener);
        // Who came by https to a trusted proxy would be sent round for ever.
        if let Some(port) = entrance.redirect_https
            && self.client.scheme == Scheme::Http
        {
            let location = target.by_https(port)?;
            return Err(Failure::ByHttps(location));
        }
        Ok((ask, target))
    }

    /// A client asks for an upgrade to something else. It may be told no by being answered as if it
    /// had not asked (RFC 9110 §7.8), where there is somebody to answer it.
    async fn other(
        &mut self,
        parts: &mut Parts,
        target: &Target,
        body: Incoming,
        error: HandshakeError,
    ) -> Result<Answer, Failure> {
        let is_proxied = self
            .find_plain(target)
            .is_ok_and(|service| service.plain.is_proxied);
        match is_proxied {
            true => self.plain(parts, target, body).await,
            false => Err(error.into()),
        }
    }

    /// A client asks to become a session.
    async fn handshake(
        &mut self,
        parts: &mut Parts,
        target: &Target,
        handshake: Handshake,
    ) -> Result<Answer, Failure> {
        let admitted = self.admit(parts, target, handshake, None, &mut ()).await?;
        tunnel::open(self, admitted, parts, target).await
    }

    /// Finds the route of a handshake and judges it, while `witness` looks on. Who is `known` has proven
    /// that already.
    pub(super) async fn admit(
        &mut self,
        parts: &Parts,
        target: &Target,
        mut handshake: Handshake,
        known: Option<Proof>,
        witness: &mut impl Witness,
    ) -> Result<Admitted, Failure> {
        let exchange = self.exchange;
        let offered = std::mem::take(&mut handshake.subprotocols);
        // Before anything is matched: what is a credential is offered to nobody.
        let offer = auth::Offer::split(offered, &exchange.site.markers);
        handshake.subprotocols = offer.subprotocols;
        let entrance = exchange.site.listener(exchange.listener);
        let service = entrance
            .routes
            .find(&target.host, &target.path, &handshake.subprotocols)?
            .clone();
        witness.passed("route", || service.name.to_string());
        self.service = Some(service.clone());
        service.network.check(self.client.address)?;
        witness.passed("network", || match self.client.address {
            Some(address) => format!("{address} may come"),
            None => "a client without an address may come".to_owned(),
        });
        let ask = admission::Ask {
            credentials: &offer.credentials,
            ..self.ask(parts, target, admission::Purpose::Session)
        };
        let permit = service.admission.admit_before(&ask, known, witness).await?;
        Ok(Admitted {
            service,
            permit,
            handshake,
            marker: offer.answer,
        })
    }

    /// An ordinary request: the built-in upstream has a page, others are asked where the route says so.
    async fn plain(
        &mut self,
        parts: &mut Parts,
        target: &Target,
        body: Incoming,
    ) -> Result<Answer, Failure> {
        self.is_plain = true;
        if self.exchange.site.gives_tickets_at(&target.path) {
            // On the heap: a handshake's future must not have room for it.
            return Box::pin(ticket::serve(self, parts, target)).await;
        }
        let service = self.find_plain(target)?;
        self.service = Some(service.clone());
        service.network.check(self.client.address)?;
        if let Some(answer) = self.cors(&service, service.plain.cors.as_ref(), parts, target) {
            return answer;
        }
        if service.pool.is_builtin() {
            return self.page(&service, parts, target).await;
        }
        match service.plain.is_proxied {
            // On the heap: a handshake's future must not have room for it.
            true => Box::pin(plain::serve(self, &service, parts, body, target)).await,
            false => Err(Failure::PlainRequest),
        }
    }

    /// Answers a preflight, and notes what any other answer is to say.
    pub(super) fn cors(
        &mut self,
        service: &Service,
        rule: Option<&Arc<CorsRule>>,
        parts: &Parts,
        target: &Target,
    ) -> Option<Result<Answer, Failure>> {
        let mut marking = Marking::of(self, service, rule?, parts, target);
        let answer = marking.preflight(self, service, parts, target);
        self.marking = Some(marking);
        answer
    }

    fn mark(&self, answer: &mut HeaderMap) {
        if let Some(marking) = &self.marking {
            marking.apply(answer);
        }
    }

    /// Notes whose rules hold from here on.
    pub(super) fn serve_by(&mut self, service: &Arc<Service>) {
        self.service = Some(Arc::clone(service));
    }

    async fn page(
        &self,
        service: &Service,
        parts: &Parts,
        target: &Target,
    ) -> Result<Answer, Failure> {
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return Err(Failure::PlainRequest);
        }
        let ask = self.ask(parts, target, admission::Purpose::Reading);
        service.admission.authenticate(&ask).await?;
        self.count(StatusCode::OK, "complete");
        Ok(builtin::page().map(Body::from))
    }

    fn find_plain(&self, target: &Target) -> Result<Arc<Service>, Failure> {
        let exchange = self.exchange;
        let routes = &exchange.site.listener(exchange.listener).routes;
        let is_proxied = |service: &Arc<Service>| service.plain.is_proxied;
        let found = routes.find_plain(&target.host, &target.path, is_proxied);
        Ok(found?.clone())
    }

    /// What admission judges.
    pub(super) fn ask<'p>(
        &'p self,
        parts: &'p Parts,
        target: &'p Target,
        purpose: admission::Purpose,
    ) -> admission::Ask<'p> {
        let exchange = self.exchange;
        let entrance = exchange.site.listener(exchange.listener);
        let own_origin = || exchange.site.own_origin(entrance, target, &self.client);
        let is_from_page = parts.headers.contains_key(ORIGIN);
        admission::Ask {
            headers: &parts.headers,
            query: target.query.as_deref(),
            route: self.service.as_ref().map_or("", |service| &service.name),
            credentials: &[],
            own_origin: is_from_page.then(own_origin).flatten(),
            certificate: exchange.certificate.as_deref(),
            client: self.client.address,
            purpose,
            original: admission::Original {
                method: &parts.method,
                target,
                authority: self.client.asked_for(),
                scheme: self.client.scheme,
                chain: &self.client.chain,
                request_id: self.id.as_str(),
            },
        }
    }

    /// Counts what is answered to everything but what becomes a session or is passed on.
    pub(super) fn count(&self, status: StatusCode, reason: &'static str) {
        let exchange = self.exchange;
        let listener = &exchange.site.listener(exchange.listener).name;
        let route = self.service.as_ref().map(|service| &service.name);
        let counts = exchange.gate.metrics.at(exchange.worker);
        match self.is_plain {
            true => counts.requested(listener, route, status.as_u16(), reason),
            false => counts.refused(listener, route, status.as_u16(), reason),
        }
    }

    /// Logs a failure and says what is answered.
    fn refuse(&self, failure: Failure) -> Response<Bytes> {
        let exchange = self.exchange;
        self.count(failure.status(), failure.label());
        exchange.gate.access_log.refused(&Refused {
            request_id: self.id.as_str(),
            listener: exchange.site.listener_name(exchange.listener),
            client: self.client.address,
            host: self.target.as_ref().map(|target| target.host.as_str()),
            path: self.target.as_ref().map(|target| target.path.as_str()),
            route: self.service.as_ref().map(|service| &*service.name),
            status: failure.status().as_u16(),
            reason: failure.label(),
            detail: &failure.detail(),
            took: self.started.elapsed(),
        });
        failure.answer(self.id.as_str())
    }
}
