//! One client connection: once it has arrived, HTTP/1.1 under a guard, until it closes or becomes a session.

use super::arrival::{self, Arrived, Terms};
use super::failure::Failure;
use super::guard::Guarded;
use super::link::Link;
use super::presence::Presence;
use super::request::Answer;
use super::slots;
use super::tunnel::Tunnel;
use super::{Gate, Site, request, tunnel};
use crate::http::Scheme;
use crate::net::{Accepted, Stream};
use crate::tls::ClientCertificate;
use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use tracing::debug;

/// How long a client may take to accept the last words before its connection is dropped.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Bytes of an answer that may wait for a client to take them.
const WRITES_MAX: usize = 64 * 1024;

/// A socket that was just accepted, with what it holds for as long as it lives.
pub(super) struct Arrival {
    pub(super) presence: Presence,
    /// The listener's place in the settings.
    pub(super) listener: usize,
    pub(super) accepted: Accepted,
}

/// What one connection's requests share.
pub(super) struct Exchange {
    pub(super) gate: Arc<Gate>,
    /// A connection keeps the site it came to.
    pub(super) site: Arc<Site>,
    pub(super) listener: usize,
    /// Which thread carries it.
    pub(super) worker: usize,
    /// The address at the other end, or that which the PROXY protocol told; `None` on a unix socket.
    pub(super) client: Option<IpAddr>,
    /// Its port.
    pub(super) port: u16,
    /// Whether its word on who its own clients are is believed.
    pub(super) is_trusted: bool,
    /// What the client connected to, where an upstream is told.
    pub(super) destination: Option<SocketAddr>,
    /// The scheme that clients use here.
    pub(super) scheme: Scheme,
    /// The name that the client asked for when it began TLS (RFC 6066 §3).
    server_name: Option<String>,
    /// The certificate that it showed then.
    pub(super) certificate: Option<Box<ClientCertificate>>,
    /// To and from the guard.
    pub(super) link: Arc<Link>,
    /// Of the handshakes in flight.
    pub(super) slot: slots::Held,
    /// Where `request` leaves the opened upstream, once the client's 101 is on its way.
    tunnel: Mutex<Option<Tunnel>>,
}

impl Exchange {
    /// One that nobody has opened, on the listener at that place, by a client that asked TLS for
    /// `server_name` and showed `certificate`.
    pub(super) fn imagined(
        gate: Arc<Gate>,
        listener: usize,
        client: IpAddr,
        server_name: Option<&str>,
        certificate: Option<ClientCertificate>,
    ) -> Self {
        let site = gate.site();
        Self {
            worker: 0,
            gate,
            listener,
            client: Some(client),
            port: 0,
            is_trusted: site.trust.is_trusted(Some(client)),
            destination: None,
            scheme: site.listener(listener).scheme,
            server_name: server_name.map(str::to_owned),
            certificate: certificate.map(Box::new),
            site,
            link: Arc::default(),
            slot: slots::Held::new(None),
            tunnel: Mutex::default(),
        }
    }

    /// Whether `host` may be asked for on this connection: who said by SNI whom it wants is shown
    /// that name's certificate, and gets no other host behind it (RFC 9110 §15.5.20).
    pub(super) fn covers(&self, host: &str) -> bool {
        match (&self.server_name, &self.site.listener(self.listener).tls) {
            (Some(name), Some(tls)) => tls.covers(Some(name), host),
            _ => true,
        }
    }

