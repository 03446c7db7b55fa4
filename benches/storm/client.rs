//! One client: TCP, a full TLS handshake, a WebSocket handshake with a password.

use crate::gateway::{Gateway, PASSWORD};
use crate::rig::{Failure, header};
use crate::trusting::trusting;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use wsgate::http::fresh_key;

/// Knows the way to the gateway.
#[derive(Clone)]
pub(crate) struct Dialer {
    address: SocketAddr,
    tls: TlsConnector,
}

/// What came of an attempt.
pub(crate) enum Attempt {
    Entered(Box<TlsStream<TcpStream>>),
    /// An answer that is no 101, and how long it asks to wait.
    Refused {
        status: u16,
        retry_after: Option<Duration>,
    },
}

impl Dialer {
    /// Whoever comes has forgotten every TLS session: each handshake is a full one.
    pub(crate) fn new(gateway: &Gateway) -> Result<Self, Failure> {
        Ok(Self {
            address: gateway.address,
            tls: trusting(&gateway.certificate)?,
        })
    }

    /// Comes as `user`.
    pub(crate) async fn attempt(&self, user: &str) -> Result<Attempt, Failure> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let mut stream = self.tls.connect(name, tcp).await?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Basic {}\r\n\r\n",
            self.address.port(),
            fresh_key(),
            STANDARD.encode(format!("{user}:{PASSWORD}")),
        );
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut held = Vec::with_capacity(512);
        // Nothing comes behind a 101 before something was sent; behind a refusal there is a body.
        while !held.windows(4).any(|four| four == b"\r\n\r\n") {
            if stream.read_buf(&mut held).await? == 0 {
                return Err("the connection ended without an answer".into());
            }
        }
        let head = String::from_utf8_lossy(&held);
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        if status == 101 {
            return Ok(Attempt::Entered(Box::new(stream)));
        }
        let retry_after = header(&head, "retry-after")
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        Ok(Attempt::Refused {
            status,
            retry_after,
        })
    }
}
