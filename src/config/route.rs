//! `[[routes]]` and `[route_defaults]`: which handshakes go where, and under which rules.

use super::{AuthMethod, HostPattern, OriginPattern, PathPattern, Upstream};
use std::sync::Arc;
use std::time::Duration;

/// One of `[[routes]]`, with `[route_defaults]` applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Given, or made of host and path.
    pub name: String,
    /// Indices into `Settings::listeners`; never empty.
    pub listeners: Vec<usize>,
    /// At least one; `[Any]` where none was given.
    pub hosts: Vec<HostPattern>,
    /// At least one; `[Prefix("")]` where none was given.
    pub paths: Vec<PathPattern>,
    /// Empty: any, passed on as offered.
    pub subprotocols: Vec<String>,
    /// `origins` and `require_origin`.
    pub origin: OriginPolicy,
    /// Any one of them admits; empty: open.
    pub auth: Vec<Arc<AuthMethod>>,
    /// Who serves.
    pub upstream: Arc<Upstream>,
    /// Segments taken off the front of the path, without a trailing slash (`/chat`).
    pub strip_prefix: Option<String>,
    /// Segments put before the path, without a trailing slash.
    pub add_prefix: Option<String>,
    /// Header that carries the identity to the upstream; lower case.
    pub identity_header: Option<String>,
    /// Edits of the request to the upstream.
    pub request_headers: HeaderEdits,
    /// Edits of the answer to the client.
    pub response_headers: HeaderEdits,
    /// What becomes of an offer of permessage-deflate.
    pub compression: Compression,
    /// `[routes.limits]`
    pub limits: Limits,
    /// `[routes.heartbeat]`
    pub heartbeat: Heartbeat,
    /// `[routes.timeouts]`
    pub timeouts: Timeouts,
}

/// `origins` and `require_origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPolicy {
    /// `None`: the route's own origin only.
    pub origins: Option<Vec<OriginPattern>>,
    /// Refuse handshakes without an Origin too.
    pub require: bool,
}

/// `request_headers`, `response_headers`. Names are lower case and valid, values are valid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// Replaced or added.
    pub set: Vec<(String, String)>,
    /// Taken out.
    pub remove: Vec<String>,
}

/// `compression`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// permessage-deflate is taken out of the offer.
    Off,
    /// Both ends negotiate it; its parameters are checked.
    Passthrough,
}

/// `[routes.limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes of one message over all its fragments; `None`: off.
    pub max_message_size: Option<u64>,
    /// Whether text must be UTF-8.
    pub validate_utf8: bool,
}

/// `[routes.heartbeat]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Silence after which a leg is pinged; `None`: off.
    pub ping_interval: Option<Duration>,
    /// How long a pinged leg may stay silent.
    pub pong_timeout: Duration,
}

/// `[routes.timeouts]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// No data frames either way for so long ends the session.
    pub idle: Option<Duration>,
    /// A session lasts no longer.
    pub max_duration: Option<Duration>,
    /// A leg that takes no byte for so long is lost.
    pub write: Option<Duration>,
    /// From a Close to the end of the socket.
    pub close: Duration,
}
