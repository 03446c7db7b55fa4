//! `[server]`: what holds for the whole process.

use super::TrustedProxy;
use super::header::header_name;
use super::kind::{Kind, Shape, count, duration, list};
use super::network::trusted_proxy;
use super::reader::Node;
use super::section::section;
use serde_json::json;
use std::time::Duration;
use toml::de::DeValue;

section! {
    /// What holds for the whole process.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Server at "`[server]`" {
        /// Threads that carry sessions. `"auto"` is one for each core that the process may use; the
        /// CPU quota of a container counts.
        pub workers: Workers = workers(), or("auto");
        /// Client connections that may be open at the same time, over all listeners. While there
        /// are so many, new ones wait in the queue of the kernel.
        pub max_connections: usize = count(1..=10_000_000), or(100000);
        /// Handshakes that may be in flight at the same time, over all listeners: each from the
        /// first byte of TLS, or on a plain listener from the request, to the answer. Beyond it
        /// clients are answered 503 with `Retry-After`; over TLS, where that needs a handshake too, they
        /// wait first, half of `head_timeout` at most. Sessions, connections that have not asked for
        /// anything, and ordinary requests that were passed on to an upstream don't count.
        pub max_handshakes: usize = count(1..=1_000_000), or(1000);
        /// The proxies and load balancers in front of the gateway: whose PROXY protocol header and
        /// whose forwarded headers are believed. `"unix"` is whoever comes by a unix socket. What
        /// anybody else says of a client's address, scheme or host is removed.
        pub trusted_proxies: Vec<TrustedProxy> = list(trusted_proxy()), or([]);
        /// The one header in which trusted proxies tell the client's address. It is read from right
        /// to left up to the first address that is no trusted proxy: that is the client. With
        /// `"forwarded"` (RFC 7239) scheme and host are taken from there too, else from
        /// `X-Forwarded-Proto` and `X-Forwarded-Host`, which the proxies must set or delete. All
        /// other such headers are removed.
        pub client_ip_header: String = header_name(), or("x-forwarded-for");
        /// How long service goes on after SIGTERM or Ctrl-C while `/readyz` fails already: as long as it
        /// takes for the load balancer in front to notice and to send clients elsewhere.
        pub shutdown_delay: Duration = duration("0s"), or("0s");
        /// How long sessions may take to end after SIGTERM or Ctrl-C. They are told at once, with
        /// close code 1001; what is left after this time is ended.
        pub drain_timeout: Duration = duration("0s"), or("30s");
    }
    example r#"[server]
workers = 4
drain_timeout = "1m"
"#
}

/// `workers`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One per core that the process may use; a cgroup quota counts.
    Auto,
    /// So many, at least one.
    Fixed(usize),
}

fn workers() -> WorkersKind {
    WorkersKind
}

struct WorkersKind;

impl WorkersKind {
    const NUMBER: std::ops::RangeInclusive<u64> = 1..=1024;
}

impl Kind for WorkersKind {
    type Out = Workers;

    fn read(&self, node: &Node<'_>) -> Option<Workers> {
        match node.value() {
            DeValue::String(_) if node.text("a string")? == "auto" => Some(Workers::Auto),
            DeValue::String(_) if !node.is_interpolated() => node.expected(&self.shape().text),
            _ => count(Self::NUMBER).read(node).map(Workers::Fixed),
        }
    }

    fn shape(&self) -> Shape {
        Shape::new("`\"auto\"`", json!({ "const": "auto" }))
            .or(count::<usize>(Self::NUMBER).shape())
    }
}
