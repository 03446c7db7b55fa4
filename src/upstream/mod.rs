//! From "this handshake belongs to that upstream" to a stream on which the upstream has agreed to
//! speak WebSocket.
//!
//! A [`Pool`] knows the endpoints of one upstream, picks one, dials it, asks for the upgrade by
//! hand (RFC 6455 §4.1) and checks the answer. Until that answer is good nothing of the client's
//! goes to the upstream but the handshake itself, and other endpoints may be tried. Ordinary
//! requests go to the same endpoints, by way of `requests/`. What a failure means for the client is
//! decided in `gateway/failure.rs`.

mod answer;
mod ask;
mod balance;
mod body;
pub mod builtin;
mod dial;
mod endpoint;
mod entry;
mod error;
mod failures;
mod greeting;
mod open;
mod pool;
mod rendezvous;
mod requests;
mod resolve;
mod retry;
mod roster;

pub use ask::Ask;
pub use endpoint::Lease;
pub use error::{BrokenAnswer, OpenError, PoolError, Refused, ResolveError, Side, Stage};
pub use greeting::Source;
pub use open::Opened;
pub use pool::Pool;
pub use rendezvous::Affinity;
pub use requests::{AnswerCut, Answered, BoxError, Length, Request, RequestError, Streamed};

#[cfg(test)]
mod tests;
