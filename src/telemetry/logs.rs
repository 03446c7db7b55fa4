//! The log of the process: where it goes, how it looks, what it lets through.

use super::log_writer::LogWriter;
use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Keeps the log; dropping it writes what is left.
pub struct LogGuard(LogWriter);

impl LogGuard {
    /// Lines that were dropped because nobody took them.
    pub fn dropped_lines(&self) -> usize {
        self.0.dropped()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Starts logging to standard error, once in the life of the process.
///
/// # Errors
/// If `level` is not a filter.
pub fn start(log: &Log) -> Result<LogGuard, ParseError> {
    let filter = EnvFilter::builder().parse(&log.level)?;
    let writer = LogWriter::new(std::io::stderr());
    let is_terminal = std::io::stderr().is_terminal();
    subscribe(log.format, is_terminal, filter, writer.clone());
    Ok(LogGuard(writer))
}

/// A subscriber that is already there (a test's) stays.
fn subscribe(format: LogFormat, is_terminal: bool, filter: EnvFilter, writer: LogWriter) {
    let as_text = match format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    let result = if as_text {
        builder.with_ansi(is_terminal).with_target(false).try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    };
    if result.is_err() {
        tracing::debug!("logging was already started");
    }
}

/// Sends panics to the log instead of bare standard error: a panic in one session ends that
/// session, and the operator must hear of it.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(
            place,
            text,
            "panic: a defect of the gateway; what it happened in has ended"
        );
    }));
}
