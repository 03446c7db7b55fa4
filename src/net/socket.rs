//! A socket of the operating system that the thread's reactor watches.

use super::reactor::{Phase, Registration, Way};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags, Shutdown, sockopt};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A TCP or unix stream socket. It stays on the thread that attached it: to wait for it on
/// another one fails.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    registration: Registration,
    family: Family,
    /// It took all that it was given last, as most always do: the next write need not ask the reactor.
    has_room: bool,
    /// The end follows what is written next.
    is_ending: bool,
}

/// Which sockets a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// TCP, v4 or v6.
    Tcp,
    /// A unix domain socket.
    Unix,
}

impl Socket {
    /// Takes over a connected socket that does not block. To be called from a task of the runtime that
    /// runs on the calling thread.
    ///
    /// # Errors
    /// What the system says: no more descriptors or memory.
    pub(super) fn attach(fd: OwnedFd, family: Family) -> io::Result<Self> {
        Ok(Self {
            registration: Registration::new(&fd, Phase::Connected)?,
            fd,
            family,
            has_room: true,
            is_ending: false,
        })
    }

    /// As [`Self::attach`], a socket whose connection is under way; waits until it is made. Dropping the
    /// future gives up.
    ///
    /// # Errors
    /// What the system says, about the connection as well.
    pub(super) async fn attach_connecting(fd: OwnedFd, family: Family) -> io::Result<Self> {
        let registration = Registration::new(&fd, Phase::Connecting)?;
        poll_fn(|cx| registration.poll_ready(cx, Way::Write)).await?;
        sockopt::socket_error(&fd)??;
        Ok(Self {
            fd,
            registration,
            family,
            has_room: true,
            is_ending: false,
        })
    }

