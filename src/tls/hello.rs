//! A client's first words, read before the connection is made that will answer them: what they ask for
//! decides about that connection. rustls reads them twice, as it can pass its first reading on only to
//! connections that keep buffers (RFC 8446 §4.1.2).

use crate::net::Socket;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::Error;
use tokio_rustls::rustls::server::{AcceptedAlert, Acceptor};

/// A whole `ClientHello`.
#[derive(Debug)]
pub(super) struct Hello {
    /// The name that the client asks for (RFC 6066 §3).
    pub(super) server_name: Option<String>,
    /// All that was read, for the connection.
    pub(super) bytes: Vec<u8>,
}

/// A usual hello with keys for post-quantum groups in it.
const USUAL_HELLO: usize = 2048;

impl Hello {
    /// Reads until it is whole. rustls bounds its length; there is no deadline in here.
    pub(super) async fn read_from(socket: &mut Socket) -> io::Result<Self> {
        let mut acceptor = Acceptor::default();
        let mut bytes = Vec::new();
        loop {
            let known = bytes.len();
            bytes.reserve(USUAL_HELLO);
            if socket.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match show(&mut acceptor, &bytes[known..])? {
                Shown::InPart => {}
                Shown::Whole(server_name) => return Ok(Self { server_name, bytes }),
                Shown::Wrong(error, alert) => {
                    // Who has hung up needs no alert.
                    let _ = socket.write_all(&alert).await;
                    return Err(broken(error));
                }
            }
        }
    }
}

/// How it stands with a hello.
enum Shown {
    InPart,
    /// With the name that it asks for.
    Whole(Option<String>),
    /// With the alert for it.
    Wrong(Error, Vec<u8>),
}

fn show(acceptor: &mut Acceptor, mut bytes: &[u8]) -> io::Result<Shown> {
    while !bytes.is_empty() {
        acceptor.read_tls(&mut bytes)?;
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(ToOwned::to_owned);
                return Ok(Shown::Whole(name));
            }
            Err((error, alert)) => return Ok(Shown::Wrong(error, words(alert)?)),
        }
    }
    Ok(Shown::InPart)
}

fn words(mut alert: AcceptedAlert) -> io::Result<Vec<u8>> {
    let mut words = Vec::new();
    alert.write_all(&mut words)?;
    Ok(words)
}

/// rustls' error as one of a stream.
pub(super) fn broken(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
