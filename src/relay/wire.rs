//! What the relay asks of a byte stream.

use crate::net::Stream;
use std::task::Context;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tracing::debug;

/// A byte stream that can be a leg.
pub trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Whether nothing can be read for now and `cx`'s task is woken when something can, so that a read
    /// is spared. Who cannot tell says no.
    fn is_drained(&self, _cx: &Context<'_>) -> bool {
        false
    }

    /// Whether the peer is owed a goodbye before the stream is dropped, as TLS has one. Where dropping
    /// says as much, a system call is spared.
    fn owes_goodbye(&self) -> bool;

    /// From now on the stream fails once the peer has acknowledged nothing for so long, where there is
    /// one that could vanish without a word.
    fn limit_silence(&self, limit: Duration);
}

impl Wire for Stream {
    #[inline]
    fn is_drained(&self, cx: &Context<'_>) -> bool {
        Self::is_drained(self, cx)
    }

    fn owes_goodbye(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    fn limit_silence(&self, limit: Duration) {
        if let Err(cause) = self.set_user_timeout(limit) {
            debug!(%cause, "TCP_USER_TIMEOUT");
        }
    }
}

impl Wire for DuplexStream {
    fn owes_goodbye(&self) -> bool {
        false
    }

    fn limit_silence(&self, _limit: Duration) {}
}
