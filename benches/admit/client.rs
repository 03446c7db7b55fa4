//! One client: a WebSocket handshake with some credential, over TCP or over TLS.

use crate::gateway::Gateway;
use crate::rig::Failure;
use crate::trusting::trusting;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use wsgate::frame::ControlFrame;
use wsgate::http::fresh_key;

/// What clients mask with.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
/// The longest Close that there is, and a bit.
const ROOM: usize = 256;

/// Knows the way to the gateway.
#[derive(Clone)]
pub(crate) struct Dialer {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

/// A session from the client's side.
pub(crate) struct Session {
    stream: Box<dyn Stream>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Dialer {
    /// Over TLS every handshake is a full one.
    pub(crate) fn new(gateway: &Gateway, is_secure: bool) -> Result<Self, Failure> {
        if !is_secure {
            return Ok(Self {
                address: gateway.plain,
                tls: None,
            });
        }
        Ok(Self {
            address: gateway.secure,
            tls: Some(trusting(&gateway.certificate)?),
        })
    }

    /// Enters at `path` by `credential`, a line of the head or nothing.
    pub(crate) async fn enter(&self, path: &str, credential: &str) -> Result<Session, Failure> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some(tls) => Box::new(tls.connect(ServerName::try_from("localhost")?, tcp).await?),
        };
        let mut session = Session { stream };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n{credential}\r\n",
            fresh_key(),
        );
        session.send(request.as_bytes()).await?;
        let mut head = Vec::with_capacity(512);
        // Nothing comes behind a 101 before something was sent.
        while !head.ends_with(b"\r\n\r\n") {
            if session.stream.read_buf(&mut head).await? == 0 {
                return Err("the connection ended without an answer".into());
            }
        }
        match head.starts_with(b"HTTP/1.1 101 ") {
            true => Ok(session),
            false => Err(format!("answered {:?}", String::from_utf8_lossy(&head)).into()),
        }
    }
}

impl Session {
    /// Says Close, and waits for the answer and the end.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        self.send(&ControlFrame::close(Some(1000), "", Some(MASK)))
            .await?;
        let mut answer = Vec::with_capacity(ROOM);
        while self.stream.read_buf(&mut answer).await? > 0 {}
        match *answer == *ControlFrame::close(Some(1000), "", None) {
            true => Ok(()),
            false => Err(format!("a Close was answered {answer:?}").into()),
        }
    }

    /// Waits until the gateway says Close: its code. Then that is answered.
    pub(crate) async fn closed(&mut self) -> Result<u16, Failure> {
        let mut frame = Vec::with_capacity(ROOM);
        while frame.len() < 4 {
            if self.stream.read_buf(&mut frame).await? == 0 {
                return Err("the connection ended without a Close".into());
            }
        }
        match frame[0] {
            0x88 => Ok(u16::from_be_bytes([frame[2], frame[3]])),
            _ => Err(format!("no Close: {frame:?}").into()),
        }
    }

    /// Answers the Close of the gateway.
    pub(crate) async fn leave(mut self, code: u16) -> Result<(), Failure> {
        Ok(self
            .send(&ControlFrame::close(Some(code), "", Some(MASK)))
            .await?)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }
}
