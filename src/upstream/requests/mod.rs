//! Ordinary requests to an endpoint and the answers to them, streamed both ways.
//!
//! By hand, as the handshake is: what a lenient client would forgive in an answer is how one
//! client's answer reaches another. There is no task behind a connection: who waits for the answer
//! or reads its body drives the upload too, and dropping either ends the connection. The files:
//! - `head` writes the request's head, `upload` its body;
//! - `exchange` carries both over a connection up to the head of the answer;
//! - `streamed` is the answer's body, `stall` how long it may stand still.

mod exchange;
mod head;
mod stall;
mod streamed;
mod upload;

pub(super) use exchange::{Exchanged, Fault, exchange};
pub use streamed::{AnswerCut, Streamed};
pub(super) use upload::Upload;

use super::ask::Ask;
use super::error::OpenError;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::time::Duration;
use thiserror::Error;

/// An ordinary request for the upstream, made from the client's.
#[derive(Debug, Clone)]
pub struct Request {
    /// Any but CONNECT.
    pub method: Method,
    /// Where to, and the headers that go along. What it says of a handshake counts for nothing.
    pub ask: Ask,
    /// What comes behind the head.
    pub length: Length,
    /// How long the upstream may take from the end of the request to the head of its answer.
    pub response: Option<Duration>,
    /// How long either body may stand still.
    pub body: Option<Duration>,
}

/// How much body a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// None at all.
    None,
    /// So many bytes.
    Known(u64),
    /// Known at its end.
    Unknown,
}

/// The head of an answer, and its body to come.
#[derive(Debug)]
pub struct Answered<B> {
    /// Never 1xx.
    pub status: StatusCode,
    /// Without hop-by-hop headers and without those that frame a body.
    pub headers: HeaderMap,
    /// The `Content-Length` of an answer to HEAD, of which the body is not sent.
    pub unsent: Option<HeaderValue>,
    /// The body; it holds the place on the endpoint.
    pub body: Streamed<B>,
    /// The endpoint, for logs.
    pub endpoint: String,
    /// Whether the answer came before the request had been taken whole.
    pub is_early: bool,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The upstream gave none.
    #[error(transparent)]
    Upstream(#[from] OpenError),
    /// The client's body broke off or is malformed.
    #[error("the body of the request broke off")]
    Body(#[source] BoxError),
    /// The client's body stood still for too long.
    #[error("the body of the request took too long")]
    BodyTooSlow,
}

/// What a body of someone else's fails with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Request {
    /// Whether asking twice is the same as asking once (RFC 9110 §9.2.2).
    pub(super) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent()
    }
}
