//! One type for every byte stream that a leg can be, so that the relay is compiled once and
//! dispatches by a match.

use super::secure::Secure;
use super::socket::Socket;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// What a leg reads from and writes to. TLS states are boxed: a plain session must not carry their size.
#[derive(Debug)]
pub enum Stream {
    /// No TLS.
    Plain(Socket),
    /// TLS, with the gateway as its server or its client.
    Tls(Box<Secure<Socket>>),
    /// A pipe inside the process: the built-in upstream.
    Memory(Box<DuplexStream>),
}

/// Calls the same method on whichever stream it is.
macro_rules! each {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self {
            Stream::Plain($stream) => $call,
            Stream::Tls($stream) => $call,
            Stream::Memory($stream) => $call,
        }
    };
}

impl Stream {
    /// The socket at the bottom, if there is one.
    pub fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Memory(_) => None,
        }
    }

    /// [`Socket::set_user_timeout`], where there is a socket.
    ///
    /// # Errors
    /// What the system says; the connection is as it was.
    pub fn set_user_timeout(&self, timeout: Duration) -> io::Result<()> {
        let socket = self.socket();
        socket.map_or(Ok(()), |socket| socket.set_user_timeout(timeout))
    }

    /// Whether nothing can be read for now and `cx`'s task is woken when something can. A pipe cannot tell.
    #[inline]
    pub fn is_drained(&self, cx: &Context<'_>) -> bool {
        match self {
            Self::Plain(socket) => socket.is_drained(cx),
            Self::Tls(stream) => stream.is_empty() && stream.get_ref().0.is_drained(cx),
            Self::Memory(_) => false,
        }
    }

    /// Sends what the kernel takes at once: how many bytes, possibly none. Over TLS, and of what is no
    /// socket, it is always none.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.send_at_once(bytes),
            Self::Tls(_) | Self::Memory(_) => Ok(0),
        }
    }

    /// Has what is written next go out together with what ends the stream. The end must follow at once,
    /// and nothing may be left to flush.
    pub fn expect_end(&mut self, cx: &Context<'_>) {
        match self {
            Self::Tls(stream) => stream.expect_end(),
            // To drop a socket that has something to be read resets it: what it was to say must be out by then.
            Self::Plain(socket) if socket.is_drained(cx) => socket.expect_end(),
            Self::Plain(_) | Self::Memory(_) => {}
        }
    }

    /// Says that nothing more comes, where there is a word for it, as TLS has; dropping the stream, which
    /// is to follow, says the rest. Ready when all that was said has gone out.
    ///
    /// # Errors
    /// What the socket says.
    pub fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => stream.poll_goodbye(cx),
            Self::Plain(_) | Self::Memory(_) => Poll::Ready(Ok(())),
        }
    }

    /// Ends a TCP connection so that the peer sees a failure and not an end; any other is closed.
    pub fn reset(self) {
        if let Some(socket) = self.socket() {
            socket.end_by_reset();
        }
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, stream => stream.is_write_vectored())
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
