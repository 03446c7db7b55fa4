//! Sockets: binding, accepting, the one stream type of both legs, limits of the process.
//!
//! Nothing here knows HTTP, TLS settings or WebSockets.

mod accept;
mod bind;
mod connect;
mod connection;
mod idle;
mod process;
mod proxy_protocol;
mod reactor;
mod secure;
mod socket;
mod stream;
mod unix;
mod usage;

pub use accept::{AcceptFault, Accepted, Acceptor, Detached, Peer, is_exhausted};
pub use bind::{Address, BindError, Listening};
pub use connect::{connect, connect_unix};
pub use connection::Connection;
pub use idle::Idle;
pub use process::{OpenFiles, raise_open_files, usable_cores};
#[doc(hidden)]
pub use proxy_protocol::fuzzing;
pub use proxy_protocol::{Endpoints, Proxied, ProxyError, Version as ProxyVersion};
pub use reactor::start_reactor;
pub use secure::Secure;
pub use socket::Socket;
#[cfg(test)]
pub(crate) use socket::attached;
pub use stream::Stream;
pub use usage::Usage;
