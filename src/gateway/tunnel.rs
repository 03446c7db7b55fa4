//! A handshake that was admitted: reach the upstream, answer the client, carry the session.

use super::affinity::Bond;
use super::failure::Failure;
use super::request::{Answer, Story};
use super::service::Service;
use super::upstream_request::upstream_ask;
use super::worker::Place;
use super::{Gate, going_away, replaced};
use crate::admission::{Permit, Seats};
use crate::config::Compression;
use crate::http::{Handshake, Target, accept_key, offer_for_upstream};
use crate::net::Stream;
use crate::relay::{Control, Early, Negotiated, Outcome, Relayed, relay};
use crate::session::{Registered, Session};
use crate::upstream::{self, Lease, Opened};
use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// An upstream that has said yes, waiting for the client's 101 to be written.
pub(super) struct Tunnel {
    opened: Opened,
    service: Arc<Service>,
    session: Session,
    seats: Seats,
    /// With whom it shares what it may send.
    account: u64,
    handshake_took: Duration,
}

/// Opens the upstream leg and answers the client. Only then is anything promised to the client.
pub(super) async fn open(
    story: &Story<'_>,
    service: &Arc<Service>,
    permit: Permit,
    parts: &mut Parts,
    target: &Target,
    handshake: Handshake,
) -> Result<Answer, Failure> {
    let bond = Bond::of(story, service, &permit, &parts.headers, target);
    let ask = upstream::Ask {
        subprotocols: service.offer(&handshake.subprotocols),
        deflate: match service.compression {
            Compression::Off => None,
            Compression::Passthrough => offer_for_upstream(&handshake),
        },
        ..upstream_ask(story, service, &permit, &bond, parts, target)
    };
    let mut opened = service.pool.open(&ask).await?;
    let now = Instant::now();
    let mut answer = switching_protocols(service, &handshake, &mut opened);
    bond.apply(answer.headers_mut());
    let session = Session {
        request_id: story.id.as_str().into(),
        listener: story
            .exchange
            .site
            .listener(story.exchange.listener)
            .name
            .clone(),
        client: story.client.address,
        host: target.host.as_str().into(),
        path: target.path.as_str().into(),
        route: service.name.clone(),
        upstream: service.upstream.clone(),
        endpoint: opened.endpoint.as_str().into(),
        identity: permit
            .identity
            .as_ref()
            .map(|identity| identity.to_string().into()),
        subprotocol: opened.subprotocol.as_deref().map(Into::into),
        opened: now,
        control: Arc::new(Control::new()),
    };
    let account = service
        .rates
        .account(permit.identity.as_ref(), story.client.address);
    story.exchange.promise(Tunnel {
        opened,
        service: service.clone(),
        session,
        seats: permit.seats,
        account,
        handshake_took: now.saturating_duration_since(story.started),
    });
    Ok(answer)
}

/// The 101. RFC 6455 §4.2.2.
fn switching_protocols(service: &Service, handshake: &Handshake, opened: &mut Opened) -> Answer {
    let mut answer = Response::new(Bytes::new().into());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    *headers = std::mem::take(&mut opened.headers);
    service.response_headers.apply(headers);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = accept_key(&handshake.key);
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(token) = &opened.subprotocol
        && let Ok(token) = HeaderValue::from_str(token)
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, token);
    }
    if let Some(deflate) = &opened.deflate {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, deflate.clone());
    }
    answer
}

/// What a client connection holds for as long as it is open.
pub(super) type Held = (OwnedSemaphorePermit, Place);

/// Registers a session and gives the future that carries it to its end.
///
/// To be called on the thread that runs the future.
pub(super) fn carry(
    gate: Arc<Gate>,
    client: Stream,
    from_client: Bytes,
    tunnel: Tunnel,
    held: Held,
) -> Carried {
    let Tunnel {
        opened,
        service,
        session,
        mut seats,
        account,
        handshake_took,
    } = tunnel;
    let control = session.control.clone();
    let worker = held.1.worker;
    let course = service.courses.of(worker);
    let live = Live::begin(gate.clone(), worker, session, handshake_took);
    seats.opened(|| {
        let control = control.clone();
        Box::new(move || _ = control.close(replaced()))
    });
    if gate.is_draining() {
        // It may have missed the order that all others got.
        control.close(going_away());
    }
    let early = Early {
        from_client,
        from_upstream: opened.early,
    };
    let negotiated = Negotiated {
        deflate: opened.deflate.is_some(),
    };
    let relayed = relay(
        client,
        opened.stream,
        early,
        course,
        negotiated,
        account,
        control,
    );
    Carried {
        relayed: Some(relayed),
        seats,
        live,
        _lease: opened.lease,
        _held: held,
    }
}

/// A session with all that it holds, in the order in which it is given back. By hand, as an `async`
/// block would have room for the relay twice: where it was brought in, and where it is awaited.
pub(super) struct Carried {
    /// Until it is over.
    relayed: Option<Relayed<Stream>>,
    seats: Seats,
    live: Live,
    _lease: Lease,
    _held: Held,
}

impl Future for Carried {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(relayed) = &mut self.relayed {
            let outcome = ready!(Pin::new(relayed).poll(cx));
            self.relayed = None;
            // Whoever sees it gone from the registry may open another.
            self.seats = Seats::default();
            self.live.end(&outcome);
        }
        Poll::Ready(())
    }
}

/// A session that is registered and counted; dropping it undoes both.
struct Live {
    gate: Arc<Gate>,
    /// Until its end is told.
    registered: Option<Registered>,
}

impl Live {
    fn begin(gate: Arc<Gate>, worker: usize, session: Session, took: Duration) -> Self {
        gate.access_log.opened(&session, took);
        gate.metrics.at(worker).opened(&session, took);
        Self {
            registered: Some(gate.registry.register(worker, session)),
            gate,
        }
    }

    fn end(&mut self, outcome: &Outcome) {
        if let Some(registered) = self.registered.take() {
            let session = registered.session();
            self.gate.access_log.ended(session, outcome);
            let counts = self.gate.metrics.at(registered.worker());
            counts.ended(session, Some(outcome));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A panic, or the end of the process: without an outcome, and gone all the same.
        if let Some(registered) = &self.registered {
            let counts = self.gate.metrics.at(registered.worker());
            counts.ended(registered.session(), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle session occupies, part by part, in bytes: what its task holds, and what hangs on it.
    /// The runtime adds two entries of 256 for the sockets, and about a hundred to the task.
    #[test]
    fn a_session_stays_small() {
        let parts = [
            ("the session's future", size_of::<Carried>(), 536),
            ("of which the relay", size_of::<Relayed<Stream>>(), 456),
            ("of which a stream, twice", size_of::<Stream>(), 48),
            ("the session's entry", size_of::<Session>(), 192),
            ("the handle that ends it", size_of::<Control>(), 64),
        ];
        for (what, size, limit) in parts {
            assert!(size <= limit, "{what}: {size} of {limit}; {parts:?}");
        }
    }
}
