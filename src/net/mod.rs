//! Sockets: binding, the one stream type of both legs, limits of the process.

mod stream;

pub use stream::{Socket, Stream};
