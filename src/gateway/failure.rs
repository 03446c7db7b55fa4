//! Every way in which a request can fail, and the one place that says what the client is told.

use crate::admission::Refusal;
use crate::http::{HandshakeError, HeadError, TargetError, reply};
use crate::route::NoRoute;
use crate::upstream::OpenError;
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use std::time::Duration;

/// Why a request did not become a session.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The head breaks HTTP's own rules, is too large or came too slowly.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Host or path are not usable.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It asks for an upgrade, but not rightly.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Nobody serves this host, path and subprotocol.
    #[error(transparent)]
    Route(#[from] NoRoute),
    /// An ordinary request where only WebSocket is served.
    #[error("an ordinary request on a WebSocket route")]
    PlainRequest,
    /// Admission said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No endpoint took the session.
    #[error(transparent)]
    Upstream(#[from] OpenError),
    /// The process is ending.
    #[error("the gateway is draining")]
    Draining,
}

/// When to come back if the gateway cannot say better.
const RETRY_SOON: Duration = Duration::from_secs(5);

const VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");
