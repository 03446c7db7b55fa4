//! From what the configuration lists to endpoints: one for an address, a socket file or the echo,
//! one or many for a name.

use super::endpoint::{Endpoint, Place};
use super::resolve::{Lookup, Name};
use crate::config::{self, EndpointAddress, Resolve};
use arc_swap::ArcSwap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One of `endpoints`.
#[derive(Debug)]
pub(super) struct Entry {
    written: config::Endpoint,
    /// For a host that is no address.
    pub(super) name: Option<Arc<Name>>,
}

impl Entry {
    /// Knows no address of a name yet.
    pub(super) fn new(written: &config::Endpoint, lookup: &Lookup) -> Self {
        let name = match &written.address {
            EndpointAddress::Tcp { host, port, .. } if host.parse::<IpAddr>().is_err() => {
                let name = Name::new(host.clone(), *port, Arc::clone(lookup));
                Some(Arc::new(name))
            }
            _ => None,
        };
        Self {
            written: written.clone(),
            name,
        }
    }

    /// Whether it is `wss://`.
    pub(super) fn needs_tls(&self) -> bool {
        matches!(self.written.address, EndpointAddress::Tcp { tls: true, .. })
    }

    /// Whether it is `builtin:…`.
    pub(super) fn is_builtin(&self) -> bool {
        self.written.address == EndpointAddress::Echo
    }

    /// What it stands for now, as entry number `index`; taken from those `before` where it was
    /// there before. A name that is not known yet stands for nothing.
    pub(super) fn endpoints(
        &self,
        index: usize,
        resolve: Resolve,
        before: &[Arc<Endpoint>],
    ) -> Vec<Arc<Endpoint>> {
        let mut before = before.iter().filter(|endpoint| endpoint.entry == index);
        match (&self.written.address, resolve) {
            (EndpointAddress::Tcp { host, port, tls }, Resolve::All) => {
                let mut addresses = self.addresses(host, *port);
                // Resolvers turn their answers round; turns are taken here.
                addresses.sort_unstable();
                let find = |address| {
                    let mut before = before.clone();
                    before.find(|endpoint| endpoint.address() == Some(address))
                };
                let make = |address: SocketAddr| {
                    Arc::new(self.at(index, address.to_string(), vec![address], host, *tls))
                };
                let keep = |address| find(address).map_or_else(|| make(address), Arc::clone);
                addresses.into_iter().map(keep).collect()
            }
            (EndpointAddress::Tcp { host, port, tls }, Resolve::One) => {
                let addresses = self.addresses(host, *port);
                if addresses.is_empty() {
                    return Vec::new();
                }
                let make = || Arc::new(self.at(index, join(host, *port), Vec::new(), host, *tls));
                let endpoint = before.next().cloned().unwrap_or_else(make);
                endpoint.move_to(addresses);
                vec![endpoint]
            }
            (EndpointAddress::Unix(_) | EndpointAddress::Echo, _) => {
                let make = || Arc::new(self.local(index));
                vec![before.next().cloned().unwrap_or_else(make)]
            }
        }
    }

    /// The literal, or what the name is known as, in the resolver's order.
    fn addresses(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        match (&self.name, host.parse::<IpAddr>()) {
            (Some(name), _) => name.known().map_or_else(Vec::new, |known| known.to_vec()),
            (None, Ok(address)) => vec![SocketAddr::new(address, port)],
            (None, Err(_)) => Vec::new(),
        }
    }

    fn at(
        &self,
        index: usize,
        name: String,
        addresses: Vec<SocketAddr>,
        host: &str,
        tls: bool,
    ) -> Endpoint {
        let place = Place::Tcp {
            addresses: ArcSwap::from_pointee(addresses),
            tls: tls.then(|| host.to_owned()),
        };
        Endpoint::new(place, name, self.authority(), self.written.weight, index)
    }

    fn local(&self, index: usize) -> Endpoint {
        let (place, name) = match &self.written.address {
            EndpointAddress::Unix(path) => (
                Place::Unix(path.clone()),
                format!("unix:{}", path.display()),
            ),
            _ => (Place::Echo, "builtin:echo".to_owned()),
        };
        Endpoint::new(place, name, self.authority(), self.written.weight, index)
    }

    /// Its own `Host`. What has no host is on this machine.
    fn authority(&self) -> String {
        match &self.written.address {
            EndpointAddress::Tcp { tls, host, port } => {
                let usual = if *tls { 443 } else { 80 };
                match *port == usual {
                    true => bracketed(host),
                    false => join(host, *port),
                }
            }
            EndpointAddress::Unix(_) | EndpointAddress::Echo => "localhost".to_owned(),
        }
    }
}

fn join(host: &str, port: u16) -> String {
    format!("{}:{port}", bracketed(host))
}

fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}
