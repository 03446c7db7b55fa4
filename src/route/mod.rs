//! Which of many serves a request? Host, then path, then subprotocol; and what the path becomes.
//!
//! Pure, and generic over what is found: knows patterns and their precedence, not what a route is.

mod paths;
mod rewrite;
mod segment;
mod subprotocols;
mod table;

pub use rewrite::{Rewrite, Rewritten};
pub use subprotocols::Clash;
pub use table::{Builder, Conflict, NoRoute, Table};
