//! One client's connection, with TLS or without, and its handshakes.

use crate::rig::Failure;
use rustix::fd::{AsFd, BorrowedFd};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use wsgate::frame::ControlFrame;

/// Whoever is silent for longer than this is broken.
const PATIENCE: Duration = Duration::from_secs(20);
/// The example of RFC 6455 §1.3, and what must be answered.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// More names than there are.
const REMEMBERED: usize = 8;
/// What clients mask with.
pub(super) const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Knows the way in.
#[derive(Clone)]
pub(crate) struct Door {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

/// A session from the client's side; first it waits for everything, later on (`stop_waiting`) for nothing.
pub(crate) struct Link {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Door {
    /// TLS where there is a certificate: 1.3 with X25519, which all servers have. Earlier TLS sessions
    /// are remembered if it `resumes` them.
    pub(crate) fn new(
        address: SocketAddr,
        certificate: Option<&[u8]>,
        resumes: bool,
    ) -> Result<Self, Failure> {
        let tls = certificate.map(|certificate| client_config(certificate, resumes));
        Ok(Self {
            address,
            tls: tls.transpose()?.map(Arc::new),
        })
    }

    /// Connects and shakes hands, for a path.
    pub(crate) fn open(&self, path: &str) -> Result<Link, Failure> {
        let socket = TcpStream::connect(self.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let tls = match &self.tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from("localhost")?;
                let mut tls = ClientConnection::new(config.clone(), name)?;
                tls.set_buffer_limit(None);
                Some(Box::new(tls))
            }
        };
        let mut link = Link { socket, tls };
        link.shake_hands(path)?;
        Ok(link)
    }
}

fn client_config(certificate: &[u8], resumes: bool) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.to_vec()))?;
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = if resumes {
        Resumption::in_memory_sessions(REMEMBERED)
    } else {
        Resumption::disabled()
    };
    Ok(config)
}

impl Link {
    fn shake_hands(&mut self, path: &str) -> Result<(), Failure> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        self.send_all(request.as_bytes())?;
        let mut room = [0; 2048];
        let mut held = 0;
        // Nothing comes behind a 101 before something was sent.
        while !room[..held].ends_with(b"\r\n\r\n") {
            match self.read(&mut room[held..])? {
                0 => return Err("the connection ended without an answer".into()),
                count => held += count,
            }
        }
        let head = String::from_utf8_lossy(&room[..held]);
        if head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT) {
            Ok(())
        } else {
            Err(format!("answered {head:?}").into())
        }
    }

    /// Says Close, and waits for the answer and the end.
    pub(super) fn close(mut self) -> Result<(), Failure> {
        self.send_all(&ControlFrame::close(Some(1000), "", Some(MASK)))?;
        let answer = ControlFrame::close(Some(1000), "", None);
        let mut room = [0; 64];
        let mut held = 0;
        loop {
            match self.read(&mut room[held..])? {
                0 if room[..held] == *answer => return Ok(()),
                0 => return Err(format!("a Close was answered {:?}", &room[..held]).into()),
                count => held += count,
            }
        }
    }

    /// For as long as the link waits.
    pub(super) fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write_all(bytes);
        };
        while tls.is_handshaking() {
            tls.complete_io(&mut self.socket)?;
        }
        tls.writer().write_all(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// For as long as the link waits.
    pub(super) fn read_all(&mut self, room: &mut [u8]) -> io::Result<()> {
        let mut come = 0;
        while come < room.len() {
            match self.read(&mut room[come..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => come += count,
            }
        }
        Ok(())
    }

    /// Whether its TLS session goes on with what an earlier one agreed on.
    pub(super) fn is_resumed(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// From now on nothing blocks.
    pub(super) fn stop_waiting(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)
    }

    /// How much of `bytes` is on its way, or at least taken.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return or_nothing(self.socket.write(bytes));
        };
        tls.writer().write_all(bytes)?;
        while tls.wants_write() {
            if or_nothing(tls.write_tls(&mut self.socket))? == 0 {
                break;
            }
        }
        Ok(bytes.len())
    }

    /// Whether something was taken that is not on its way.
    pub(super) fn holds_back(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Nothing is the end. What fits into `room` has been all for now.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(room);
        };
        loop {
            match tls.reader().read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn or_nothing(done: io::Result<usize>) -> io::Result<usize> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        done => done,
    }
}
