//! The live sessions: who is connected now, and the handle by which each can be ended.

mod registry;

pub use registry::{Registered, Registry, Session};