    /// The 101 that is returned next turns this connection into `tunnel`.
    pub(super) fn promise(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    /// Ends when the connection is to be given up for a drain: not while a request waits for its
    /// answer. Cancel-safe.
    async fn closing_time(&self) {
        self.gate.closing_time().await;
        while self.link.is_owed() {
            self.gate.closing_time().await;
        }
    }

    fn promised(&self) -> Option<Tunnel> {
        self.tunnel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Serves a connection to its end, or to the session that goes on in a task of its own.
pub(super) async fn serve(arrival: Arrival) {
    let Arrival {
        presence,
        listener,
        accepted,
    } = arrival;
    let (gate, worker) = (presence.gate().clone(), presence.worker());
    let site = gate.site();
    let counts = gate.metrics.at(worker);
    counts.accepted(&site.listener(listener).name);
    let deadline = Instant::now() + site.listener(listener).head_timeout;
    let entrance = site.listener(listener);
    let terms = Terms {
        slots: &gate.slots,
        turn: gate.turn_of(worker),
        counts,
        deadline,
    };
    let arrived = tokio::select! {
        // A plain connection has arrived at once, and need not hear of the drain here.
        biased;
        arrived = arrival::arrive(&terms, &site, entrance, accepted) => arrived,
        () = gate.closing_time() => return,
    };
    let Some(Arrived {
        stream,
        caller,
        destination,
        scheme,
        server_name,
        certificate,
        slot,
    }) = arrived
    else {
        return;
    };
    let exchange = Arc::new(Exchange {
        worker,
        gate,
        listener,
        client: caller.address.map(|address| address.ip()),
        port: caller.address.map_or(0, |address| address.port()),
        is_trusted: caller.is_trusted,
        destination,
        scheme,
        server_name,
        certificate,
        site,
        link: Arc::default(),
        slot: slots::Held::new(slot),
        tunnel: Mutex::default(),
    });
    let Some((stream, early, tunnel)) = speak_http(stream, deadline, &exchange).await else {
        return;
    };
    // A fresh task: this one has grown to the size of everything above.
    let session = tunnel::carry(presence, stream, early, *tunnel);
    exchange.gate.workers.spawn(worker, session);
}

/// Answers requests until the connection closes (`None`) or one of them has become a tunnel.
async fn speak_http(
    stream: Stream,
    deadline: Instant,
    exchange: &Arc<Exchange>,
) -> Option<(Stream, Bytes, Box<Tunnel>)> {
    let listener = exchange.site.listener(exchange.listener);
    let guarded = Guarded::new(stream, listener.max_header_size)
        .with_deadline(deadline, listener.head_timeout)
        .with_link(exchange.link.clone());
    let mut http = http1::Builder::new()
        .auto_date_header(false)
        // A client may end its sending with its request and still wants its answer.
        .half_close(true)
        // What a slow reader has not taken yet waits here, and no more than that.
        .max_buf_size(listener.max_header_size + WRITES_MAX)
        .serve_connection(TokioIo::new(guarded), Requests(exchange.clone()));
    let result = tokio::select! {
        biased;
        result = poll_fn(|cx| http.poll_without_shutdown(cx)) => result,
        () = exchange.closing_time() => Ok(()),
    };
    let parts = http.into_parts();
    let guarded = parts.io.into_inner();
    match (result, exchange.promised()) {
        (Ok(()), Some(tunnel)) => {
            let (stream, rest) = guarded.into_inner();
            // An empty buffer of hyper's still pins its memory: copy out what is in it.
            let early = [&parts.read_buf[..], &rest[..]].concat();
            Some((stream, early.into(), Box::new(tunnel)))
        }
        (result, _) => {
            if let Err(cause) = result {
                debug!(client = ?exchange.client, %cause, "connection");
            }
            // On the heap: a connection's future must not have room for it.
            Box::pin(last_words(guarded, exchange)).await;
            None
        }
    }
}

/// Tells a client whose head was refused below hyper why, and closes without a reset.
async fn last_words(guarded: Guarded<Stream>, exchange: &Exchange) {
    // A client that never sent a byte is not owed a word.
    let is_too_slow = guarded.is_overdue() && guarded.is_within_head();
    let too_slow = is_too_slow.then_some(Failure::HeadTooSlow);
    let verdict = guarded.verdict().map(Failure::Head).or(too_slow);
    let (mut stream, _) = guarded.into_inner();
    if exchange.link.is_cut() {
        return stream.reset();
    }
    let goodbye = async {
        if let Some(verdict) = verdict {
            let reply = request::refuse_head(exchange, verdict);
            stream.write_all(&reply).await?;
        }
        part(&mut stream).await
    };
    // A client that does not listen has nothing to be told.
    let _ = timeout(LAST_WORDS, goodbye).await;
}

/// Ends our side and reads until the client has closed: closing a socket with unread input would
/// send a reset, and a reset can overtake what was said last.
pub(super) async fn part(stream: &mut Stream) -> io::Result<()> {
    use tokio::io::AsyncReadExt;
    stream.shutdown().await?;
    let mut sink = [0; 4096];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

/// hyper's view of `request`.
struct Requests(Arc<Exchange>);

impl Service<Request<Incoming>> for Requests {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let exchange = self.0.clone();
        exchange.link.begin();
        Box::pin(async move {
            let answer = request::serve(&exchange, request).await;
            exchange.slot.end();
            Ok(answer.map(|body| body.tells(exchange.link.clone())))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a future that `make` gives.
    fn room<F: Future>(_make: fn(Arrival) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_takes_little_room() {
        let room = room(serve);
        assert!(room <= 3072, "{room} bytes");
    }
}
