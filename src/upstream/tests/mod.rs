//! Pools against endpoints over real sockets, most of which misbehave.
//!
//! The clock is paused where something has to take too long: it runs only while everybody waits.

mod builtin;
mod names;
mod opening;
mod peer;
mod refusals;
mod retries;
mod tls;

use super::{Ask, Opened, Pool};
use crate::config::{
    Balance, Endpoint, EndpointAddress, HostHeader, ProxyProtocol, Resolve, Upstream, UpstreamTls,
};
use http::HeaderMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;

/// Settings with the defaults of the configuration.
fn settings(endpoints: Vec<EndpointAddress>) -> Upstream {
    Upstream {
        name: "chat".to_owned(),
        endpoints: endpoints
            .into_iter()
            .map(|address| Endpoint { address, weight: 1 })
            .collect(),
        balance: Balance::RoundRobin,
        host_header: HostHeader::Client,
        connect_timeout: Duration::from_secs(3),
        upgrade_timeout: Duration::from_secs(10),
        open_timeout: Duration::from_secs(15),
        retries: 2,
        keep_alive: Some(Duration::from_secs(4)),
        resolve: Resolve::All,
        resolve_interval: Duration::from_secs(30),
        proxy_protocol: ProxyProtocol::Off,
        tls: UpstreamTls::default(),
    }
}

fn ws(address: SocketAddr) -> EndpointAddress {
    EndpointAddress::Tcp {
        tls: false,
        host: address.ip().to_string(),
        port: address.port(),
    }
}

fn wss(address: SocketAddr) -> EndpointAddress {
    EndpointAddress::Tcp {
        tls: true,
        host: address.ip().to_string(),
        port: address.port(),
    }
}

fn pool(settings: Upstream) -> Pool {
    Pool::new(Arc::new(settings)).unwrap()
}

fn pool_of(endpoints: &[SocketAddr]) -> Pool {
    pool(settings(endpoints.iter().copied().map(ws).collect()))
}

fn ask() -> Ask {
    Ask {
        path_and_query: "/room?id=1".to_owned(),
        host: "chat.test:8443".to_owned(),
        source: None,
        affinity: None,
        headers: HeaderMap::new(),
        subprotocols: Vec::new(),
        deflate: None,
    }
}

/// Sessions on the endpoint of `opened`.
fn sessions(opened: &Opened) -> u32 {
    opened.lease.endpoint().sessions()
}

/// A port of this machine that nobody listens on: it is held, so that no other test gets it.
struct ClosedPort {
    address: SocketAddr,
    _held: TcpSocket,
}

impl ClosedPort {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            _held: socket,
        }
    }
}
