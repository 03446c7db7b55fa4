//! The composition: from an accepted connection to a session.

mod guard;

pub use guard::Guarded;
