//! `[upstreams.*]`: named sets of endpoints that serve.

use super::endpoint::{Endpoint, endpoint};
use super::host;
use super::kind::{Parsed, choice, count, duration, existing_file, filled, or_off, parsed, table};
use super::problem::Problem;
use super::section::section;
use std::path::PathBuf;
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
        /// endpoints). All of them respect weights.
        pub balance: Balance = choice(&[
            ("round_robin", Balance::RoundRobin),
            ("least_connections", Balance::LeastConnections),
            ("random_two", Balance::RandomTwo),
        ]), or("round_robin");
        /// The `Host` that the endpoint sees: `"client"` passes on what the client sent,
        /// `"endpoint"` is the endpoint's own host and port, anything else is sent as it is.
        pub host_header: HostHeader = host_header(), or("client");
        /// For one TCP connect. TLS to the endpoint has as long again.
        pub connect_timeout: Duration = duration("10ms"), or("3s");
        /// For the endpoint's answer to the handshake.
        pub upgrade_timeout: Duration = duration("10ms"), or("10s");
        /// For everything from the chosen route to the endpoint's answer, retries included.
        pub open_timeout: Duration = duration("10ms"), or("15s");
        /// How many other endpoints are tried. Only a failed connect, or a connection lost before
        /// any byte of an answer, is tried again.
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
        /// How `wss://` endpoints prove who they are.
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

section! {
    /// How `wss://` endpoints prove who they are.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct UpstreamTls at "`[upstreams.NAME.tls]`" {
        /// Roots to trust, PEM. Left out: those of the system.
        pub ca: Option<PathBuf> = existing_file("PEM certificates"), optional;
        /// The name to verify and to ask for (SNI). Left out: the host of the endpoint.
        pub server_name: Option<String> = server_name(), optional;
    }
    example r#"[upstreams.chat]
endpoints = ["wss://10.0.0.1:8443"]

[upstreams.chat.tls]
ca = "backend-ca.pem"
server_name = "chat.internal"
"#
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

fn server_name() -> Parsed<String> {
    parsed(
        "a host name or an IP address",
        ".",
        |text| match text.parse::<std::net::IpAddr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) if text.contains(':') => Err(Problem::new(format!("`{text}` is not a name"))
                .help("write the name without scheme and port")),
            Err(_) => host::parse(text),
        },
    )
}
