//! Facts into logs. Lower layers return what happened; here it gets its words.

pub mod access_log;
pub mod logs;
pub mod tls_log;

pub use access_log::AccessLog;
pub use tls_log::{TlsFailed, TlsLog};
