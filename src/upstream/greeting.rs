//! What a connection to an endpoint begins with: the PROXY protocol header, where one is expected.

use crate::config::ProxyProtocol;
use crate::net::{Endpoints, ProxyVersion, Socket};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::AsyncWriteExt;

/// The connection of the client that a leg is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Its address; port 0 where only the address is known.
    pub client: SocketAddr,
    /// What it connected to, if that is known.
    pub destination: Option<SocketAddr>,
}

/// A header to be written before everything else, TLS included. A connection that began with one is
/// that client's alone: no other client's request may follow on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Greeting {
    version: Option<ProxyVersion>,
    source: Option<Source>,
}

impl Greeting {
    /// Of a connection for `source`; `None`: for a client that has no address, so that the gateway
    /// speaks for itself.
    pub(super) fn new(setting: ProxyProtocol, source: Option<Source>) -> Self {
        let version = match setting {
            ProxyProtocol::Off => None,
            ProxyProtocol::V1 => Some(ProxyVersion::V1),
            ProxyProtocol::V2 => Some(ProxyVersion::V2),
        };
        Self { version, source }
    }

    /// Writes it to a fresh connection to `endpoint`; `None`: a unix socket.
    pub(super) async fn send(
        self,
        mut socket: Socket,
        endpoint: Option<SocketAddr>,
    ) -> io::Result<Socket> {
        if let Some(header) = self.header(endpoint) {
            socket.write_all(&header).await?;
        }
        Ok(socket)
    }

    fn header(self, endpoint: Option<SocketAddr>) -> Option<Vec<u8>> {
        let endpoints = self.source.map(|source| {
            let destination = source.destination.or(endpoint);
            Endpoints::of(source.client, destination.unwrap_or(NOWHERE))
        });
        Some(self.version?.encode(endpoints))
    }
}

/// What stands for an address that nobody knows.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_told_what_is_known_and_else_its_own_address() {
        let source = |destination: Option<&str>| Source {
            client: "192.0.2.7:4711".parse().unwrap(),
            destination: destination.map(|text| text.parse().unwrap()),
        };
        let told = "198.51.100.1:443";
        let endpoint = Some("10.0.0.2:80");
        for (source, endpoint, expected) in [
            (
                Some(source(Some(told))),
                endpoint,
                "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
            ),
            (
                Some(source(None)),
                endpoint,
                "PROXY TCP4 192.0.2.7 10.0.0.2 4711 80\r\n",
            ),
            (
                Some(source(None)),
                None,
                "PROXY TCP4 192.0.2.7 0.0.0.0 4711 0\r\n",
            ),
            (None, endpoint, "PROXY UNKNOWN\r\n"),
        ] {
            let endpoint = endpoint.map(|text| text.parse().unwrap());
            let header = Greeting::new(ProxyProtocol::V1, source).header(endpoint);
            assert_eq!(header.as_deref(), Some(expected.as_bytes()));
        }
    }

    #[test]
    fn an_endpoint_that_expects_nothing_is_told_nothing() {
        let source = Source {
            client: "192.0.2.7:4711".parse().unwrap(),
            destination: None,
        };
        let greeting = Greeting::new(ProxyProtocol::Off, Some(source));
        assert_eq!(greeting.header(None), None);
    }
}