    /// Looks at what has come, and leaves it there; waits while there is nothing. No bytes are the end of
    /// the stream. Cancel-safe.
    ///
    /// # Errors
    /// What the system says.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            let look = || Ok(net::recv(&self.fd, &mut *buf, RecvFlags::PEEK)?.0);
            self.poll_receive(cx, look)
        })
        .await
    }

    /// Whether nothing can be read for now and `cx`'s task is woken when something can: to read would
    /// change nothing.
    #[inline]
    pub fn is_drained(&self, cx: &Context<'_>) -> bool {
        self.registration.is_awaited(cx, Way::Read)
    }

    /// Sends what the kernel takes at once: how many bytes, possibly none.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        match net::send(&self.fd, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            sent => Ok(sent?),
        }
    }

    /// Has what is written next go out together with the end of the stream, in one segment where it fits:
    /// to shut down or to drop the socket, which must follow at once.
    pub(super) const fn expect_end(&mut self) {
        self.is_ending = true;
    }

    /// This end's address; `None` for a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self.family {
            Family::Tcp => SocketAddr::try_from(net::getsockname(&self.fd).ok()?).ok(),
            Family::Unix => None,
        }
    }

    /// Whether small writes go out without delay, as they shall; always for a unix socket.
    ///
    /// # Errors
    /// What the system says.
    pub fn has_no_delay(&self) -> io::Result<bool> {
        match self.family {
            Family::Tcp => Ok(sockopt::tcp_nodelay(&self.fd)?),
            Family::Unix => Ok(true),
        }
    }

    /// How long bytes may wait, unsent or unacknowledged, before the kernel gives the connection up
    /// (`TCP_USER_TIMEOUT`, in milliseconds; more than 49 days count as that). A unix socket has no need
    /// of it: its other end cannot vanish unseen.
    ///
    /// # Errors
    /// What the system says; the connection is as it was.
    pub fn set_user_timeout(&self, timeout: Duration) -> io::Result<()> {
        if self.family == Family::Tcp {
            let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
            sockopt::set_tcp_user_timeout(&self.fd, milliseconds)?;
        }
        Ok(())
    }

    /// Has a TCP connection end, when it is dropped, so that the peer sees a failure and not an end.
    pub(super) fn end_by_reset(&self) {
        if self.family == Family::Tcp {
            // If the system does not like it, the connection closes all the same.
            let _ = sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
        }
    }

    #[inline]
    fn poll_receive<T>(
        &self,
        cx: &mut Context<'_>,
        receive: impl FnMut() -> Result<T, Errno>,
    ) -> Poll<io::Result<T>> {
        self.registration
            .poll_io(cx, &self.fd, Way::Read, false, receive)
    }

    /// Has `send` write `len` bytes, or as many as there is room for.
    #[inline]
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        mut send: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        let registration = &self.registration;
        let send = || send(&self.fd);
        let sent = registration.poll_io(cx, &self.fd, Way::Write, self.has_room, send);
        self.has_room = matches!(sent, Poll::Ready(Ok(sent)) if sent == len);
        let sent = ready!(sent)?;
        if sent < len {
            self.registration.drained(Way::Write);
        }
        Poll::Ready(Ok(sent))
    }
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (len, room) = ready!(self.poll_receive(cx, || {
            // It may be as it came from the allocator: it is cleared only when it is needed.
            let room = buf.initialize_unfilled();
            let len = net::recv(&self.fd, &mut *room, RecvFlags::empty())?.0;
            Ok((len, room.len()))
        }))?;
        // No bytes are the end, which stays.
        if 0 < len && len < room {
            self.registration.drained(Way::Read);
        }
        buf.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::MORE, self.is_ending);
        let send = |fd: &OwnedFd| net::send(fd, buf, flags);
        self.get_mut().poll_send(cx, buf.len(), send)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // To send is the shorter way into the kernel, for who has one piece only.
        if let [buf] = bufs {
            return self.poll_write(cx, buf);
        }
        let len = bufs.iter().map(|buf| buf.len()).sum();
        let send = |fd: &OwnedFd| rustix::io::writev(fd, bufs);
        self.get_mut().poll_send(cx, len, send)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match net::shutdown(&self.fd, Shutdown::Write) {
            // A connection that is gone already has ended as well.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(cause) => Err(cause.into()),
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A connected socket of the standard library's or the runtime's, as tests make them.
#[cfg(test)]
pub(crate) fn attached(fd: impl Into<OwnedFd>) -> Socket {
    let fd = fd.into();
    rustix::io::ioctl_fionbio(&fd, true).unwrap();
    let family = match net::getsockname(&fd).unwrap().address_family() {
        net::AddressFamily::UNIX => Family::Unix,
        _ => Family::Tcp,
    };
    Socket::attach(fd, family).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Stream, attached, connect};
    use std::os::unix::net::UnixStream;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    /// Both ends of a connection within the machine.
    fn pair() -> (Socket, Socket) {
        let (one, other) = UnixStream::pair().unwrap();
        (attached(one), attached(other))
    }

    #[tokio::test]
    async fn the_user_timeout_is_set_in_milliseconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = Stream::Plain(socket);
        stream.set_user_timeout(Duration::from_secs(60)).unwrap();
        let set = sockopt::tcp_user_timeout(stream.socket().unwrap());
        assert_eq!(set.unwrap(), 60_000);
    }

    #[tokio::test]
    async fn what_is_said_with_the_end_arrives_before_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut here = connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut there, _) = listener.accept().await.unwrap();
        here.write_all(b"something, ").await.unwrap();
        here.expect_end();
        here.write_all(b"and goodbye").await.unwrap();
        drop(here);
        let mut received = Vec::new();
        there.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"something, and goodbye");
    }

    #[tokio::test]
    async fn a_slow_reader_gets_all_of_a_fast_writer_s_bytes() {
        let (mut here, mut there) = pair();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 7) as u8).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            here.write_all(&sent).await.unwrap();
            here.shutdown().await.unwrap();
            here
        });
        let mut received = Vec::new();
        while there.read_buf(&mut received).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(received == expected);
        drop(writing.await.unwrap());
    }

    #[tokio::test]
    async fn an_end_that_came_with_the_last_bytes_is_not_waited_for() {
        let (mut here, mut there) = pair();
        here.write_all(b"last").await.unwrap();
        drop(here);
        let mut room = [0; 64];
        // The reactor has had its turn, and told of both, before anything is read.
        there.peek(&mut room).await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(there.read(&mut room).await.unwrap(), 4);
        assert_eq!(there.read(&mut room).await.unwrap(), 0);
        assert_eq!(there.read(&mut room).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn two_tasks_may_hold_a_half_each() {
        let (here, there) = pair();
        let (mut reading, mut writing) = tokio::io::split(here);
        let (mut far_reading, mut far_writing) = tokio::io::split(there);
        let big = vec![7; 1_000_000];
        let send = async |half: &mut tokio::io::WriteHalf<Socket>| half.write_all(&big).await;
        let receive = async |half: &mut tokio::io::ReadHalf<Socket>| {
            let mut room = vec![0; 1_000_000];
            half.read_exact(&mut room).await.map(|_| room)
        };
        let (a, b, c, d) = tokio::join!(
            send(&mut writing),
            receive(&mut reading),
            send(&mut far_writing),
            receive(&mut far_reading)
        );
        a.and(c).unwrap();
        assert!(b.unwrap() == big && d.unwrap() == big);
    }

    #[tokio::test]
    async fn a_place_that_is_used_again_hears_nothing_of_who_had_it() {
        let (mut first, second) = pair();
        first.write_all(b"for the one that goes").await.unwrap();
        drop(second);
        let (mut third, mut fourth) = pair();
        // The reactor has told of what the first pair did.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let mut room = [0; 8];
        let nothing = timeout(Duration::ZERO, fourth.read(&mut room)).await;
        assert!(nothing.is_err(), "nothing was sent to it");
        third.write_all(b"for me").await.unwrap();
        assert_eq!(fourth.read(&mut room).await.unwrap(), 6);
    }

    #[tokio::test]
    async fn a_peer_that_never_stops_leaves_others_their_turn() {
        let (mut here, mut there) = pair();
        let mut turns = 0;
        let endless = async {
            let mut room = [0; 1];
            loop {
                here.write_all(&[0]).await.unwrap();
                there.read_exact(&mut room).await.unwrap();
            }
        };
        let others = async {
            while turns < 3 {
                tokio::task::yield_now().await;
                turns += 1;
            }
        };
        tokio::select! {
            biased;
            () = endless => {}
            () = others => {}
        }
        assert_eq!(turns, 3);
    }

    /// Who, when woken, hangs up and dials anew.
    #[derive(Default)]
    struct Meddler(Mutex<Vec<(Socket, Socket)>>);

    impl Wake for Meddler {
        fn wake(self: Arc<Self>) {
            let dropped = std::mem::replace(&mut *self.0.lock().unwrap(), vec![pair(), pair()]);
            drop(dropped);
        }
    }

    #[tokio::test]
    async fn who_is_woken_may_use_sockets_at_once() {
        let (mut here, mut there) = pair();
        let meddler = Arc::new(Meddler(Mutex::new(vec![pair()])));
        let waker = meddler.clone().into();
        let mut room = [0; 8];
        let mut reading = ReadBuf::new(&mut room);
        let read = Pin::new(&mut there).poll_read(&mut Context::from_waker(&waker), &mut reading);
        assert!(read.is_pending());
        here.write_all(b"news").await.unwrap();
        // The reactor has told of them.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(there.read(&mut room).await.unwrap(), 4);
        let mut made = std::mem::take(&mut *meddler.0.lock().unwrap());
        assert_eq!(made.len(), 2, "it was woken");
        for (one, other) in &mut made {
            one.write_all(b"hello").await.unwrap();
            assert_eq!(other.read(&mut room).await.unwrap(), 5);
        }
    }

    #[test]
    fn on_another_thread_it_fails() {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
        };
        let (mut here, _there) = runtime().unwrap().block_on(async { pair() });
        let read = async { here.read(&mut [0; 1]).await };
        let error = runtime().unwrap().block_on(read).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Other);
    }
}
