//! From an accepted socket to a stream for HTTP: the PROXY protocol, then TLS, where the listener asks
//! for them, all before the head's deadline.

use super::connection::{LAST_WORDS, part};
use super::site::{Entrance, Site};
use super::slots::{Crowded, Slot, Slots};
use super::turn::Turn;
use crate::http::Scheme;
use crate::net::{Accepted, Endpoints, Peer, Proxied, ProxyError, Socket, Stream};
use crate::telemetry::TlsFailed;
use crate::telemetry::metrics::Counts;
use crate::tls::{ClientCertificate, HandshakeFailure, Reason};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

/// A connection on which HTTP may begin.
pub(super) struct Arrived {
    pub(super) stream: Stream,
    pub(super) caller: Caller,
    /// What the client connected to, where an upstream is to be told.
    pub(super) destination: Option<SocketAddr>,
    /// The scheme that clients use here.
    pub(super) scheme: Scheme,
    /// The name that the client asked for when it began TLS (RFC 6066 §3).
    pub(super) server_name: Option<String>,
    /// The certificate that the client showed then.
    pub(super) certificate: Option<Box<ClientCertificate>>,
    /// Of the handshakes in flight, with TLS.
    pub(super) slot: Option<Slot>,
}

/// Who is at the other end, as far as it is known by now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    /// The other end, or whom the PROXY protocol told; `None` on a unix socket.
    pub(super) address: Option<SocketAddr>,
    /// Whether what it says of its own clients is believed.
    pub(super) is_trusted: bool,
    /// Whether a PROXY protocol header is still to come.
    is_announced: bool,
}

impl Caller {
    fn new(site: &Site, entrance: &Entrance, peer: Peer) -> Self {
        let address = match peer {
            Peer::Tcp(address) => Some(address),
            Peer::Unix => None,
        };
        Self {
            address,
            is_trusted: site.trust.is_trusted(address.map(|address| address.ip())),
            is_announced: entrance.proxy_protocol,
        }
    }

    /// Behind the header. Who has no address that could be told appears with that of its balancer,
    /// which does not make it the balancer: its headers are its own.
    fn introduced(&mut self, site: &Site, proxied: &Proxied) {
        self.is_announced = false;
        match proxied.endpoints {
            Some(Endpoints { source, .. }) => {
                self.address = Some(source);
                self.is_trusted = site.trust.is_trusted(Some(source.ip()));
            }
            None => self.is_trusted &= proxied.is_local,
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip())
    }
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

/// What an arrival shares with the others of its worker, and when it must be over.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    pub(super) slots: &'a Slots,
    pub(super) turn: &'a Turn,
    pub(super) counts: Counts<'a>,
    pub(super) deadline: Instant,
}

/// Registers a socket with the calling task's runtime and prepares it. `None` once it is logged why
/// nothing came of it; the peer is told nothing but TLS' own alert.
pub(super) async fn arrive(
    terms: &Terms<'_>,
    site: &Site,
    entrance: &Entrance,
    accepted: Accepted,
) -> Option<Arrived> {
    let mut caller = Caller::new(site, entrance, accepted.peer);
    let preparing = prepare(terms, site, entrance, accepted, &mut caller);
    match timeout_at(terms.deadline, preparing).await {
        Ok(Ok(arrived)) => Some(arrived),
        Ok(Err(failure)) => {
            count(entrance, &failure, &terms.counts);
            Box::pin(failed(entrance, caller, failure)).await;
            None
        }
        Err(_) => {
            too_slow(entrance, caller, &terms.counts);
            None
        }
    }
}

/// What is found out of `caller` is noted there at once, for the log of what fails afterwards.
async fn prepare(
    terms: &Terms<'_>,
    site: &Site,
    entrance: &Entrance,
    accepted: Accepted,
    caller: &mut Caller,
) -> Result<Arrived, Failure> {
    let mut socket = accepted.socket.attach()?;
    let mut scheme = entrance.scheme;
    let mut ends = None;
    if entrance.proxy_protocol {
        let proxied = proxied(&mut socket, caller).await?;
        caller.introduced(site, &proxied);
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
    let (mut server_name, mut certificate) = (None, None);
    let (stream, slot) = match &entrance.tls {
        None => (Stream::Plain(socket), None),
        Some(tls) => {
            let slot = begin_tls(terms, &socket).await?;
            // On the heap: a plain connection's future must not have room for it.
            let handshake = Box::pin(tls.accept(socket));
            let secured = terms.turn.each_step(handshake).await?;
            server_name = secured.server_name;
            certificate = secured.certificate;
            (Stream::Tls(Box::new(secured.stream)), Some(slot))
        }
    };
    Ok(Arrived {
        stream,
        caller: *caller,
        destination,
        scheme,
        server_name,
        certificate,
        slot,
    })
}

/// Browsers, balancers and scans open connections of which they may never make use: these take no
/// slot until they say something.
async fn begin_tls(terms: &Terms<'_>, socket: &Socket) -> Result<Slot, Failure> {
    if socket.peek(&mut [0]).await? == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(terms.slots.take_for_tls(terms.deadline).await?)
}

/// Nothing is read from a peer that is not trusted.
async fn proxied(socket: &mut Socket, caller: &Caller) -> Result<Proxied, Failure> {
    match caller.is_trusted {
        true => Ok(Proxied::read_from(socket).await?),
        false => Err(Failure::Untrusted),
    }
}

/// As a reason in logs and metrics.
const TOO_MANY: &str = "too_many_handshakes";

/// What came to nothing, silent ends included.
fn count(entrance: &Entrance, failure: &Failure, counts: &Counts<'_>) {
    let listener = &entrance.name;
    match failure {
        Failure::Tls(failure) => counts.tls_failed(listener, failure.reason.label()),
        Failure::Untrusted => counts.proxy_protocol_failed(listener, "untrusted"),
        Failure::Proxy(ProxyError::Lost(_)) => counts.proxy_protocol_failed(listener, "lost"),
        Failure::Proxy(_) => counts.proxy_protocol_failed(listener, "malformed"),
        Failure::Crowded(_) => counts.tls_failed(listener, TOO_MANY),
        Failure::Socket(_) if entrance.tls.is_some() => counts.tls_failed(listener, "lost"),
        Failure::Socket(_) => {}
    }
}

/// Logs what came to nothing, and lets the client read TLS' alert.
async fn failed(entrance: &Entrance, caller: Caller, failure: Failure) {
    let client = caller.ip();
    let is_silence = match &failure {
        Failure::Socket(_) | Failure::Proxy(ProxyError::Lost(_)) => true,
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
        Failure::Crowded(_) => ("TLS handshake failed", TOO_MANY, None, None),
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

fn too_slow(entrance: &Entrance, caller: Caller, counts: &Counts<'_>) {
    let listener = &entrance.name;
    let what = match &entrance.tls {
        _ if caller.is_announced => {
            counts.proxy_protocol_failed(listener, "timeout");
            "PROXY protocol refused"
        }
        Some(_) => {
            counts.tls_failed(listener, "timeout");
            "TLS handshake failed"
        }
        None => return,
    };
    entrance.tls_log.failed(TlsFailed {
        what,
        reason: "timeout",
        client: caller.ip(),
        detail: "it was not done in time".to_owned(),
        server_name: None,
    });
}
