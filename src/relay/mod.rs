//! Carrying frames between the two legs of a session, until one of them, the rules or an order ends it.
//!
//! Payload passes on unchanged, chunk by chunk, never a whole frame in memory; client frames keep their
//! mask. An idle session owns no buffer. The files, from the inside out:
//! - `direction` judges the bytes of one direction and knows no socket;
//! - `outlet`, `leg`, `heartbeat` are the state of one connection: what waits to be written, what it
//!   was told and has said, whether it lives;
//! - `pace` says how much of it may pass now where there are limits, and keeps the rest;
//! - `lane` moves bytes from one leg to the other and says the gateway's own frames between them;
//! - `session` polls both lanes, `timing` looks at the clock, `closing` decides how a session ends;
//! - `tally` counts what passes while it passes, for those who look from outside;
//! - `wire` is what a stream must be; `deadlines` and `buffer` are what the sessions of a thread share.

mod bucket;
mod buffer;
mod cashier;
mod closing;
mod control;
mod deadlines;
mod direction;
mod fault;
mod heartbeat;
mod lane;
mod leg;
mod limit;
mod outcome;
mod outlet;
mod pace;
mod rules;
mod session;
mod tally;
mod timing;
mod wire;

#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
mod tests;

pub use control::{CloseOrder, Control};
pub use limit::{Limit, Meter, OnExceed, Quota, Senders, Share, Unit};
pub use outcome::{End, GatewayEnd, LegOutcome, Loss, Outcome, Side, Totals};
pub use rules::Rules;
pub use tally::{Course, Courses, Flow, Tally, Traffic};
pub use wire::Wire;

use bytes::Bytes;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What the two handshakes settled for both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// permessage-deflate is in force between the two ends: RSV1 marks compressed messages, whose
    /// text is not checked and whose size counts as it is on the wire.
    pub deflate: bool,
}

/// Bytes that were read together with the handshakes and belong to the frames.
#[derive(Debug, Clone, Default)]
pub struct Early {
    /// Behind the client's request.
    pub from_client: Bytes,
    /// Behind the upstream's answer.
    pub from_upstream: Bytes,
}

/// Carries frames between `client` and `upstream` until the session is over, then drops both, the client first.
///
/// Under limits that sessions share it counts together with those of the same `account`.
///
/// Must be called within a tokio runtime: the first session of a thread starts the task that keeps the
/// deadlines of all. Dropping what is returned ends both connections without a word.
pub fn relay<S: Wire>(
    client: S,
    upstream: S,
    early: Early,
    course: Arc<Course>,
    negotiated: Negotiated,
    account: u64,
) -> Relayed<S> {
    Relayed(session::Session::new(
        client, upstream, early, course, negotiated, account,
    ))
}

/// A session under way. Nearly a future: where its control is, its holder knows, who has to tell the
/// control when it polls no more ([`Control::forget_waker`]).
pub struct Relayed<S>(session::Session<S>);

impl<S: Wire> Relayed<S> {
    /// Does what can be done; ready when the session is over. `control` must be the same each time.
    pub fn poll(&mut self, cx: &mut Context<'_>, control: &Control) -> Poll<Outcome> {
        self.0.poll(cx, control)
    }
}

impl<S> Relayed<S> {
    /// For how long it has been under way.
    pub fn age(&self) -> Duration {
        self.0.age()
    }
}
