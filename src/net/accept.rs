//! Accepting: connections come out detached from any runtime, so that the worker that accepts can
//! hand them to the worker that serves them before anything is registered.

use super::bind::{Listening, ListeningSocket};
use super::socket::{Family, Socket};
use super::unix::SocketFile;
use rustix::io::Errno;
use rustix::net::{self, SocketFlags};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A listener at work on the runtime that made it.
#[derive(Debug)]
pub struct Acceptor {
    socket: Registered,
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Registered {
    Tcp(AsyncFd<std::net::TcpListener>),
    Unix(AsyncFd<std::os::unix::net::UnixListener>),
}

/// A connection as it came out of the kernel.
#[derive(Debug)]
pub struct Accepted {
    /// Non-blocking, of no runtime yet.
    pub socket: Detached,
    /// Who is at the other end.
    pub peer: Peer,
}

/// A socket that belongs to no runtime: it can go to another thread.
#[derive(Debug)]
pub struct Detached {
    fd: OwnedFd,
    family: Family,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An IPv4 client of a `[::]` listener appears as IPv4.
    Tcp(SocketAddr),
    /// A process of this machine.
    Unix,
}

/// What an error of [`Acceptor::accept`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptFault {
    /// The process or the machine has no room: pause, say so, try again.
    Exhausted,
    /// That one connection was gone before it was taken: go on at once.
    Connection,
    /// The listener itself is of no use any more.
    Listener,
}

impl Listening {
    /// Registers the listener with the runtime of the calling task.
    pub fn into_acceptor(self) -> io::Result<Acceptor> {
        let socket = match self.socket {
            ListeningSocket::Tcp(listener) => Registered::Tcp(register(listener)?),
            ListeningSocket::Unix(listener) => Registered::Unix(register(listener)?),
        };
        Ok(Acceptor {
            socket,
            _file: self.file,
        })
    }
}

impl Acceptor {
    /// Waits for the next connection. Cancel-safe: a connection is either returned or still queued.
    /// [`AcceptFault::of`] tells what to do about an error.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Registered::Tcp(listener) => listener.async_io(Interest::READABLE, accept_tcp).await,
            Registered::Unix(listener) => listener.async_io(Interest::READABLE, accept_unix).await,
        }
    }
}

impl Detached {
    /// Registers the socket with the runtime of the calling task.
    pub fn attach(self) -> io::Result<Socket> {
        Socket::attach(self.fd, self.family)
    }
}

impl AcceptFault {
    /// Sorts an error of accept(2). Linux reports pending network errors of the new connection
    /// there, so that most are that connection's alone.
    pub fn of(error: &io::Error) -> Self {
        let listener_errors = [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP];
        match error.raw_os_error() {
            _ if is_exhausted(error) => Self::Exhausted,
            Some(code) if listener_errors.contains(&Errno::from_raw_os_error(code)) => {
                Self::Listener
            }
            Some(_) => Self::Connection,
            None => Self::Listener,
        }
    }
}

/// Whether the process or the machine has run out of what a socket needs: descriptors or memory.
pub fn is_exhausted(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error
        .raw_os_error()
        .is_some_and(|code| shortages.contains(&Errno::from_raw_os_error(code)))
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe; a listener of std owns its descriptor, which is all that is asked"
)]
fn register<L: AsRawFd>(listener: L) -> io::Result<AsyncFd<L>> {
    AsyncFd::with_interest(listener, Interest::READABLE)
}

fn accept_tcp(listener: &std::net::TcpListener) -> io::Result<Accepted> {
    let (socket, address) = net::acceptfrom_with(listener, new_socket_flags())?;
    // None: gone already. The connection is not worth more than an aborted one.
    let address = address.ok_or(Errno::CONNABORTED)?;
    let peer = SocketAddr::try_from(address)?;
    Ok(Accepted {
        socket: Detached {
            fd: socket,
            family: Family::Tcp,
        },
        peer: Peer::Tcp(SocketAddr::new(peer.ip().to_canonical(), peer.port())),
    })
}

