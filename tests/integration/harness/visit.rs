//! A TLS client that comes, asks for a session and goes: how it was met.

use super::{Gateway, Handshake, within};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::{AlertDescription, ClientConfig, Error, HandshakeKind};

/// How a client was met that got an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    pub status: u16,
    pub is_resumed: bool,
    /// Of TLS 1.3, for the next time.
    pub tickets: u32,
}

/// Comes by `config` for `name`. `Err` is the gateway's alert.
pub async fn visit(
    gateway: &Gateway,
    config: &Arc<ClientConfig>,
    name: &str,
) -> Result<Visit, AlertDescription> {
    match within("a visit", try_visit(gateway, config, name)).await {
        Ok(visit) => Ok(visit),
        Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Error::AlertReceived(alert)) => Err(*alert),
            _ => panic!("{error} is no alert"),
        },
    }
}

/// Comes by `config` for `name` until it is refused: how.
///
/// Whose handshake ends in the very moment of the change is cut off without an alert, and asks again.
pub async fn visit_until_refused(
    gateway: &Gateway,
    config: &Arc<ClientConfig>,
    name: &str,
) -> AlertDescription {
    within("a refusal", async {
        loop {
            let Err(error) = try_visit(gateway, config, name).await else {
                continue;
            };
            match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(Error::AlertReceived(alert)) => break *alert,
                _ => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}"),
            }
        }
    })
    .await
}

async fn try_visit(gateway: &Gateway, config: &Arc<ClientConfig>, name: &str) -> io::Result<Visit> {
    let mut stream = gateway.try_tls(config, name).await?;
    let ask = Handshake::new("/").host(name).bytes(gateway.address());
    stream.write_all(&ask).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let connection = stream.get_ref().1;
    Ok(Visit {
        status: String::from_utf8_lossy(&answer[9..12]).parse().unwrap(),
        is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        tickets: connection.tls13_tickets_received(),
    })
}
