//! From an endpoint to a stream: connect, and TLS where it is `wss://`.

use super::builtin;
use super::endpoint::{Endpoint, Place};
use super::error::{OpenError, Stage};
use super::greeting::Greeting;
use crate::net::{Socket, Stream, connect, connect_unix};
use crate::tls::ClientTls;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long dialling may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For one connect, and as long again for TLS.
    pub(super) connect: Duration,
    /// For everything.
    pub(super) until: Instant,
}

/// A stream to `endpoint`, without delay for small writes.
pub(super) async fn dial(
    endpoint: &Endpoint,
    client_tls: Option<&ClientTls>,
    greeting: Greeting,
    patience: Patience,
) -> Result<Stream, OpenError> {
    match &endpoint.place {
        Place::Echo => Ok(Stream::Memory(Box::new(builtin::dial()))),
        Place::Unix(path) => {
            let socket = patience
                .bound(Stage::Connect, endpoint, async {
                    greeting.send(connect_unix(path)?, None).await
                })
                .await?;
            Ok(Stream::Plain(socket))
        }
        Place::Tcp { addresses, tls } => {
            let addresses = addresses.load_full();
            let socket = connect_any(endpoint, &addresses, greeting, patience).await?;
            match (tls, client_tls) {
                (Some(host), Some(client_tls)) => {
                    // On the heap: a plain session's future must not have room for it.
                    let handshake = Box::pin(client_tls.connect(socket, host));
                    let stream = patience.bound(Stage::Tls, endpoint, handshake).await?;
                    Ok(Stream::Tls(Box::new(stream)))
                }
                _ => Ok(Stream::Plain(socket)),
            }
        }
    }
}

impl Patience {
    /// One more step, which has `connect` and must not end later than everything.
    async fn bound<T>(
        self,
        stage: Stage,
        endpoint: &Endpoint,
        step: impl Future<Output = io::Result<T>>,
    ) -> Result<T, OpenError> {
        let until = self.until.min(Instant::now() + self.connect);
        let name = || endpoint.name.clone();
        // In its place: a step is large, and would be moved more than once.
        match timeout_at(until, pin!(step)).await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(source)) if stage == Stage::Tls => Err(OpenError::Tls {
                endpoint: name(),
                source,
            }),
            Ok(Err(source)) => Err(OpenError::Connect {
                endpoint: name(),
                source,
            }),
            Err(_) => Err(OpenError::Timeout {
                stage,
                endpoint: Some(name()),
            }),
        }
    }
}

/// The first of a name's addresses that takes the connection.
async fn connect_any(
    endpoint: &Endpoint,
    addresses: &[SocketAddr],
    greeting: Greeting,
    patience: Patience,
) -> Result<Socket, OpenError> {
    let mut last = OpenError::NoEndpoint { cause: None };
    for &address in addresses {
        match patience
            .bound(Stage::Connect, endpoint, async {
                let socket = connect(address).await?;
                greeting.send(socket, Some(address)).await
            })
            .await
        {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    /// What a step that never ends is given up as, and after how long.
    async fn given_up(stage: Stage, connect: u64, all: u64) -> (&'static str, Duration) {
        let endpoint = Endpoint::new(Place::Echo, "one".to_owned(), "one".to_owned(), 1, 0);
        let begun = Instant::now();
        let patience = Patience {
            connect: Duration::from_secs(connect),
            until: begun + Duration::from_secs(all),
        };
        let step = pending::<io::Result<()>>();
        let error = patience.bound(stage, &endpoint, step).await.unwrap_err();
        (error.label(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn each_step_has_its_time_and_all_together_theirs() {
        let seconds = Duration::from_secs;
        let tls = given_up(Stage::Tls, 3, 15).await;
        let late = given_up(Stage::Connect, 3, 2).await;
        // The clock of timers has milliseconds.
        let rounded = |(label, time): (&'static str, Duration)| (label, seconds(time.as_secs()));
        assert_eq!(rounded(tls), ("tls_timeout", seconds(3)));
        assert_eq!(rounded(late), ("connect_timeout", seconds(2)));
    }
}
