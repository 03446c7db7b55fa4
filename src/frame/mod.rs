//! The wire rules of WebSocket frames (RFC 6455 §5 and §7.4, the framing side of RFC 7692).
//!
//! Everything here is a function of the bytes it is given: no socket, no clock, no task and no
//! allocation. The same bytes, split anywhere, give the same verdicts.

mod close;
mod control;
mod header;
pub mod mask;
mod message;
mod opcode;
mod utf8;
mod violation;

pub use close::{CloseBody, CloseError, code, may_be_received};
pub use control::{ControlFrame, MAX_CONTROL_FRAME};
pub use header::{EncodedHeader, Header, HeaderError, MAX_HEADER};
pub use message::{Messages, Part, Run, Sender};
pub use opcode::Opcode;
pub use utf8::{InvalidUtf8, Utf8Check};
pub use violation::Violation;

/// Entry points of the fuzz targets, one per target.
#[doc(hidden)]
pub mod fuzzing;
