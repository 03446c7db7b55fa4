//! From a URL to a stream: an address, a connection, and TLS where it is `https://`.

use super::error::{Deadline, FetchError, Stage};
use super::name::Name;
use crate::config::Url;
use crate::net::{Socket, Stream, connect};
use crate::tls::ClientTls;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where a service is.
#[derive(Debug)]
pub(super) struct Place {
    /// IPv6 without brackets.
    host: String,
    addresses: Addresses,
    tls: Option<ClientTls>,
}

#[derive(Debug)]
enum Addresses {
    Known(Arc<[SocketAddr]>),
    Named(Name),
}

impl Place {
    pub(super) fn new(url: &Url, tls: Option<ClientTls>) -> Self {
        let host = url.host.trim_matches(['[', ']']).to_owned();
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => Addresses::Known([SocketAddr::new(address, url.port)].into()),
            Err(_) => Addresses::Named(Name::new(host.clone(), url.port)),
        };
        Self {
            host,
            addresses,
            tls,
        }
    }

    /// A service that has several addresses.
    #[cfg(test)]
    pub(super) fn with_addresses(addresses: Vec<SocketAddr>) -> Self {
        Self {
            host: "service.test".to_owned(),
            addresses: Addresses::Known(addresses.into()),
            tls: None,
        }
    }

    /// A connection to it.
    pub(super) async fn dial(&self, deadline: Deadline) -> Result<Stream, FetchError> {
        let addresses = deadline.bound(Stage::Resolve, self.addresses()).await?;
        let socket = connect_any(&addresses, deadline).await?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(socket));
        };
        // On the heap: most requests find a connection that waits.
        let handshake = Box::pin(async {
            let secured = tls.connect(socket, &self.host).await;
            secured.map_err(|source| FetchError::Tls {
                host: self.host.clone(),
                source,
            })
        });
        let secured = deadline.bound(Stage::Tls, handshake).await?;
        Ok(Stream::Tls(Box::new(secured)))
    }

    async fn addresses(&self) -> Result<Arc<[SocketAddr]>, FetchError> {
        match &self.addresses {
            Addresses::Known(addresses) => Ok(Arc::clone(addresses)),
            Addresses::Named(name) => {
                let addresses = name.addresses().await;
                addresses.map_err(|why| FetchError::Resolve {
                    host: self.host.clone(),
                    why,
                })
            }
        }
    }

    /// See [`super::Fetcher::follow`].
    pub(super) async fn follow(&self) {
        match &self.tls {
            Some(tls) => tls.follow().await,
            None => std::future::pending().await,
        }
    }
}

/// The first address that takes the connection. One that does not answer must leave time for the next.
async fn connect_any(addresses: &[SocketAddr], deadline: Deadline) -> Result<Socket, FetchError> {
    let Some((&last, others)) = addresses.split_last() else {
        let source = None;
        return Err(FetchError::Lost { source });
    };
    for &address in others {
        if let Ok(socket) = connect_one(address, deadline.halved()).await {
            return Ok(socket);
        }
    }
    connect_one(last, deadline).await
}

async fn connect_one(address: SocketAddr, deadline: Deadline) -> Result<Socket, FetchError> {
    let connected = async {
        let socket = connect(address).await;
        socket.map_err(|source| FetchError::Connect { address, source })
    };
    deadline.bound(Stage::Connect, connected).await
}
