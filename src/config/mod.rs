//! From TOML text to [`Settings`].
//!
//! The only place that knows TOML, defaults and units. What comes out cannot be wrong: every
//! reference resolves, every pattern is compiled, every file named exists. What is wrong is
//! reported all at once as [`Problems`], each with its place, its line and what to write instead.
//!
//! A key is declared once, in its section (`server.rs`, `route.rs`, …; see `section.rs`): from the
//! declaration come the reading, the known keys, the reference and the schema. `reader/` gives
//! values with their places, `kind/` knows how values are written, `assemble.rs` ties up names.

mod admin;
mod assemble;
mod auth;
mod balance;
mod brought;
mod conflict;
mod cors;
mod encryption;
mod endpoint;
mod find;
mod header;
mod host;
mod include;
mod inline;
mod kind;
mod limits;
mod listener;
mod load;
mod log;
mod method;
mod network;
mod origin;
mod path;
mod problem;
mod quick;
mod reader;
mod redirect;
mod reference;
mod render;
mod root;
mod route;
mod section;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod upstream;
mod url;
mod value;

pub use admin::{ADMIN, Admin, AdminRight, AdminToken, HEALTH, Health};
pub use auth::{
    Anonymous, ApiKey, ApiKeys, AuthKind, AuthMethod, Basic, CertificateName, ClaimRule,
    ClaimValue, ClientCert, CredentialSource, ForwardAuth, Jwt, KeyKind, KeySetPlace, NamePattern,
    PublicKey, Ticket, TokenKeys,
};
pub use balance::{Affinity, Balance, HashKey, IssuedCookie, SameSite};
pub use cors::Cors;
pub use endpoint::{Endpoint, EndpointAddress};
pub use find::{NoFile, find};
pub use header::HeaderEdits;
pub use limits::{
    LimitKey, LimitedDirection, Limits, OnSessions, OnTraffic, RateLimit, SessionLimit, TrafficKey,
    TrafficLimit,
};
pub use listener::{BindAddress, Listener};
pub use load::{load, parse};
pub use log::{Log, LogFormat};
pub use network::TrustedProxy;
pub use problem::Problems;
pub use quick::quick;
pub use reference::{reference, schema};
pub use route::{
    Compression, Heartbeat, HttpRequests, NetworkPolicy, OriginPolicy, Route, Timeouts,
};
pub use server::{Server, Workers};
pub use tls::{CertificateFiles, ClientCertificates, ListenerTls, TlsVersion, UpstreamTls};
pub use upstream::{HostHeader, ProxyProtocol, Resolve, Upstream};
pub use url::Url;
pub use value::{HostPattern, OriginPattern, PathPattern, Rate, Scheme, Secret};

use std::sync::Arc;

/// A whole configuration, checked. Lists keep the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[health]`
    pub health: Option<Health>,
    /// `[admin]`
    pub admin: Option<Admin>,
    /// `[log]`
    pub log: Log,
    /// `[[listeners]]`, at least one.
    pub listeners: Vec<Listener>,
    /// `[upstreams.*]`, and one for each URL that a route names inline.
    pub upstreams: Vec<Arc<Upstream>>,
    /// `[auth.*]`
    pub auth: Vec<Arc<AuthMethod>>,
    /// `[[routes]]` with `[route_defaults]` already applied.
    pub routes: Vec<Arc<Route>>,
}
