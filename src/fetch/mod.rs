//! The gateway's own requests: one GET to a service that the configuration names, bounded in time
//! and size, and never repeated behind the caller's back but for a connection that had gone stale.
//!
//! Answers are read as strictly as those of upstreams (`http/answer.rs`, `http/chunked.rs`). No
//! redirect is followed, nothing is decompressed, and no task stands behind a connection: dropping the
//! future of a request ends it. The files: `name` finds addresses, `dial` connects, `exchange` asks.

mod dial;
mod error;
mod exchange;
mod name;
#[cfg(test)]
mod tests;

pub use error::{FetchError, Stage};

use crate::config::{Scheme, UpstreamTls, Url};
use crate::net::{Connection, Idle};
use crate::tls::{ClientTls, TlsError};
use bytes::Bytes;
use dial::Place;
use error::Deadline;
use http::{HeaderMap, StatusCode};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// For how long a connection waits for the next request. Services close what is idle after times of
/// their own; who meets such a close asks again.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Asks one service, again and again.
#[derive(Debug)]
pub struct Fetcher {
    url: Url,
    place: Place,
    limits: Limits,
    idle: Arc<Idle>,
}

/// How much one answer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its body.
    pub body: usize,
    /// For everything: finding the address, connecting, TLS, asking, the whole body.
    pub timeout: Duration,
}

/// A request that can be sent more than once. Cannot be printed, as there may be credentials in it.
#[derive(Clone)]
pub struct Asking(Box<[u8]>);

/// An answer, whatever its status, but for 1xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What the service says.
    pub status: StatusCode,
    /// All lines, as they came.
    pub headers: HeaderMap,
    /// Whole.
    pub body: Bytes,
}

impl Fetcher {
    /// Asks `url`; by https it trusts the roots in `ca`, or else those of the system. Reads files.
    ///
    /// # Errors
    /// If the roots cannot be used.
    pub fn new(url: Url, ca: Option<PathBuf>, limits: Limits) -> Result<Self, TlsError> {
        let tls = (url.scheme == Scheme::Https).then(|| {
            ClientTls::load(&UpstreamTls {
                ca,
                ..UpstreamTls::default()
            })
        });
        Ok(Self {
            place: Place::new(&url, tls.transpose()?),
            url,
            limits,
            idle: Arc::default(),
        })
    }

    /// What it asks.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A GET of the URL with `headers`, of which those that concern the connection alone don't count.
    pub fn asking(&self, headers: &HeaderMap) -> Asking {
        Asking(exchange::head(&self.url, headers).into())
    }

    /// Makes and sends it.
    ///
    /// # Errors
    /// If there is no whole answer within the limits.
    pub async fn get(&self, headers: &HeaderMap) -> Result<Fetched, FetchError> {
        self.send(&self.asking(headers)).await
    }

    /// Sends what [`Self::asking`] has made. Dropping the future ends the connection.
    ///
    /// # Errors
    /// If there is no whole answer within the limits.
    pub async fn send(&self, asking: &Asking) -> Result<Fetched, FetchError> {
        let deadline = Deadline {
            at: Instant::now() + self.limits.timeout,
            timeout: self.limits.timeout,
        };
        let head = &asking.0;
        if let Some(connection) = self.idle.take() {
            match self.ask(connection, head, deadline).await {
                // It was closed while it waited, perhaps.
                Err(FetchError::Lost { .. }) => {}
                done => return done,
            }
        }
        let stream = self.place.dial(deadline).await?;
        self.ask(Connection::new(stream), head, deadline).await
    }

    async fn ask(
        &self,
        mut connection: Connection,
        head: &[u8],
        deadline: Deadline,
    ) -> Result<Fetched, FetchError> {
        let asked = exchange::exchange(&mut connection, head, self.limits.body);
        let (fetched, persists) = deadline.bound(Stage::Answer, asked).await?;
        if persists {
            self.idle.park(connection, Instant::now() + KEEP_ALIVE);
        }
        Ok(fetched)
    }

    /// Follows the file with the roots; never ends. Dropping the future ends the following.
    pub async fn follow(&self) {
        self.place.follow().await;
    }
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking").finish_non_exhaustive()
    }
}
