//! Connecting, without waiting where there is nothing to wait for.

use super::socket::{Family, Socket};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A connection to `address`, without delay for small writes. There is no deadline in here; dropping the
/// future gives up.
///
/// # Errors
/// What the system says.
pub async fn connect(address: SocketAddr) -> io::Result<Socket> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = stream_socket(family)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    // Whoever connects speaks first: the kernel need not send the last word of TCP's handshake by itself,
    // as it goes with the first bytes. Where it cannot be told so, nothing is lost but a packet.
    let _ = sockopt::set_tcp_quickack(&socket, false);
    match net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(cause) => return Err(cause.into()),
    }
    // An upstream on this machine has answered by now; to hear of that from the kernel takes a turn.
    match net::getpeername(&socket) {
        Ok(_) => Socket::attach(socket, Family::Tcp),
        Err(_) => Socket::attach_connecting(socket, Family::Tcp).await,
    }
}

/// A connection to the unix socket at `path`, which is made at once or not at all.
///
/// # Errors
/// What the system says; `WouldBlock` if the queue of whoever listens there is full.
pub fn connect_unix(path: &Path) -> io::Result<Socket> {
    let address = SocketAddrUnix::new(path)?;
    let socket = stream_socket(AddressFamily::UNIX)?;
    net::connect(&socket, &address)?;
    Socket::attach(socket, Family::Unix)
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(net::socket_with(family, SocketType::STREAM, flags, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_carries_bytes_both_ways_without_delay() {
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(place).await.unwrap();
            let mut here = connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut there, _) = listener.accept().await.unwrap();
            assert!(here.has_no_delay().unwrap());
            here.write_all(b"ping").await.unwrap();
            there.write_all(b"pong").await.unwrap();
            let mut heard = [0; 4];
            there.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"ping");
            here.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"pong");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let error = connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
