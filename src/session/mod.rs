//! The live sessions: who is connected now, and the handle by which each can be ended.

mod grounds;
mod missed;
mod record;
mod registry;
mod texts;

pub use grounds::{Evidence, Expiry, Grounds, Revocation};
pub use record::{Names, Record, Session};
pub use registry::Registry;
