//! `[[routes]]` and `[route_defaults]`: which handshakes go where, and under which rules.

use super::cors::Cors;
use super::header::{HeaderEdits, header_edits, header_name, token};
use super::host::host;
use super::inline::{Serves, serves};
use super::kind::{
    Refers, at, boolean, choice, duration, filled, list, name, one_or_list, or_off, refers_to,
    table,
};
use super::network::network;
use super::origin::origin;
use super::path::{path, prefix};
use super::reader::At;
use super::section::section;
use super::{AuthMethod, HostPattern, Limits, OriginPattern, PathPattern, Upstream};
use ipnet::IpNet;
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
    /// `allow_ips` and `deny_ips`.
    pub network: NetworkPolicy,
    /// Any one of them admits; empty: open.
    pub auth: Vec<Arc<AuthMethod>>,
    /// Each of them must admit as well.
    pub auth_all: Vec<Arc<AuthMethod>>,
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
    /// What becomes of requests that are no handshakes.
    pub http_requests: HttpRequests,
    /// `[routes.cors]`
    pub cors: Option<Cors>,
    /// What becomes of an offer of permessage-deflate.
    pub compression: Compression,
    /// `[routes.limits]`
    pub limits: Limits,
    /// `[routes.heartbeat]`
    pub heartbeat: Heartbeat,
    /// `[routes.timeouts]`
    pub timeouts: Timeouts,
}

section! {
    /// Which handshakes go where, and under which rules.
    ///
    /// A handshake is matched by host first: an exact name before a wildcard before a route
    /// without `host`. Then by path: exact before the longest prefix. Then by the first
    /// subprotocol of the client's offer that a route lists; an offer that matches none takes the
    /// route without `subprotocols`. A host that matched never falls back to a less specific one.
    pub(super) struct RouteKeys at "`[[routes]]`" {
        /// The route's name in logs. Left out: its host, path and subprotocols.
        pub(super) name: Option<At<String>> = at(name()), optional;
        /// Names of the listeners that it serves. Left out: all.
        pub(super) listeners: Option<Vec<At<String>>> = filled(refers_to(Refers::Listener)), optional;
        /// Exact, or `*.` and a domain for exactly one label before it. Left out: any host.
        pub(super) host: Option<Vec<HostPattern>> = one_or_list(host()), optional;
        /// Exact, or with `/*` at its end: `"/chat/*"` is `/chat` and everything below it. Left
        /// out: any path.
        pub(super) path: Option<Vec<PathPattern>> = one_or_list(path()), optional;
        /// The subprotocols that it serves; the upstream is offered only these, in the client's
        /// order, and may choose only from these. Left out: any, passed on as offered.
        pub(super) subprotocols: Option<Vec<At<String>>> = filled(at(token())), optional;
        /// Whose pages may connect, by the `Origin` that browsers send. `"*"` admits all, `"null"`
        /// those without an origin. Left out: only pages that come from the route's own host.
        pub(super) origins: Option<Vec<OriginPattern>> = filled(origin()), optional;
        /// Whether handshakes without an `Origin` are refused too. Programs other than browsers
        /// usually send none.
        pub(super) require_origin: bool = boolean(), or(false);
        /// From where clients may come. Left out: from everywhere. A client on a unix socket has no
        /// address, and passes only without this list.
        pub(super) allow_ips: Option<Vec<IpNet>> = filled(network()), optional;
        /// From where clients may not come, whatever `allow_ips` says.
        pub(super) deny_ips: Vec<IpNet> = list(network()), or([]);
        /// Names of methods in `[auth]`; any one of them admits. Empty: open.
        pub(super) auth: Vec<At<String>> = list(refers_to(Refers::Auth)), or([]);
        /// Names of methods in `[auth]`; each of them must admit, beside one of `auth` if there are
        /// any. The identity is that of the method in `auth`, else of the first in here.
        pub(super) auth_all: Vec<At<String>> = list(refers_to(Refers::Auth)), or([]);
        /// Who serves: a name in `[upstreams]`, or an endpoint as it would be listed there. It may
        /// stand in `[route_defaults]` instead.
        pub(super) upstream: Serves = serves(), required;
        /// Segments to take off the front of the path before the upstream sees it; they are told
        /// in `X-Forwarded-Prefix`. `"/chat"` makes `/` of `/chat` and `/a` of `/chat/a`.
        pub(super) strip_prefix: Option<String> = prefix(), optional;
        /// Segments to put before the path, after `strip_prefix`.
        pub(super) add_prefix: Option<String> = prefix(), optional;
        /// The header in which the upstream gets the identity, as `method:user`. Clients cannot
        /// set it.
        pub(super) identity_header: Option<String> = header_name(), optional;
        /// Edits of the handshake that the upstream gets.
        pub(super) request_headers: HeaderEdits = header_edits(), or({});
        /// Edits of the answer that the client gets.
        pub(super) response_headers: HeaderEdits = header_edits(), or({});
        /// What becomes of requests that are no handshakes: `"reject"` answers 426, `"proxy"` passes
        /// them on to the same upstream, under the same checks. Of several routes of one host and
        /// path, which differ in `subprotocols`, the one without takes them, else the first that
        /// says `"proxy"`.
        pub(super) http_requests: HttpRequests = choice(&[
            ("reject", HttpRequests::Reject),
            ("proxy", HttpRequests::Proxy),
        ]), or("reject");
        /// What pages of other origins may do with ordinary requests. Left out: what the upstream says.
        pub(super) cors: Option<At<Cors>> = at(table()), optional;
        /// `"off"` takes permessage-deflate out of the offer. `"passthrough"` lets client and
        /// upstream agree on it; limits then count compressed bytes, and text is not checked.
        pub(super) compression: Compression = choice(&[
            ("off", Compression::Off),
            ("passthrough", Compression::Passthrough),
        ]), or("off");
        /// How much a client may ask for, and what a message may be.
        pub(super) limits: Limits = table(), or({});
        /// How silent peers are found out.
        pub(super) heartbeat: Heartbeat = table(), or({});
        /// When a session ends by itself.
        pub(super) timeouts: Timeouts = table(), or({});
    }
    example r#"[[routes]]
name = "chat"
host = ["chat.example.com", "*.chat.example.com"]
path = "/chat/*"
subprotocols = ["chat.v2", "chat.v1"]
origins = ["https://app.example.com"]
upstream = "ws://10.0.0.1:8080"
strip_prefix = "/chat"
"#
}

