//! The gateway under test, in this process, from a configuration text.

use super::{Answer, Authority, Handshake, Leg, until, within};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsConnector, client};
use wsgate::gateway::Revocation;
use wsgate::lifecycle;

/// The listener that most tests need, before whatever they add.
pub const LISTENER: &str = "[[listeners]]\nname = \"main\"\naddress = \"127.0.0.1:0\"\n";

/// A running gateway; ends with the test.
pub struct Gateway {
    inner: lifecycle::Gateway,
    /// What the configuration names lies here.
    _folder: TempDir,
}

impl Gateway {
    /// One listener, one open route to `url` for every host and path.
    pub fn before(url: impl AsRef<str>) -> Self {
        Self::route(url, "")
    }

    /// The same with more keys of the route, its tables last.
    pub fn route(url: impl AsRef<str>, keys: &str) -> Self {
        Self::start(&format!(
            "{LISTENER}[[routes]]\nupstream = \"{}\"\n{keys}\n",
            url.as_ref()
        ))
    }

    /// From a whole configuration.
    pub fn start(toml: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), toml)
    }

    /// From a whole configuration that names files in `folder`.
    pub fn start_in(folder: TempDir, toml: &str) -> Self {
        let path = folder.path().join("wsgate.toml");
        let settings = match wsgate::config::parse(toml, &path) {
            Ok(settings) => settings,
            Err(problems) => panic!("{}", problems.render(false)),
        };
        let inner = lifecycle::Gateway::start(&settings).unwrap();
        Self {
            inner,
            _folder: folder,
        }
    }

    pub fn folder(&self) -> &Path {
        self._folder.path()
    }

    /// `127.0.0.1:PORT` of the listener `main`.
    pub fn address(&self) -> &str {
        self.address_of("main")
    }

    pub fn address_of(&self, listener: &str) -> &str {
        &self.inner.addresses()[listener]
    }

    /// A bare connection.
    pub async fn connect(&self) -> Leg {
        self.connect_to("main").await
    }

    pub async fn connect_to(&self, listener: &str) -> Leg {
        let stream = TcpStream::connect(self.address_of(listener));
        Leg::plain(within("connecting", stream).await.unwrap())
    }

    /// A bare connection whose socket holds little, so that backpressure shows soon.
    pub async fn connect_narrow(&self) -> Leg {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = socket.connect(self.address().parse().unwrap());
        Leg::plain(within("connecting", stream).await.unwrap())
    }

    /// Asks over a connection of its own from `address`: one of 127.0.0.0/8, which are all this host.
    pub async fn ask_from(&self, address: &str, handshake: &Handshake) -> (Leg, Answer) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        socket
            .bind(format!("{address}:0").parse().unwrap())
            .unwrap();
        let stream = socket.connect(self.address().parse().unwrap());
        let mut client = Leg::plain(within("connecting", stream).await.unwrap());
        client.send(handshake.bytes(self.address())).await;
        let answer = client.answer().await;
        (client, answer)
    }

    /// A connection over TLS that asks for `name` and trusts `authority`.
    pub async fn connect_tls(&self, authority: &Authority, name: &str) -> Leg {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Leg::tls(
            within("TLS", authority.connect(stream, name))
                .await
                .unwrap(),
        )
    }

    /// The same behind something that comes before TLS.
    pub async fn connect_tls_behind(&self, first: &[u8], authority: &Authority, name: &str) -> Leg {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(first).await.unwrap();
        Leg::tls(
            within("TLS", authority.connect(stream, name))
                .await
                .unwrap(),
        )
    }

    /// A TLS connection by `config` that asks for `name`. With TLS 1.3 the gateway may not have looked
    /// at the client's certificate when this ends.
    pub async fn try_tls(
        &self,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address()).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(config.clone());
        within("TLS", connector.connect(name, stream)).await
    }

    /// A connection of its own on which it has asked, and has not looked for the answer.
    pub async fn send(&self, handshake: &Handshake) -> Leg {
        let mut client = self.connect().await;
        client.send(handshake.bytes(self.address())).await;
        client
    }

    /// Asks over a connection of its own.
    pub async fn ask(&self, handshake: &Handshake) -> (Leg, Answer) {
        let mut client = self.send(handshake).await;
        let answer = client.answer().await;
        (client, answer)
    }

    /// The answer alone, for refusals.
    pub async fn status(&self, handshake: &Handshake) -> u16 {
        self.ask(handshake).await.1.status
    }

    /// A session; the upstream must serve by itself.
    pub async fn open(&self) -> Leg {
        let (client, answer) = self.ask(&Handshake::new("/")).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        client
    }

    /// How many sessions end by it.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> usize {
        self.inner.revoke(revocation)
    }

    /// Waits until so many sessions are live.
    pub async fn has_sessions(&self, count: usize) {
        until(&format!("{count} sessions"), || {
            self.inner.sessions() == count
        })
        .await;
    }

    /// Drains it to the end.
    pub async fn drain(self) -> lifecycle::Drained {
        within("the drain", self.inner.drain()).await
    }
}
