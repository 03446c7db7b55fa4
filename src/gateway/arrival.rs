//! From an accepted socket to a stream for HTTP: the PROXY protocol, then TLS, where the listener asks
//! for them, all before the head's deadline.

use super::connection::{LAST_WORDS, part};
use super::site::{Entrance, Site};
use super::slots::{Crowded, Slot, Slots};
use crate::http::Scheme;
use crate::net::{Accepted, Endpoints, Peer, Proxied, ProxyError, Socket, Stream};
use crate::telemetry::TlsFailed;
use crate::telemetry::metrics::Counts;
use crate::tls::{HandshakeFailure, Reason};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

/// A connection on which HTTP may begin.
pub(super) struct Arrived {
    pub(super) stream: Stream,
    /// The other end, or whom the PROXY protocol told; `None` on a unix socket.
    pub(super) client: Option<SocketAddr>,
    /// What the client connected to, where an upstream is to be told.
    pub(super) destination: Option<SocketAddr>,
    /// The scheme that clients use here.
    pub(super) scheme: Scheme,
    /// Of the handshakes in flight, with TLS.
    pub(super) slot: Option<Slot>,
}

/// Why a connection did not arrive.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error("a PROXY protocol header is expected, and this peer is not trusted to send one")]
    Untrusted,
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Crowded(#[from] Crowded),
    #[error(transparent)]
    Tls(#[from] HandshakeFailure),
}

/// Registers a socket with the calling task's runtime and prepares it. `None` once it is logged why
/// nothing came of it; the peer is told nothing but TLS' own alert.
pub(super) async fn arrive(
    slots: &Slots,
    site: &Site,
    entrance: &Entrance,
    accepted: Accepted,
    deadline: Instant,
    counts: &Counts<'_>,
) -> Option<Arrived> {
    let peer = match accepted.peer {
        Peer::Tcp(address) => Some(address),
        Peer::Unix => None,
    };
    let client = peer.map(|address| address.ip());
    match timeout_at(deadline, prepare(slots, site, entrance, accepted, peer)).await {
        Ok(Ok(arrived)) => Some(arrived),
        Ok(Err(failure)) => {
            count(entrance, &failure, counts);
            failed(entrance, client, failure).await;
            None
        }
        Err(_) => {
            too_slow(entrance, client, counts);
            None
        }
    }
}

async fn prepare(
    slots: &Slots,
    site: &Site,
    entrance: &Entrance,
    accepted: Accepted,
    peer: Option<SocketAddr>,
) -> Result<Arrived, Failure> {
    let mut socket = accepted.socket.attach()?;
    let mut scheme = entrance.scheme;
    let mut ends = None;
    if entrance.proxy_protocol {
        let proxied = proxied(site, &mut socket, peer).await?;
        ends = proxied.endpoints;
        if proxied.is_tls {
            scheme = Scheme::Https;
        }
    }
    let destination = match ends {
        _ if !site.tells_source => None,
        Some(Endpoints { destination, .. }) => Some(destination),
        None => socket.local_address(),
    };
    let (stream, slot) = match &entrance.tls {
        None => (Stream::Plain(socket), None),
        Some(tls) => {
            let slot = begin_tls(slots, &socket).await?;
            let stream = tls.accept(socket).await?;
            (Stream::TlsServer(Box::new(stream)), Some(slot))
        }
    };
    Ok(Arrived {
        stream,
        client: ends.map(|ends| ends.source).or(peer),
        destination,
        scheme,
        slot,
    })
}

/// Browsers, balancers and scans open connections of which they may never make use: these take no
/// slot until they say something.
async fn begin_tls(slots: &Slots, socket: &Socket) -> Result<Slot, Failure> {
    if socket.peek(&mut [0]).await? == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(slots.take_for_tls().await?)
}

/// Nothing is read from a peer that is not trusted.
async fn proxied(
    site: &Site,
    socket: &mut Socket,
    peer: Option<SocketAddr>,
) -> Result<Proxied, Failure> {
    if !site.trust.is_trusted(peer.map(|address| address.ip())) {
        return Err(Failure::Untrusted);
    }
    Ok(Proxied::read_from(socket).await?)
}

/// What came to nothing, silent ends included.
fn count(entrance: &Entrance, failure: &Failure, counts: &Counts<'_>) {
    let listener = &entrance.name;
    match failure {
        Failure::Tls(failure) => counts.tls_failed(listener, failure.reason.label()),
        Failure::Untrusted => counts.proxy_protocol_failed(listener, "untrusted"),
        Failure::Proxy(ProxyError::Lost(_)) => counts.proxy_protocol_failed(listener, "lost"),
        Failure::Proxy(_) => counts.proxy_protocol_failed(listener, "malformed"),
        Failure::Crowded(_) => counts.tls_failed(listener, "too_many_handshakes"),
        Failure::Socket(_) if entrance.tls.is_some() => counts.tls_failed(listener, "lost"),
        Failure::Socket(_) => {}
    }
}

/// Logs what came to nothing, and lets the client read TLS' alert.
async fn failed(entrance: &Entrance, client: Option<IpAddr>, failure: Failure) {
    let is_silence = match &failure {
        Failure::Socket(_) | Failure::Crowded(_) | Failure::Proxy(ProxyError::Lost(_)) => true,
        Failure::Tls(failure) => failure.reason == Reason::Lost,
        _ => false,
    };
    if is_silence {
        // A scan or the check of a balancer more often than a client.
        return debug!(?client, cause = %failure, "a connection ended before HTTP");
    }
    let detail = failure.to_string();
    let (what, reason, server_name, socket) = match failure {
        Failure::Tls(failure) => (
            "TLS handshake failed",
            failure.reason.label(),
            failure.server_name,
            failure.socket,
        ),
        _ => ("PROXY protocol refused", "proxy_protocol", None, None),
    };
    entrance.tls_log.failed(TlsFailed {
        what,
        reason,
        client,
        detail,
        server_name,
    });
    if let Some(socket) = socket {
        // A client that does not listen has nothing to be told.
        let _ = timeout(LAST_WORDS, part(&mut Stream::Plain(socket))).await;
    }
}

fn too_slow(entrance: &Entrance, client: Option<IpAddr>, counts: &Counts<'_>) {
    let listener = &entrance.name;
    let what = match entrance.tls {
        Some(_) => {
            counts.tls_failed(listener, "timeout");
            "TLS handshake failed"
        }
        None if entrance.proxy_protocol => {
            counts.proxy_protocol_failed(listener, "timeout");
            "PROXY protocol refused"
        }
        None => return,
    };
    entrance.tls_log.failed(TlsFailed {
        what,
        reason: "timeout",
        client,
        detail: "it was not done in time".to_owned(),
        server_name: None,
    });
}
