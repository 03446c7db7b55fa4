//! `builtin:echo`: an upstream inside the gateway, for trying things out, and the page that does.

mod echo;
mod page;

pub(super) use echo::dial;
pub use page::page;
