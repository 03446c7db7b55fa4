//! Why an upstream did not become the other leg of a session.
//!
//! Facts only: statuses for the client are chosen in `gateway/failure.rs`.

use crate::causes;
use crate::http::{AnswerError, NegotiationError};
use crate::net::is_exhausted;
use crate::tls::TlsError;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::io;
use thiserror::Error;

/// Why [`Pool::open`](super::Pool::open) gave no stream.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No endpoint is known: no name of the upstream has ever been resolved.
    #[error("the upstream has no endpoint")]
    NoEndpoint {
        /// Why the last lookup gave none.
        #[source]
        cause: Option<ResolveError>,
    },
    /// The endpoint cannot be connected to.
    #[error("endpoint `{endpoint}` cannot be connected to")]
    Connect {
        /// Which one, as logged.
        endpoint: String,
        /// What the system said.
        source: io::Error,
    },
    /// TLS with the endpoint failed.
    #[error("TLS with endpoint `{endpoint}` failed")]
    Tls {
        /// Which one, as logged.
        endpoint: String,
        /// What is wrong.
        source: io::Error,
    },
    /// Time ran out.
    #[error("{stage} took too long")]
    Timeout {
        /// What was waited for.
        stage: Stage,
        /// Which endpoint, once one was chosen.
        endpoint: Option<String>,
    },
    /// The connection ended before any byte of an answer.
    #[error("endpoint `{endpoint}` ended the connection without an answer")]
    Lost {
        /// Which one, as logged.
        endpoint: String,
        /// The error, if it was not a plain end.
        source: Option<io::Error>,
    },
    /// The answer breaks the rules of HTTP or of the handshake.
    #[error("endpoint `{endpoint}` gave a broken answer")]
    BrokenAnswer {
        /// Which one, as logged.
        endpoint: String,
        /// What is wrong in it.
        #[source]
        why: BrokenAnswer,
    },
    /// The upstream answered with another status than 101: its word goes to the client.
    #[error("endpoint `{}` refused the handshake with {}", .0.endpoint, .0.status.as_u16())]
    Refused(Box<Refused>),
    /// What the gateway wanted to ask cannot be written as one request.
    #[error("what the upstream is to be asked has a {part} that cannot be written")]
    BadAsk {
        /// Which part of it.
        part: &'static str,
    },
}

/// An answer to the handshake that is not 101.
#[derive(Debug)]
pub struct Refused {
    /// Who said so, as logged.
    pub endpoint: String,
    /// Never 1xx.
    pub status: StatusCode,
    /// Without hop-by-hop headers and without those that frame a body.
    pub headers: HeaderMap,
    /// As much of the body as was taken.
    pub body: Bytes,
    /// Whether there was more of it.
    pub truncated: bool,
}

/// What is wrong with an answer.
#[derive(Debug, Error)]
pub enum BrokenAnswer {
    /// It is no HTTP/1.
    #[error("it is not HTTP/1")]
    NotHttp,
    /// Its head cannot be parsed.
    #[error("its head is malformed: {0}")]
    Malformed(httparse::Error),
    /// Its head does not fit.
    #[error("its head is larger than {limit} bytes")]
    HeadTooLarge {
        /// What would have been read.
        limit: usize,
    },
    /// The connection ended inside its head.
    #[error("it ended inside its head")]
    CutShort,
    /// Interim answers did not come to an end.
    #[error("more than {limit} interim answers came before it")]
    TooManyInterim {
        /// What would have been passed over.
        limit: usize,
    },
    /// 101 needs HTTP/1.1.
    #[error("it switches protocols with HTTP/1.0")]
    OldVersion,
    /// The answer to an ordinary request could be read in two ways.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// It does not prove that the handshake was read, or agrees to what was not asked.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
}

/// What was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The addresses of a name.
    Resolve,
    /// A connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The answer to the WebSocket handshake.
    Answer,
    /// The taking of an ordinary request.
    Request,
    /// The answer to an ordinary request.
    Response,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The endpoint's, or that of the way to it.
    Upstream,
    /// The gateway's own.
    Gateway,
}

/// Why a name gave no address.
#[derive(Debug, Clone, Error)]
#[error("`{host}` cannot be resolved: {why}")]
pub struct ResolveError {
    /// The name.
    pub host: String,
    /// In words; a lookup that several waited for fails for all of them.
    pub why: String,
}

/// Why a pool cannot be built.
#[derive(Debug, Error)]
pub enum PoolError {
    /// Its TLS settings cannot be used.
    #[error("upstream `{upstream}`")]
    Tls {
        /// Its name.
        upstream: String,
        /// What is wrong.
        source: TlsError,
    },
}

impl OpenError {
    /// A static word for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoEndpoint { .. } => "no_endpoint",
            Self::Connect { .. } => "connect_failed",
            Self::Tls { .. } => "tls_failed",
            Self::Timeout { stage, .. } => match stage {
                Stage::Resolve => "resolve_timeout",
                Stage::Connect => "connect_timeout",
                Stage::Tls => "tls_timeout",
                Stage::Answer => "upgrade_timeout",
                Stage::Request => "request_timeout",
                Stage::Response => "response_timeout",
            },
            Self::Lost { .. } => "lost",
            Self::BrokenAnswer { .. } => "broken_answer",
            Self::Refused(_) => "refused",
            Self::BadAsk { .. } => "bad_ask",
        }
    }

    /// The error with all its causes, for a log line.
    pub fn chain(&self) -> String {
        causes::in_line(self)
    }

    /// Whose fault it is. A gateway without descriptors or ports says nothing about the endpoint.
    pub fn side(&self) -> Side {
        match self {
            Self::Connect { source, .. } if is_own_shortage(source) => Side::Gateway,
            Self::BadAsk { .. } => Side::Gateway,
            _ => Side::Upstream,
        }
    }

    /// Whether another endpoint may be asked: this one cannot have begun to serve.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Connect { .. } => self.side() == Side::Upstream,
            Self::Tls { .. } | Self::Lost { .. } => true,
            Self::Timeout { stage, .. } => matches!(stage, Stage::Connect | Stage::Tls),
            _ => false,
        }
    }

    /// The endpoint that it is about, as logged.
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::Connect { endpoint, .. }
            | Self::Tls { endpoint, .. }
            | Self::Lost { endpoint, .. }
            | Self::BrokenAnswer { endpoint, .. } => Some(endpoint),
            Self::Timeout { endpoint, .. } => endpoint.as_deref(),
            Self::Refused(refused) => Some(&refused.endpoint),
            Self::NoEndpoint { .. } | Self::BadAsk { .. } => None,
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the upstream's name",
            Self::Connect => "connecting to the endpoint",
            Self::Tls => "TLS with the endpoint",
            Self::Answer | Self::Response => "the endpoint's answer",
            Self::Request => "the endpoint's taking of the request",
        })
    }
}

fn is_own_shortage(error: &io::Error) -> bool {
    is_exhausted(error) || error.kind() == io::ErrorKind::AddrNotAvailable
}
