//! `[upstreams.*]`: named sets of endpoints that serve.

use std::path::PathBuf;
use std::time::Duration;

/// One of `[upstreams.*]`, or the URL that a route names inline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its key; for an inline upstream the URL as written.
    pub name: String,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// How one is chosen.
    pub balance: Balance,
    /// What `Host` the endpoint sees.
    pub host_header: HostHeader,
    /// For one TCP connect; TLS to the endpoint has as long again.
    pub connect_timeout: Duration,
    /// For the endpoint's answer to the handshake.
    pub upgrade_timeout: Duration,
    /// From route chosen to 101, retries included.
    pub open_timeout: Duration,
    /// Other endpoints tried, only after a failed connect or a loss before any byte of an answer.
    pub retries: u32,
    /// What a host name stands for.
    pub resolve: Resolve,
    /// How often names are looked up again.
    pub resolve_interval: Duration,
    /// `[upstreams.*.tls]`, used by `wss://` endpoints.
    pub tls: UpstreamTls,
}

/// One entry of `endpoints`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where it is.
    pub address: EndpointAddress,
    /// Share relative to the others, at least 1.
    pub weight: u32,
}

/// The written address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// `ws://host:port` or `wss://host:port`.
    Tcp {
        /// `wss`
        tls: bool,
        /// Lower-case name, or an IP literal (IPv6 without brackets).
        host: String,
        /// Explicit or default port.
        port: u16,
    },
    /// `unix:/run/chat.sock`
    Unix(PathBuf),
    /// `builtin:echo`: answers inside the gateway.
    Echo,
}

/// `balance`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// Fewest live sessions per weight.
    LeastConnections,
    /// The better of two drawn at random.
    RandomTwo,
}

/// `host_header`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// As the client sent it.
    Client,
    /// The endpoint's own host and port.
    Endpoint,
    /// A fixed name.
    Fixed(String),
}

/// `resolve`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// Each address of a name is an endpoint.
    All,
    /// The name is one endpoint.
    One,
}

/// `[upstreams.*.tls]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// PEM roots to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Name to verify and to send as SNI instead of the endpoint's host.
    pub server_name: Option<String>,
}
