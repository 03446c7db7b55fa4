//! Connecting over TCP, without waiting where there is nothing to wait for.

use super::Socket;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

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
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(cause) => return Err(cause.into()),
    }
    let stream = TcpStream::from_std(socket.into())?;
    // An upstream on this machine has answered by now; to hear of that from the runtime takes a turn.
    if stream.peer_addr().is_err() {
        stream.writable().await?;
        if let Some(cause) = stream.take_error()? {
            return Err(cause);
        }
    }
    Ok(Socket::Tcp(stream))
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
            let Socket::Tcp(stream) = &here else {
                panic!("it is TCP")
            };
            assert!(stream.nodelay().unwrap());
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
