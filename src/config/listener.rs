//! `[[listeners]]`: where clients arrive.

use super::Scheme;
use super::kind::{Kind, Shape, at, boolean, choice, duration, name, size, table};
use super::problem::Problem;
use super::reader::{At, Node};
use super::redirect::redirect;
use super::section::section;
use super::tls::{ListenerTls, ListenerTlsKeys};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// One of `[[listeners]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Name for routes and logs; the address where none was given.
    pub name: String,
    /// Where to listen.
    pub address: BindAddress,
    /// Whether a PROXY protocol header comes first.
    pub proxy_protocol: bool,
    /// PROXY protocol, TLS and request head together, from accept.
    pub head_timeout: Duration,
    /// Bytes of a request head at most, request line included.
    pub max_header_size: usize,
    /// The scheme that clients use, where TLS ends before the gateway; else it follows from `tls`.
    pub public_scheme: Scheme,
    /// The port of https that every request is sent on to; `None`: requests are served.
    pub redirect_https: Option<u16>,
    /// `[listeners.tls]`
    pub tls: Option<ListenerTls>,
}

section! {
    /// Where clients arrive; at least one.
    pub(super) struct ListenerKeys at "`[[listeners]]`" {
        /// A name for routes and logs. Left out: the address.
        pub(super) name: Option<At<String>> = at(name()), optional;
        /// Where to listen: an IP address and a port, `"0.0.0.0:8443"` or `"[::]:80"`, or a socket
        /// in the file system, `"unix:/run/wsgate.sock"`. Port 0 takes a free one, which the log
        /// tells.
        pub(super) address: At<BindAddress> = at(address()), required;
        /// Whether each connection begins with a PROXY protocol header, version 1 or 2, that tells
        /// the client's address. It is required then, and only `server.trusted_proxies` may send
        /// it: connections without it, and from anybody else, are closed.
        pub(super) proxy_protocol: At<bool> = at(boolean()), or(false);
        /// From the accepted connection to the end of the request head, PROXY protocol and TLS
        /// included.
        pub(super) head_timeout: Duration = duration("100ms"), or("10s");
        /// The largest request head, request line included.
        pub(super) max_header_size: u64 = size(1024..=1 << 20), or("16KiB");
        /// The scheme that clients use. `"auto"` is `"https"` with `[listeners.tls]` and `"http"`
        /// without, unless the PROXY protocol tells of TLS; write `"https"` where TLS ends before wsgate, so that Origins compare right.
        pub(super) public_scheme: Option<Scheme> = choice(&[
            ("auto", None),
            ("http", Some(Scheme::Http)),
            ("https", Some(Scheme::Https)),
        ]), or("auto");
        /// Whether requests that come by http are answered with a redirect (308) to the same URL by
        /// https: `true` to port 443, or the port. For a plain listener beside one with TLS. It
        /// serves routes only where a trusted proxy tells that a client came by https.
        pub(super) redirect_https: At<Option<u16>> = at(redirect()), or(false);
        /// Whether routes with `auth` may be served without TLS to clients elsewhere, so that
        /// everybody on the way can read their credentials.
        pub(super) allow_plaintext_auth: bool = boolean(), or(false);
        /// TLS for this listener. Left out: plain.
        pub(super) tls: Option<ListenerTlsKeys> = table(), optional;
    }
    example r#"[[listeners]]
name = "public"
address = "0.0.0.0:8443"
"#
}

impl From<ListenerKeys> for Listener {
    fn from(keys: ListenerKeys) -> Self {
        let by_tls = match keys.tls {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        };
        Self {
            name: keys.name(),
            address: keys.address.value,
            proxy_protocol: keys.proxy_protocol.value,
            head_timeout: keys.head_timeout,
            max_header_size: usize::try_from(keys.max_header_size).unwrap_or(usize::MAX),
            public_scheme: keys.public_scheme.unwrap_or(by_tls),
            redirect_https: keys.redirect_https.value,
            tls: keys.tls.map(ListenerTls::from),
        }
    }
}

impl ListenerKeys {
    pub(super) fn name(&self) -> String {
        match &self.name {
            Some(name) => name.value.clone(),
            None => self.address.value.to_string(),
        }
    }
}

/// `address`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindAddress {
    /// `0.0.0.0:8443`, `[::]:80`
    Tcp(SocketAddr),
    /// `unix:/run/wsgate.sock`
    Unix(PathBuf),
}

impl BindAddress {
    /// That of TCP.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }

    /// Whether only processes of this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A kind: where to listen.
pub(super) fn address() -> Address {
    Address
}

/// See [`address`].
pub(super) struct Address;

impl Kind for Address {
    type Out = BindAddress;

    fn read(&self, node: &Node<'_>) -> Option<BindAddress> {
        match parse_address(&node.text(ADDRESS)?) {
            Ok(BindAddress::Unix(path)) => {
                let folder = node.source().file.folder();
                Some(BindAddress::Unix(folder.join(path)))
            }
            Ok(address) => Some(address),
            Err(problem) => node.refuse(problem),
        }
    }

    fn shape(&self) -> Shape {
        Shape::matching(ADDRESS, ":")
    }
}

const ADDRESS: &str = "`\"IP:PORT\"` or `\"unix:PATH\"`";

fn parse_address(text: &str) -> Result<BindAddress, Problem> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_path(path).map(BindAddress::Unix);
    }
    if let Ok(address) = text.parse() {
        return Ok(BindAddress::Tcp(address));
    }
    let problem = Problem::new(format!("`{text}` is not an address to listen on"));
    let port = text.trim_start_matches(['*', ':']);
    if port.parse::<u16>().is_ok() {
        return Err(problem.help(format!(
            "write `\"127.0.0.1:{port}\"` for this machine alone, `\"0.0.0.0:{port}\"` or `\"[::]:{port}\"` for all networks"
        )));
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err(problem.label("no port").help("add a port, such as `:8080`"));
    }
    Err(problem.help("write an IP address and a port, such as `\"0.0.0.0:8443\"` or `\"[::]:8443\"`, or `\"unix:/run/wsgate.sock\"`"))
}

/// The path of a socket, which the kernel limits to 107 bytes.
pub(super) fn unix_path(path: &str) -> Result<PathBuf, Problem> {
    if path.is_empty() || path.len() > 107 || path.contains('\0') {
        return Err(Problem::new(format!("`{path}` is not a path of a socket"))
            .help("write `unix:` and a path of at most 107 bytes, such as `\"unix:/run/wsgate.sock\"`"));
    }
    Ok(PathBuf::from(path))
}
