//! From TOML text to [`Settings`].
//!
//! The only place that knows TOML, defaults and units. What comes out cannot be wrong: every
//! reference resolves, every pattern is compiled, every file named exists. What is wrong is
//! reported all at once as [`Problems`], each with its place, its line and what to write instead.

mod auth;
mod listener;
mod log;
mod route;
mod server;
mod upstream;
mod value;

pub use auth::{ApiKey, ApiKeys, AuthKind, AuthMethod, Basic, CredentialSource};
pub use listener::{BindAddress, CertificateFiles, Listener, ListenerTls};
pub use log::{Log, LogFormat};
pub use route::{Compression, HeaderEdits, Heartbeat, Limits, OriginPolicy, Route, Timeouts};
pub use server::{Server, Workers};
pub use upstream::{
    Balance, Endpoint, EndpointAddress, HostHeader, Resolve, Upstream, UpstreamTls,
};
pub use value::{HostPattern, OriginPattern, PathPattern, Scheme, Secret};

use std::sync::Arc;

/// A whole configuration, checked. Lists keep the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
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
