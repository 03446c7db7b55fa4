//! Why a service has not been asked, in words that say where to look.

use crate::http::{AnswerError, ChunkError};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

/// Why there is no answer that can be used.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Its name has no address.
    #[error("`{host}` cannot be resolved: {why}")]
    Resolve {
        /// As configured.
        host: String,
        /// What the system's resolver says.
        why: String,
    },
    /// None of its addresses takes a connection.
    #[error("no connection to {address}")]
    Connect {
        /// The last that was tried.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It does not prove to be who it should be, or speaks no TLS there.
    #[error(
        "TLS with `{host}` failed (the authority of its certificate belongs into `ca` where the system does not know it)"
    )]
    Tls {
        /// As configured.
        host: String,
        /// What rustls says.
        source: io::Error,
    },
    /// The time for everything was over.
    #[error("no answer within {timeout:?}: it ended while {stage}")]
    Timeout {
        /// For what it was not enough.
        stage: Stage,
        /// For everything.
        timeout: Duration,
    },
    /// The connection ended before any byte of an answer.
    #[error("the connection ended before an answer")]
    Lost {
        /// What the system says, if it was no orderly end.
        source: Option<io::Error>,
    },
    /// The connection ended inside the answer.
    #[error("the connection ended inside the answer")]
    CutShort {
        /// What the system says, if it was no orderly end.
        source: Option<io::Error>,
    },
    /// Its head is malformed or too large.
    #[error("the answer is not to be believed")]
    Head(#[from] AnswerError),
    /// Its body has no certain end.
    #[error("the answer is not to be believed")]
    Body(#[from] ChunkError),
    /// Nothing but interim answers.
    #[error("more than {0} interim answers")]
    Interim(usize),
    /// Its body is too long.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// What it may have.
        limit: usize,
    },
}

/// What takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Finding the address.
    Resolve,
    /// Connecting.
    Connect,
    /// Shaking hands.
    Tls,
    /// Asking, and reading the whole answer.
    Answer,
}

/// When a request must have its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    /// How long that was from its beginning.
    pub(super) timeout: Duration,
}

impl Deadline {
    /// One more step, which must not end later.
    pub(super) async fn bound<T>(
        self,
        stage: Stage,
        step: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let timeout = self.timeout;
        match timeout_at(self.at, step).await {
            Ok(done) => done,
            Err(_) => Err(FetchError::Timeout { stage, timeout }),
        }
    }

    /// The same with half of the time that is left: something else may be tried afterwards.
    pub(super) fn halved(self) -> Self {
        let now = Instant::now();
        let left = self.at.saturating_duration_since(now);
        Self {
            at: now + left / 2,
            ..self
        }
    }
}

impl FetchError {
    /// One word for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve_failed",
            Self::Connect { .. } => "connect_failed",
            Self::Tls { .. } => "tls_failed",
            Self::Timeout { .. } => "timeout",
            Self::Lost { .. } => "lost",
            Self::CutShort { .. } => "cut_short",
            Self::Head(_) | Self::Body(_) | Self::Interim(_) => "broken_answer",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the name was looked up",
            Self::Connect => "the connection was made",
            Self::Tls => "TLS was set up",
            Self::Answer => "the answer was awaited",
        })
    }
}
