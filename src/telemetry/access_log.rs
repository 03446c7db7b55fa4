//! One line when a session opens, one when it ends, one for each refusal.
//!
//! Values that peers choose are recorded as strings, which the text format quotes and escapes and
//! JSON encodes: no control character reaches a terminal. Query strings and credentials are not
//! here to begin with.

use crate::relay::Outcome;
use crate::session::Session;
use std::net::IpAddr;
use std::time::Duration;
use tracing::info;

/// The access log of the process, on or off.
#[derive(Debug, Clone, Copy)]
pub struct AccessLog {
    on: bool,
}

/// A request that was not turned into a session.
#[derive(Debug)]
pub struct Refused<'a> {
    /// As told to the client.
    pub request_id: &'a str,
    /// The name of the listener.
    pub listener: &'a str,
    /// The client's address; `None` on a unix socket.
    pub client: Option<IpAddr>,
    /// As far as it was understood.
    pub host: Option<&'a str>,
    /// Without the query, as far as it was understood.
    pub path: Option<&'a str>,
    /// The route's name, once one was found.
    pub route: Option<&'a str>,
    /// The HTTP status that the client was given.
    pub status: u16,
    /// One word for why.
    pub reason: &'static str,
    /// More words for the operator.
    pub detail: &'a str,
    /// From the request's head to the answer.
    pub took: Duration,
}

/// An ordinary request that was passed on.
#[derive(Debug)]
pub struct Requested<'a> {
    /// As told to the upstream.
    pub request_id: &'a str,
    /// The name of the listener.
    pub listener: &'a str,
    /// The client's address; `None` on a unix socket.
    pub client: Option<IpAddr>,
    /// As the client asked.
    pub method: &'a str,
    /// As routed.
    pub host: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// The route's name.
    pub route: &'a str,
    /// The upstream's name.
    pub upstream: &'a str,
    /// The endpoint that answered; `None` if the gateway itself did.
    pub endpoint: Option<&'a str>,
    /// `method:name`, where the route asks for one.
    pub identity: Option<&'a str>,
    /// As the upstream answered.
    pub status: u16,
    /// One word for how the answer ended.
    pub reason: &'static str,
    /// More words for the operator, if it did not end well.
    pub detail: Option<&'a str>,
    /// Of the request's body.
    pub to_upstream_bytes: u64,
    /// Of the answer's body.
    pub to_client_bytes: u64,
    /// From the request's head to the end of the answer.
    pub took: Duration,
}

/// A line about a session: what all of them say of it, then what this one adds.
macro_rules! session_line {
    ($session:expr, $($what:tt)+) => {
        info!(
            target: "wsgate::access",
            request_id = $session.request_id(),
            listener = &*$session.names().listener,
            client = $session.client().map(tracing::field::display),
            host = $session.host(),
            path = $session.path(),
            route = &*$session.names().route,
            upstream = &*$session.names().upstream,
            endpoint = $session.endpoint(),
            identity = $session.identity(),
            $($what)+
        )
    };
}

impl AccessLog {
    /// `[log] access`
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// A client was answered 101, `took` after its request.
    pub fn opened(self, session: &Session, took: Duration) {
        if !self.on {
            return;
        }
        session_line!(
            session,
            subprotocol = session.subprotocol(),
            handshake_ms = millis(took),
            "session opened"
        );
    }

    /// A session is over.
    pub fn ended(self, session: &Session, outcome: &Outcome) {
        if !self.on {
            return;
        }
        let Outcome {
            client,
            upstream,
            to_upstream,
            to_client,
            ..
        } = outcome;
        session_line!(
            session,
            ended_by = outcome.ended_by.label(),
            reason = outcome.end.label(),
            detail = outcome.end.detail(),
            client_close_received = client.close_received,
            client_close_sent = client.close_sent,
            client_cut_mid_frame = client.cut_mid_frame,
            upstream_close_received = upstream.close_received,
            upstream_close_sent = upstream.close_sent,
            upstream_cut_mid_frame = upstream.cut_mid_frame,
            to_upstream_frames = to_upstream.frames,
            to_upstream_messages = to_upstream.messages,
            to_upstream_bytes = to_upstream.bytes,
            to_client_frames = to_client.frames,
            to_client_messages = to_client.messages,
            to_client_bytes = to_client.bytes,
            duration_ms = millis(outcome.duration),
            "session ended"
        );
    }

    /// An ordinary request got its answer, as far as it came.
    pub fn requested(self, requested: &Requested<'_>) {
        if !self.on {
            return;
        }
        info!(
            target: "wsgate::access",
            request_id = requested.request_id,
            listener = requested.listener,
            client = requested.client.map(tracing::field::display),
            method = requested.method,
            host = requested.host,
            path = requested.path,
            route = requested.route,
            upstream = requested.upstream,
            endpoint = requested.endpoint,
            identity = requested.identity,
            status = requested.status,
            reason = requested.reason,
            detail = requested.detail,
            to_upstream_bytes = requested.to_upstream_bytes,
            to_client_bytes = requested.to_client_bytes,
            took_ms = millis(requested.took),
            "request"
        );
    }

    /// A request got an error, or another answer than a session.
    pub fn refused(self, refused: &Refused<'_>) {
        if !self.on {
            return;
        }
        info!(
            target: "wsgate::access",
            request_id = refused.request_id,
            listener = refused.listener,
            client = refused.client.map(tracing::field::display),
            host = refused.host,
            path = refused.path,
            route = refused.route,
            status = refused.status,
            reason = refused.reason,
            detail = refused.detail,
            took_ms = millis(refused.took),
            "refused"
        );
    }
}

/// Milliseconds with a fraction: durations span from microseconds to days.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
