//! What both versions have in common: what a header says, how it fails, which version it is.

use super::{version1, version2};
use std::io;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// What a header tells of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxied {
    /// Both ends, where they have addresses that the sender tells.
    pub endpoints: Option<Endpoints>,
    /// Whether the sender speaks for itself, as for its health checks, and for no client.
    pub is_local: bool,
    /// Whether the client spoke TLS with the sender. Version 1 cannot tell.
    pub is_tls: bool,
}

/// Both ends of the connection between client and sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub source: SocketAddr,
    /// What the client connected to.
    pub destination: SocketAddr,
}

/// Why a header is refused.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The first bytes are those of something else.
    #[error("there is no PROXY protocol header")]
    Absent,
    /// A line of version 1 that breaks the rules.
    #[error("malformed PROXY protocol line")]
    Line,
    /// A version, command or address family that nobody knows here.
    #[error("unknown PROXY protocol version, command or address family")]
    Unknown,
    /// Fewer bytes than its address family needs, or an extension that ends beyond the header.
    #[error("the PROXY protocol header is shorter than it says")]
    TooShort,
    /// The header is not as it was sent.
    #[error("the PROXY protocol header does not match its checksum")]
    Checksum,
    /// More than anyone needs.
    #[error("the PROXY protocol header has more than {} bytes", version2::LEN_MAX)]
    TooLong,
    /// The connection ended first.
    #[error("the connection ended before the PROXY protocol header")]
    Lost(#[from] io::Error),
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// A header of `len` bytes.
    Whole { len: usize, proxied: Proxied },
    /// The beginning of one. At least so many bytes belong to it; `None`: all that are there, and more.
    Part { least: Option<usize> },
}

/// Which version to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl Version {
    /// The header that tells `endpoints`, or that the sender speaks for itself.
    pub fn encode(self, endpoints: Option<Endpoints>) -> Vec<u8> {
        match self {
            Self::V1 => version1::encode(endpoints),
            Self::V2 => version2::encode(endpoints),
        }
    }
}

impl Endpoints {
    /// Both as addresses of one family: an IPv4 address beside an IPv6 one is told as a mapped one.
    pub fn of(source: SocketAddr, destination: SocketAddr) -> Self {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (source, destination) = (canonical(source), canonical(destination));
        if source.is_ipv4() == destination.is_ipv4() {
            return Self {
                source,
                destination,
            };
        }
        Self {
            source: mapped(source),
            destination: mapped(destination),
        }
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// Reads the header at the start of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Progress, ProxyError> {
    match bytes.first() {
        None => Ok(Progress::Part { least: None }),
        Some(b'P') => version1::decode(bytes),
        Some(b'\r') => version2::decode(bytes),
        Some(_) => Err(ProxyError::Absent),
    }
}
