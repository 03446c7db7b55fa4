//! A connection to a server that carries one request after the other.

use super::Stream;
use bytes::BytesMut;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of one read at most.
const READ: usize = 16 * 1024;

/// A stream, and what came over it that nobody has looked at. While it waits it owns no buffer.
#[derive(Debug)]
pub struct Connection {
    /// Where bytes come from and go to.
    pub stream: Stream,
    /// What came and is not looked at yet.
    pub unread: BytesMut,
}

impl Connection {
    /// Over `stream`, of which nothing was read.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            unread: BytesMut::new(),
        }
    }

    /// Reads some more into `unread`; 0 is the end.
    ///
    /// # Errors
    /// What the system says.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buf = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        self.unread.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Whether the server has kept quiet since the last answer ended: neither closed nor said
    /// what nobody asked for. Anything else must not become the answer to another request.
    pub fn is_quiet(&mut self) -> bool {
        // Whoever polls it next registers a waker of its own.
        let mut cx = Context::from_waker(Waker::noop());
        self.unread.is_empty() && self.poll_fill(&mut cx).is_pending()
    }
}
