//! `[[listeners]]`: where clients arrive.

use super::Scheme;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One of `[[listeners]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Name for routes and logs; the address where none was given.
    pub name: String,
    /// Where to listen.
    pub address: BindAddress,
    /// TLS and request head together, from accept.
    pub head_timeout: Duration,
    /// Bytes of a request head at most, request line included.
    pub max_header_size: usize,
    /// The scheme that clients use, where TLS ends before the gateway; else it follows from `tls`.
    pub public_scheme: Scheme,
    /// `[listeners.tls]`
    pub tls: Option<ListenerTls>,
}

/// `address`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindAddress {
    /// `0.0.0.0:8443`, `[::]:80`
    Tcp(SocketAddr),
    /// `unix:/run/wsgate.sock`
    Unix(PathBuf),
}

/// `[listeners.tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one; the first is the default for unknown names.
    pub certificates: Vec<CertificateFiles>,
}

/// A chain and its key, PEM, both followed when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Leaf first, then intermediates.
    pub cert: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}
