//! A handshake that was admitted: reach the upstream, answer the client, carry the session.

use super::affinity::Bond;
use super::failure::Failure;
use super::presence::Presence;
use super::request::{Admitted, Answer, Story};
use super::service::Service;
use super::upstream_request::upstream_ask;
use super::{going_away, no_longer_admitted, replaced};
use crate::admission::auth::{Proof, Recheck};
use crate::admission::{Permit, Seats};
use crate::config::Compression;
use crate::http::{Handshake, Target, accept_key, offer_for_upstream};
use crate::net::Stream;
use crate::relay::{Early, Negotiated, Outcome, Relayed, relay};
use crate::session::{Evidence, Expiry, Grounds, Record, Session};
use crate::tls::ClientCertificate;
use crate::upstream::{self, Lease, Opened};
use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use tokio::time::Instant;
use tracing::info;

/// An upstream that has said yes, waiting for the client's 101 to be written.
pub(super) struct Tunnel {
    opened: Opened,
    service: Arc<Service>,
    session: Session,
    seats: Seats,
    /// Who asks again whether it may go on.
    rechecks: Vec<Arc<Recheck>>,
    /// With whom it shares what it may send.
    account: u64,
    /// When the handshake came.
    began: Instant,
    /// When what it rests on was found out, if that was before.
    proven: Option<Instant>,
}

/// Opens the upstream leg and answers the client. Only then is anything promised to the client.
pub(super) async fn open(
    story: &Story<'_>,
    admitted: Admitted,
    parts: &mut Parts,
    target: &Target,
) -> Result<Answer, Failure> {
    let (bond, ask) = asked_for(story, &admitted, parts, target);
    let Admitted {
        service,
        permit,
        handshake,
        marker,
    } = admitted;
    let mut opened = service.pool.open(&ask).await?;
    let mut answer = switching_protocols(&service, &handshake, marker, &mut opened);
    bond.apply(answer.headers_mut());
    let identity = permit.identity().map(ToString::to_string);
    let session = Session::new(&Record {
        request_id: story.id.as_str(),
        names: &service.names[story.exchange.listener],
        client: story.client.address,
        host: &target.host,
        path: &target.path,
        endpoint: opened.lease.name(),
        identity: identity.as_deref(),
        subprotocol: opened.subprotocol.as_deref(),
    });
    let session = match grounds(&permit, story.exchange.certificate.as_deref()) {
        Some(grounds) => session.resting_on(grounds),
        None => session,
    };
    let account = service
        .rates
        .account(permit.identity(), story.client.address);
    story.exchange.promise(Tunnel {
        opened,
        service: service.clone(),
        session,
        proven: permit.proven_since(),
        rechecks: permit
            .proofs
            .into_iter()
            .filter_map(|proof| proof.recheck)
            .collect(),
        seats: permit.seats,
        account,
        began: story.started,
    });
    Ok(answer)
}

/// What the upstream is asked for.
pub(super) fn asked_for(
    story: &Story<'_>,
    admitted: &Admitted,
    parts: &mut Parts,
    target: &Target,
) -> (Bond, upstream::Ask) {
    let Admitted {
        service,
        permit,
        handshake,
        ..
    } = admitted;
    let bond = Bond::of(story, service, permit, &parts.headers, target);
    let ask = upstream::Ask {
        subprotocols: service.offer(&handshake.subprotocols),
        deflate: match service.compression {
            Compression::Off => None,
            Compression::Passthrough => offer_for_upstream(handshake),
        },
        ..upstream_ask(story, service, permit, &bond, parts, target)
    };
    (bond, ask)
}

/// What the session rests on, where that is more than its identity.
fn grounds(permit: &Permit, certificate: Option<&ClientCertificate>) -> Option<Grounds> {
    let expiry = permit.lifetime().map(|lifetime| Expiry {
        at: lifetime.ends,
        code: lifetime.code,
    });
    let is_plain = |proof: &Proof| proof.token_id.is_none() && proof.recheck.is_none();
    let is_bare = expiry.is_none() && certificate.is_none();
    if is_bare && permit.proofs.len() <= 1 && permit.proofs.iter().all(is_plain) {
        return None;
    }
    let evidence = |proof: &Proof| Evidence {
        method: proof.identity.method().clone(),
        identity: proof.identity.to_string().into(),
        token_id: proof.token_id.clone(),
    };
    let proofs = permit.proofs.iter().map(evidence).collect();
    let certificate = certificate.map(|certificate| certificate.id.clone());
    Some(Grounds::new(expiry, proofs, certificate))
}

