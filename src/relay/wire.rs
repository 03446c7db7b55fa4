//! What the relay asks of a byte stream.

use crate::net::Stream;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

/// A byte stream that can be a leg.
pub trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Whether the peer is owed a goodbye before the stream is dropped, as TLS has one. Where dropping
    /// says as much, a system call is spared.
    fn owes_goodbye(&self) -> bool;
}

impl Wire for Stream {
    fn owes_goodbye(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl Wire for DuplexStream {
    fn owes_goodbye(&self) -> bool {
        false
    }
}