/// The keys that are each route's own and have no place in `[route_defaults]`.
pub(super) const OWN_KEYS: &[&str] = &["name", "host", "path", "subprotocols"];

/// `origins` and `require_origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPolicy {
    /// `None`: the route's own origin only.
    pub origins: Option<Vec<OriginPattern>>,
    /// Refuse handshakes without an Origin too.
    pub require: bool,
}

/// `http_requests`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpRequests {
    /// They are answered 426.
    Reject,
    /// They go to the upstream.
    Proxy,
}

/// `allow_ips` and `deny_ips`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// `None`: everywhere.
    pub allow: Option<Vec<IpNet>>,
    /// Wins.
    pub deny: Vec<IpNet>,
}

/// `compression`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// permessage-deflate is taken out of the offer.
    Off,
    /// Both ends negotiate it; its parameters are checked.
    Passthrough,
}

section! {
    /// How silent peers are found out. Any byte proves life; a leg that the gateway itself does
    /// not read, as the other side is slow, is not blamed.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Heartbeat at "`[routes.heartbeat]`" {
        /// Silence after which a leg, client or upstream, is pinged; ±10 %, so that sessions don't
        /// ping in step.
        pub ping_interval: Option<Duration> = or_off(duration("100ms")), or("30s");
        /// How long a pinged leg may stay silent before it is given up.
        pub pong_timeout: Duration = duration("100ms"), or("10s");
    }
    example r#"[[routes]]
upstream = "ws://10.0.0.1:8080"

[routes.heartbeat]
ping_interval = "1m"
"#
}

section! {
    /// When a session, or an ordinary request, ends by itself.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Timeouts at "`[routes.timeouts]`" {
        /// How long a session may go without a message either way. Pings don't count.
        pub idle: Option<Duration> = or_off(duration("100ms")), or("off");
        /// How long a session may last; ±10 %, so that clients don't come back as a herd.
        pub max_duration: Option<Duration> = or_off(duration("100ms")), or("off");
        /// How long a leg may take no byte of what waits for it before it is lost.
        pub write: Option<Duration> = or_off(duration("100ms")), or("60s");
        /// From our Close to the end of the connection: how long the peer has to answer.
        pub close: Duration = duration("10ms"), or("5s");
        /// With `http_requests = "proxy"`: from the end of an ordinary request to the head of the
        /// upstream's answer, after which it is 504. It must be longer than the server holds a long
        /// poll.
        pub response: Option<Duration> = or_off(duration("10ms")), or("60s");
        /// With `http_requests = "proxy"`: how long the body of an ordinary request, or of its
        /// answer, may stand still. A server that sends events more seldom than that needs a longer
        /// time, or `"off"`.
        pub body: Option<Duration> = or_off(duration("10ms")), or("60s");
    }
    example r#"[[routes]]
upstream = "ws://10.0.0.1:8080"

[routes.timeouts]
idle = "15m"
max_duration = "12h"
"#
}

impl RouteKeys {
    /// Each host once; any, where none was given.
    pub(super) fn hosts(&self) -> Vec<HostPattern> {
        distinct(self.host.as_deref().unwrap_or(&[HostPattern::Any]))
    }

    /// Each path once; any, where none was given.
    pub(super) fn paths(&self) -> Vec<PathPattern> {
        let any = [PathPattern::Prefix(String::new())];
        distinct(self.path.as_deref().unwrap_or(&any))
    }

    /// The given name, or one made of what the route is chosen by, so that it does not depend on
    /// the other routes.
    pub(super) fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.value.clone();
        }
        let hosts = joined(self.host.iter().flatten());
        let paths = joined(self.path.iter().flatten());
        let mut name = match hosts + &paths {
            name if name.is_empty() => "/*".to_owned(),
            name => name,
        };
        if let Some(subprotocols) = &self.subprotocols {
            name += " for ";
            name += &joined(subprotocols.iter().map(|token| &token.value));
        }
        name
    }
}

fn joined(parts: impl Iterator<Item = impl ToString>) -> String {
    parts
        .map(|part| part.to_string())
        .collect::<Vec<_>>()
        .join(",")
}

/// Written differently, a host may stand twice: `A.example` and `a.example`.
fn distinct<T: Clone + PartialEq>(patterns: &[T]) -> Vec<T> {
    let mut distinct: Vec<T> = Vec::new();
    for pattern in patterns {
        if !distinct.contains(pattern) {
            distinct.push(pattern.clone());
        }
    }
    distinct
}
