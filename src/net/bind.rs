//! Listening sockets, bound before any worker runs, so that a bad address is an error at start.
//!
//! Options that accepted sockets inherit are set here once, which saves a system call for each
//! connection. Accepting is `accept.rs`.

use super::unix::{SocketFile, bind_unix};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use thiserror::Error;

/// Connections that the kernel holds for us between two accepts.
pub(super) const BACKLOG: i32 = 4096;

/// A listener that is bound and listens, but belongs to no runtime yet.
#[derive(Debug)]
pub struct Listening {
    pub(super) socket: ListeningSocket,
    /// Removed with the listener; nothing for TCP.
    pub(super) file: Option<SocketFile>,
}

/// The listening socket itself.
#[derive(Debug)]
pub(super) enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Where a listener is to listen, or really listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// With the port that the system chose, where 0 was asked for.
    Tcp(SocketAddr),
    /// The socket file.
    Unix(PathBuf),
}

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on `{address}`: {}", hint(.source))]
pub struct BindError {
    /// As configured.
    pub address: String,
    /// What the system said.
    pub source: io::Error,
}

impl Listening {
    /// Binds and listens. A unix socket file that nobody listens on any more is replaced.
    pub fn bind(address: &Address) -> Result<Self, BindError> {
        let bound = match address {
            Address::Tcp(address) => bind_tcp(*address).map(|listener| Self {
                socket: ListeningSocket::Tcp(listener),
                file: None,
            }),
            Address::Unix(path) => bind_unix(path).map(|(listener, file)| Self {
                socket: ListeningSocket::Unix(listener),
                file: Some(file),
            }),
        };
        bound.map_err(|source| BindError {
            address: address.to_string(),
            source,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<Address> {
        match (&self.socket, &self.file) {
            (ListeningSocket::Tcp(listener), _) => listener.local_addr().map(Address::Tcp),
            (ListeningSocket::Unix(_), Some(file)) => Ok(Address::Unix(file.path().to_owned())),
            (ListeningSocket::Unix(listener), None) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().map(PathBuf::from);
                Ok(Address::Unix(path.unwrap_or_default()))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[::]` serves IPv4 clients too, whatever the system's default is.
fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// What the operator can do about it.
fn hint(source: &io::Error) -> String {
    let advice = match source.kind() {
        io::ErrorKind::AddrInUse => "another process listens there",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied => {
            "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)"
        }
        io::ErrorKind::NotFound => "the folder does not exist",
        io::ErrorKind::AlreadyExists => "a file that is no socket is in the way",
        _ => return source.to_string(),
    };
    advice.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port() -> Address {
        Address::Tcp("127.0.0.1:0".parse().unwrap())
    }

    #[test]
    fn the_chosen_port_is_told() {
        let listening = Listening::bind(&any_port()).unwrap();
        let Address::Tcp(address) = listening.local_addr().unwrap() else {
            panic!("a TCP address was bound");
        };
        assert_ne!(address.port(), 0);
    }

    #[test]
    fn a_taken_port_is_an_error_that_says_so() {
        let first = Listening::bind(&any_port()).unwrap();
        let Address::Tcp(address) = first.local_addr().unwrap() else {
            panic!("a TCP address was bound");
        };
        let error = Listening::bind(&Address::Tcp(address)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot listen on `{address}`: another process listens there")
        );
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_that_says_so() {
        let elsewhere = Address::Tcp("192.0.2.1:0".parse().unwrap());
        let error = Listening::bind(&elsewhere).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("this machine has no such address")
        );
    }
}