fn accept_unix(listener: &std::os::unix::net::UnixListener) -> io::Result<Accepted> {
    let socket = net::accept_with(listener, new_socket_flags())?;
    Ok(Accepted {
        socket: Detached {
            fd: socket,
            family: Family::Unix,
        },
        peer: Peer::Unix,
    })
}

fn new_socket_flags() -> SocketFlags {
    SocketFlags::NONBLOCK | SocketFlags::CLOEXEC
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Address;
    use std::thread;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpStream, UnixStream};

    fn acceptor(address: &str) -> (Acceptor, SocketAddr) {
        let listening = Listening::bind(&Address::Tcp(address.parse().unwrap())).unwrap();
        let Address::Tcp(bound) = listening.local_addr().unwrap() else {
            panic!("a TCP address was bound");
        };
        (listening.into_acceptor().unwrap(), bound)
    }

    #[tokio::test]
    async fn an_accepted_socket_has_no_delay_without_being_asked() {
        let (acceptor, address) = acceptor("127.0.0.1:0");
        let client = TcpStream::connect(address).await.unwrap();
        let accepted = acceptor.accept().await.unwrap();
        assert_eq!(accepted.peer, Peer::Tcp(client.local_addr().unwrap()));
        let socket = accepted.socket.attach().unwrap();
        assert!(socket.has_no_delay().unwrap());
    }

    #[tokio::test]
    async fn an_ipv4_client_of_a_v6_listener_appears_as_ipv4() {
        let (acceptor, address) = acceptor("[::]:0");
        let client = TcpStream::connect(("127.0.0.1", address.port())).await;
        let client = client.unwrap();
        let accepted = acceptor.accept().await.unwrap();
        assert_eq!(accepted.peer, Peer::Tcp(client.local_addr().unwrap()));
    }

    #[tokio::test]
    async fn a_connection_is_served_by_another_thread_s_runtime() {
        let (acceptor, address) = acceptor("127.0.0.1:0");
        let mut client = TcpStream::connect(address).await.unwrap();
        let accepted = acceptor.accept().await.unwrap();
        let worker = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut socket = accepted.socket.attach().unwrap();
                let mut word = [0; 4];
                socket.read_exact(&mut word).await.unwrap();
                socket.write_all(&word).await.unwrap();
            });
        });
        client.write_all(b"ping").await.unwrap();
        let mut echo = [0; 4];
        client.read_exact(&mut echo).await.unwrap();
        worker.join().unwrap();
        assert_eq!(&echo, b"ping");
    }

    #[tokio::test]
    async fn a_unix_client_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.sock");
        let listening = Listening::bind(&Address::Unix(path.clone())).unwrap();
        assert_eq!(listening.local_addr().unwrap(), Address::Unix(path.clone()));
        let acceptor = listening.into_acceptor().unwrap();
        let _client = UnixStream::connect(&path).await.unwrap();
        assert_eq!(acceptor.accept().await.unwrap().peer, Peer::Unix);
        drop(acceptor);
        assert!(!path.exists());
    }

    #[test]
    fn errors_of_accept_are_told_apart() {
        let cases = [
            (Errno::MFILE, AcceptFault::Exhausted),
            (Errno::NFILE, AcceptFault::Exhausted),
            (Errno::NOBUFS, AcceptFault::Exhausted),
            (Errno::NOMEM, AcceptFault::Exhausted),
            (Errno::CONNABORTED, AcceptFault::Connection),
            (Errno::PERM, AcceptFault::Connection),
            (Errno::NETDOWN, AcceptFault::Connection),
            (Errno::INVAL, AcceptFault::Listener),
            (Errno::BADF, AcceptFault::Listener),
        ];
        for (errno, fault) in cases {
            assert_eq!(AcceptFault::of(&errno.into()), fault, "{errno}");
        }
    }
}
