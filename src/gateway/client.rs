//! Who the client of a request is, and how it reached the outermost hop that is trusted.

use super::connection::Exchange;
use crate::config::{Server, TrustedProxy};
use crate::http::{Authority, Scheme, Target, Told};
use crate::upstream::Source;
use http::{HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

/// Whose word on a client is believed, and where it stands.
#[derive(Debug)]
pub(super) struct Trust {
    proxies: Box<[TrustedProxy]>,
    header: HeaderName,
}

/// The client of one request.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// `None` on a unix socket.
    pub(super) address: Option<IpAddr>,
    /// From the client to the connection's own peer, as far as trusted proxies vouch for it.
    pub(super) chain: Vec<IpAddr>,
    /// The scheme that it used.
    pub(super) scheme: Scheme,
    /// The host that it asked for, where a trusted proxy asks for another.
    host: Option<Authority>,
}

impl Trust {
    /// `trusted_proxies` and `client_ip_header`. `None` if the header's name is none.
    pub(super) fn new(server: &Server) -> Option<Self> {
        Some(Self {
            proxies: server.trusted_proxies.clone().into(),
            header: HeaderName::from_bytes(server.client_ip_header.as_bytes()).ok()?,
        })
    }

    /// Whether a peer is believed; `None` for one on a unix socket.
    pub(super) fn is_trusted(&self, peer: Option<IpAddr>) -> bool {
        self.proxies.iter().any(|proxy| proxy.is(peer))
    }
}

impl Client {
    /// As the connection tells it.
    pub(super) fn of_connection(exchange: &Exchange) -> Self {
        Self {
            address: exchange.client,
            chain: exchange.client.into_iter().collect(),
            scheme: exchange.scheme,
            host: None,
        }
    }

    /// Learns of the request's `headers` who it is, where the connection's peer is trusted.
    pub(super) fn introduce(&mut self, exchange: &Exchange, headers: &HeaderMap) {
        if !exchange.is_trusted {
            return;
        }
        let trust = &exchange.site.trust;
        let told = Told::by(headers, &trust.header, |hop| trust.is_trusted(Some(hop)));
        if let Some(&client) = told.hops.first() {
            self.address = Some(client);
        }
        self.chain.splice(..0, told.hops);
        self.scheme = told.scheme.unwrap_or(self.scheme);
        self.host = told.host;
    }

    /// What an upstream is told by the PROXY protocol: the client, and what it connected to.
    pub(super) fn source(&self, exchange: &Exchange) -> Option<Source> {
        let address = self.address?;
        // The port is known of the connection's own other end alone.
        let port = match exchange.client == self.address {
            true => exchange.port,
            false => 0,
        };
        Some(Source {
            client: SocketAddr::new(address, port),
            destination: exchange.destination,
        })
    }

    /// What the client asked for, where it knows the gateway under another name than `target`.
    pub(super) fn authority(&self, target: &Target) -> Authority {
        self.host.clone().unwrap_or_else(|| target.named())
    }

    /// That other name, if there is one.
    pub(super) fn asked_for(&self) -> Option<&Authority> {
        self.host.as_ref()
    }
}
