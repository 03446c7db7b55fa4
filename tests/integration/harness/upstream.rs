//! An upstream that the test plays itself: it takes the gateway's connections one by one, and
//! everything that the gateway sends is in the test's hands.

use super::{Authority, Leg, breath, within};
use futures_util::FutureExt;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

/// A listening upstream.
pub struct Upstream {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Upstream {
    pub async fn bind() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self {
            listener,
            tls: None,
        }
    }

    /// With a certificate of `authority` for `name`.
    pub async fn bind_tls(authority: &Authority, name: &str) -> Self {
        Self {
            tls: Some(authority.acceptor(name)),
            ..Self::bind().await
        }
    }

    /// The same for clients that have a certificate of `clients`.
    pub async fn bind_mtls(authority: &Authority, name: &str, clients: &Authority) -> Self {
        Self {
            tls: Some(authority.acceptor_for(name, clients)),
            ..Self::bind().await
        }
    }

    /// Whose sockets hold little, so that backpressure shows soon.
    pub async fn bind_narrow() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            listener: socket.listen(16).unwrap(),
            tls: None,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}", self.address())
    }

    /// The gateway's next connection, its request read.
    pub async fn accept(&self) -> Leg {
        let mut leg = self.accept_silently().await;
        leg.take_request().await;
        leg
    }

    /// The gateway's next connection, nothing read.
    pub async fn accept_silently(&self) -> Leg {
        let (stream, _) = within("the gateway's connection", self.listener.accept())
            .await
            .unwrap();
        match &self.tls {
            None => Leg::plain(stream),
            Some(tls) => Leg::tls(within("TLS", tls.accept(stream)).await.unwrap()),
        }
    }

    /// The same, however long it takes: for upstreams that serve by themselves.
    pub async fn accept_forever(&self) -> Leg {
        Leg::plain(self.listener.accept().await.unwrap().0)
    }

    /// Begins TLS with a gateway that will not trust what it sees.
    pub async fn refuse_tls(&self) {
        let (stream, _) = within("the gateway's connection", self.listener.accept())
            .await
            .unwrap();
        let handshake = self
            .tls
            .as_ref()
            .expect("an upstream with TLS")
            .accept(stream);
        assert!(
            within("TLS", handshake).await.is_err(),
            "the gateway trusts anybody"
        );
    }

    /// Accepts until somebody gets through TLS, agrees, and gives the leg.
    pub async fn serve_at_last(&self) -> Leg {
        let tls = self.tls.as_ref().expect("an upstream with TLS");
        loop {
            let (stream, _) = self.listener.accept().await.unwrap();
            if let Ok(stream) = tls.accept(stream).await {
                let mut leg = Leg::tls(stream);
                leg.take_request().await;
                leg.agree().await;
                return leg;
            }
        }
    }

    /// Accepts, agrees, and gives the leg.
    pub async fn serve(&self) -> Leg {
        let mut leg = self.accept().await;
        leg.agree().await;
        leg
    }

    /// Nobody has connected. To be asked when the client has its answer: whatever the gateway
    /// would have opened is in the queue by then.
    pub async fn was_left_alone(&self) {
        // The runtime must have looked at the socket once.
        breath().await;
        let asked = self.listener.accept().now_or_never();
        assert!(asked.is_none(), "the gateway has connected to the upstream");
    }
}
