//! The story of one request: what it asks, where it goes, whether it may, who serves it.

use super::client::Client;
use super::connection::Exchange;
use super::failure::Failure;
use super::service::Service;
use super::tunnel;
use crate::admission;
use crate::http::{Ask, Handshake, Target, request_id, to_bytes};
use crate::telemetry::access_log::Refused;
use crate::upstream::builtin;
use bytes::Bytes;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::time::Instant;

/// What is answered. Requests have no use for a streamed body here: a handshake has none, and
/// refusals are short.
pub(super) type Answer = Response<Bytes>;

/// What is known of a request so far; a refusal is logged with as much of it as there is.
pub(super) struct Story<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) id: String,
    pub(super) started: Instant,
    pub(super) client: Client,
    target: Option<Target>,
    service: Option<Arc<Service>>,
}

/// Answers a request. The one place that logs what was refused.
pub(super) async fn serve(exchange: &Exchange, request: Request<Incoming>) -> Answer {
    let mut story = Story::begin(exchange);
    if !exchange.slot.begin(&exchange.gate.slots) {
        return story.refuse(Failure::TooManyHandshakes);
    }
    let (mut parts, _) = request.into_parts();
    match story.decide(&mut parts).await {
        Ok(answer) => answer,
        Err(failure) => story.refuse(failure),
    }
}

/// The bytes that answer a head which never became a request.
pub(super) fn refuse_head(exchange: &Exchange, failure: Failure) -> Bytes {
    to_bytes(Story::begin(exchange).refuse(failure))
}

impl<'a> Story<'a> {
    fn begin(exchange: &'a Exchange) -> Self {
        let started = Instant::now();
        Self {
            exchange,
            id: request_id(),
            started,
            client: Client::of_connection(exchange),
            target: None,
            service: None,
        }
    }

    async fn decide(&mut self, parts: &mut Parts) -> Result<Answer, Failure> {
        if self.exchange.gate.is_draining() {
            return Err(Failure::Draining);
        }
        self.client = Client::of_request(self.exchange, &parts.headers);
        let ask = Ask::of(parts)?;
        let target = self.target.insert(Target::of(parts)?).clone();
        if !self.exchange.covers(&target.host) {
            return Err(Failure::Misdirected);
        }
        let entrance = self.exchange.site.listener(self.exchange.listener);
        if let Some(port) = entrance.redirect_https {
            let location = target.by_https(port)?;
            return Err(Failure::ByHttps(location));
        }
        match ask {
            Ask::WebSocket(handshake) => self.handshake(parts, &target, handshake).await,
            Ask::Plain => self.plain(parts, &target).await,
        }
    }

    /// A client asks to become a session.
    async fn handshake(
        &mut self,
        parts: &mut Parts,
        target: &Target,
        handshake: Handshake,
    ) -> Result<Answer, Failure> {
        let exchange = self.exchange;
        let entrance = exchange.site.listener(exchange.listener);
        let service = entrance
            .routes
            .find(&target.host, &target.path, &handshake.subprotocols)?
            .clone();
        self.service = Some(service.clone());
        service.network.check(self.client.address)?;
        let permit = service
            .admission
            .admit(&admission::Ask {
                headers: &parts.headers,
                query: target.query.as_deref(),
                own_origin: exchange.site.own_origin(entrance, target, &self.client),
                client: self.client.address,
            })
            .await?;
        tunnel::open(self, &service, permit, parts, target, handshake).await
    }

    /// An ordinary request: the built-in upstream has a page, everything else speaks WebSocket only.
    async fn plain(&mut self, parts: &Parts, target: &Target) -> Result<Answer, Failure> {
        let exchange = self.exchange;
        let entrance = exchange.site.listener(exchange.listener);
        let service = entrance
            .routes
            .find_plain(&target.host, &target.path)?
            .clone();
        self.service = Some(service.clone());
        service.network.check(self.client.address)?;
        let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
        if !is_read || !service.pool.is_builtin() {
            return Err(Failure::PlainRequest);
        }
        service
            .admission
            .authenticate(&admission::Ask {
                headers: &parts.headers,
                query: target.query.as_deref(),
                own_origin: None,
                client: self.client.address,
            })
            .await?;
        let mut page = builtin::page();
        if parts.headers.contains_key(TRANSFER_ENCODING) {
            // Nobody looks for the end of the chunks, so nothing behind them may be a request.
            page.headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(page)
    }

    /// Logs a failure and says what is answered.
    fn refuse(&self, failure: Failure) -> Answer {
        let exchange = self.exchange;
        exchange.gate.access_log.refused(&Refused {
            request_id: &self.id,
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
        failure.answer(&self.id)
    }
}