/// Ends `session` when a service no longer admits it.
async fn watch(recheck: Arc<Recheck>, session: Weak<Session>) {
    let over = recheck.over().await;
    if let Some(session) = session.upgrade() {
        let (id, why) = (session.request_id(), over.why.to_string());
        info!(id, why, "a session is no longer admitted");
        session.control().close(no_longer_admitted(over.code));
    }
}

/// The 101. RFC 6455 §4.2.2.
fn switching_protocols(
    service: &Service,
    handshake: &Handshake,
    marker: Option<String>,
    opened: &mut Opened,
) -> Answer {
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
    let chosen = opened.subprotocol.clone().or(marker);
    if let Some(Ok(token)) = chosen.map(HeaderValue::try_from) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, token);
    }
    if let Some(deflate) = &opened.deflate {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, deflate.clone());
    }
    answer
}

/// Registers a session and gives the future that carries it to its end.
///
/// To be called on the thread that runs the future.
pub(super) fn carry(
    presence: Presence,
    client: Stream,
    from_client: Bytes,
    tunnel: Tunnel,
) -> Carried {
    let Tunnel {
        opened,
        service,
        session,
        mut seats,
        rechecks,
        account,
        began,
        proven,
    } = tunnel;
    let handshake_took = began.elapsed();
    let (gate, worker) = (presence.gate(), presence.worker());
    gate.access_log.opened(&session, handshake_took);
    gate.metrics.at(worker).opened(&session, handshake_took);
    let session = gate
        .registry
        .register(worker, session, proven.unwrap_or(began));
    seats.opened(|| {
        let session = session.clone();
        Box::new(move || _ = session.control().close(replaced()))
    });
    for recheck in rechecks {
        session.watch(watch(recheck, Arc::downgrade(&session)));
    }
    if gate.is_draining() {
        // It may have missed the order that all others got.
        session.control().close(going_away());
    }
    let early = Early {
        from_client,
        from_upstream: opened.early,
    };
    let negotiated = Negotiated {
        deflate: opened.deflate.is_some(),
    };
    let course = service.courses.of(worker);
    let relayed = relay(client, opened.stream, early, course, negotiated, account);
    Carried {
        relayed: Some(relayed),
        seats,
        session,
        _lease: opened.lease,
        presence,
    }
}

/// A session with all that it holds. By hand, as an `async` block would have room for the relay twice:
/// where it was brought in, and where it is awaited.
pub(super) struct Carried {
    /// Until it is over.
    relayed: Option<Relayed<Stream>>,
    seats: Seats,
    session: Arc<Session>,
    _lease: Lease,
    presence: Presence,
}

impl Future for Carried {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self {
            relayed, session, ..
        } = &mut *self;
        if let Some(relayed) = relayed {
            let outcome = ready!(relayed.poll(cx, session.control()));
            self.end(Some(&outcome));
        }
        Poll::Ready(())
    }
}

impl Carried {
    /// Ends both connections, gives back what others wait for, and tells of it. Once.
    fn end(&mut self, outcome: Option<&Outcome>) {
        let Some(relayed) = self.relayed.take() else {
            return;
        };
        let length = outcome.map_or_else(|| relayed.age(), |outcome| outcome.duration);
        drop(relayed);
        let session = &self.session;
        session.control().forget_waker();
        // Whoever sees it gone from the registry may open another.
        self.seats = Seats::default();
        let gate = self.presence.gate();
        if let Some(outcome) = outcome {
            gate.access_log.ended(session, outcome);
        }
        let counts = gate.metrics.at(self.presence.worker());
        counts.ended(session, length, outcome);
        gate.registry.forget(session);
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // A panic, or the end of the process: without an outcome, and gone all the same.
        self.end(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Control;

    /// What an idle session occupies, part by part, in bytes. Its sockets, its deadline and its place in
    /// the registry are entries of lists beside that, and its strings one allocation
    /// (`tests/memory/` counts all of it).
    #[test]
    fn a_session_stays_small() {
        let future = size_of::<Carried>();
        // The runtime's own, and its alignment.
        let task = (future + 96).next_multiple_of(128);
        let record = size_of::<Session>() + 16;
        let parts = [
            ("a session", task + record, 640),
            ("its task", task, 512),
            ("of which the future", future, 408),
            ("of which the relay", size_of::<Relayed<Stream>>(), 368),
            ("of which a stream, twice", size_of::<Stream>(), 16),
            ("of which its limits on sessions", size_of::<Seats>(), 8),
            ("of which its place among all", size_of::<Presence>(), 16),
            ("of which its endpoint", size_of::<Lease>(), 8),
            ("what others see of it, shared", record, 128),
            ("of which the handle that ends it", size_of::<Control>(), 32),
        ];
        for (what, size, limit) in parts {
            println!("{size:4} {what}");
            assert!(size <= limit, "{what}: {size} of {limit}; {parts:?}");
        }
    }
}
