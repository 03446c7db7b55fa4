//! One type for every byte stream that a leg can be, so that the relay is compiled once and
//! dispatches by a match.

use super::secure::Secure;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A socket of the operating system.
#[derive(Debug)]
pub enum Socket {
    /// TCP, v4 or v6.
    Tcp(TcpStream),
    /// A unix domain socket.
    Unix(UnixStream),
}

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
            Stream::Plain(Socket::Tcp($stream)) => $call,
            Stream::Plain(Socket::Unix($stream)) => $call,
            Stream::Tls($stream) => $call,
            Stream::Memory($stream) => $call,
        }
    };
}

impl Stream {
    /// How long bytes may wait, unsent or unacknowledged, before the kernel gives the connection up
    /// (`TCP_USER_TIMEOUT`, in milliseconds; more than 49 days count as that). Other sockets than TCP
    /// have no need of it: their other end cannot vanish unseen.
    ///
    /// # Errors
    /// What the system says; the connection is as it was.
    pub fn set_user_timeout(&self, timeout: Duration) -> io::Result<()> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Memory(_) => return Ok(()),
        };
        let Socket::Tcp(stream) = socket else {
            return Ok(());
        };
        let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds)?;
        Ok(())
    }

    /// Sends what the kernel takes at once, before the runtime knows of a fresh connection that it may be
    /// written to: how many bytes, possibly none. Over TLS, and of what is no socket, it is always none.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        let Self::Plain(Socket::Tcp(stream)) = self else {
            return Ok(0);
        };
        match rustix::net::send(stream, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            sent => Ok(sent?),
        }
    }

    /// Ends a TCP connection so that the peer sees a failure and not an end; any other is closed.
    pub fn reset(self) {
        let socket = match &self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Memory(_) => return,
        };
        if let Socket::Tcp(stream) = socket {
            // If the system does not like it, the connection closes all the same.
            let _ = stream.set_zero_linger();
        }
    }
}

impl Socket {
    /// Looks at what has come, and leaves it there; waits while there is nothing. No bytes are the end of
    /// the stream. Cancel-safe.
    ///
    /// # Errors
    /// What the system says.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buf).await,
            Self::Unix(stream) => {
                let peek = || Ok(rustix::net::recv(stream, &mut *buf, RecvFlags::PEEK)?.0);
                stream.async_io(Interest::READABLE, peek).await
            }
        }
    }

    /// This end's address; `None` for a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
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

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::tcp_user_timeout;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_user_timeout_is_set_in_milliseconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        let stream = stream.await.unwrap();
        let stream = Stream::Plain(stream.into());
        stream.set_user_timeout(Duration::from_secs(60)).unwrap();
        let Stream::Plain(Socket::Tcp(stream)) = stream else {
            unreachable!()
        };
        assert_eq!(tcp_user_timeout(&stream).unwrap(), 60_000);
    }
}
