//! Facts into logs and metrics. Lower layers return what happened; here it gets its words.

pub mod access_log;
mod log_writer;
pub mod logs;
pub mod metrics;
pub mod tls_log;

pub use access_log::AccessLog;
pub use metrics::Metrics;
pub use tls_log::{TlsFailed, TlsLog};
