//! What the relay asks of a byte stream.

use crate::net::Stream;
use std::task::{Context, Poll};
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

    /// The stream ends right behind what is written next: both may go out together.
    fn expect_end(&mut self, _cx: &Context<'_>) {}

    /// Says that nothing more comes, where dropping the stream, which is to follow, does not say as much.
    /// Ready when all that was said has gone out, or cannot.
    fn poll_goodbye(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// From now on the stream fails once the peer has acknowledged nothing for so long, where there is
    /// one that could vanish without a word.
    fn limit_silence(&self, limit: Duration);
}

impl Wire for Stream {
    #[inline]
    fn is_drained(&self, cx: &Context<'_>) -> bool {
        Self::is_drained(self, cx)
    }

    fn expect_end(&mut self, cx: &Context<'_>) {
        Self::expect_end(self, cx);
    }

    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_goodbye(self, cx).map(drop)
    }

    fn limit_silence(&self, limit: Duration) {
        if let Err(cause) = self.set_user_timeout(limit) {
            debug!(%cause, "TCP_USER_TIMEOUT");
        }
    }
}

impl Wire for DuplexStream {
    fn limit_silence(&self, _limit: Duration) {}
}
