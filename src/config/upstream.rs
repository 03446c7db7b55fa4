//! `[upstreams.*]`: named sets of endpoints that serve.

use super::balance::{Balance, balance};
use super::endpoint::{Endpoint, endpoint};
use super::host;
use super::kind::{Parsed, choice, count, duration, filled, or_off, parsed, table};
use super::section::section;
use super::tls::UpstreamTls;
use std::time::Duration;

section! {
    /// Servers that do the same work, under a name for routes. A route that needs no more than one
    /// server with these defaults can name its URL instead.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Upstream at "`[upstreams.NAME]`" named name {
        /// The servers, each a URL without a path (`"ws://10.0.0.1:8080"`,
        /// `"wss://chat.internal"`), a socket in the file system (`"unix:/run/chat.sock"`), or
        /// `"builtin:echo"`, which answers inside the gateway and shows a page for trying it out.
        pub endpoints: Vec<Endpoint> = filled(endpoint()), required;
        /// How an endpoint is chosen for a session: in turn, the one with the fewest sessions, or
        /// the better of two drawn at random (which spreads best where several gateways share the
        /// endpoints); or, with a table, the same one for the same key. All of them respect weights,
        /// and leave an endpoint that has failed in the last seconds to the end.
        pub balance: Balance = balance(), or("round_robin");
        /// The `Host` that the endpoint sees: `"client"` passes on what the client sent,
        /// `"endpoint"` is the endpoint's own host and port, anything else is sent as it is.
        pub host_header: HostHeader = host_header(), or("client");
        /// For one TCP connect. TLS to the endpoint has as long again.
        pub connect_timeout: Duration = duration("10ms"), or("3s");
        /// For the endpoint's answer to the handshake.
        pub upgrade_timeout: Duration = duration("10ms"), or("10s");
        /// For everything from the chosen route to the endpoint's answer, retries included.
        pub open_timeout: Duration = duration("10ms"), or("15s");
        /// How many other endpoints are tried. Only a failed connect or TLS handshake, or a connection
        /// lost before any byte of an answer, is tried again.
        pub retries: u32 = count(0..=16), or(2);
        /// How long a connection that has carried an ordinary request waits for the next one. It must
        /// be shorter than the server's own time (Node closes after 5 seconds). `"off"`: each request
        /// has a connection of its own. Sessions always have one.
        pub keep_alive: Option<Duration> = or_off(duration("10ms")), or("4s");
        /// `"all"`: each address of a host name is an endpoint. `"one"`: the name is.
        pub resolve: Resolve = choice(&[
            ("all", Resolve::All),
            ("one", Resolve::One),
        ]), or("all");
        /// How often host names are looked up again. An address that is gone takes no new
        /// sessions and keeps those it has.
        pub resolve_interval: Duration = duration("100ms"), or("30s");
        /// Whether each connection to an endpoint begins with a PROXY protocol header that tells
        /// the client's address. Endpoints must expect it. Such a connection carries the requests of
        /// one client alone.
        pub proxy_protocol: ProxyProtocol = choice(&[
            ("off", ProxyProtocol::Off),
            ("v1", ProxyProtocol::V1),
            ("v2", ProxyProtocol::V2),
        ]), or("off");
        /// How `wss://` endpoints and the gateway prove to each other who they are.
        pub tls: UpstreamTls = table(), or({});
    }
    example r#"[upstreams.chat]
endpoints = [
    "ws://10.0.0.1:8080",
    { url = "ws://10.0.0.2:8080", weight = 2 },
]
balance = "least_connections"
"#
}

/// `proxy_protocol` of an upstream
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// No header.
    Off,
    /// A line of text.
    V1,
    /// Binary.
    V2,
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

fn host_header() -> Parsed<HostHeader> {
    parsed(
        "`\"client\"`, `\"endpoint\"` or a host",
        ".",
        |text| match text {
            "client" => Ok(HostHeader::Client),
            "endpoint" => Ok(HostHeader::Endpoint),
            _ => {
                let (host, port) = host::parse_authority(text)?;
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                Ok(HostHeader::Fixed(host + &port))
            }
        },
    )
}
