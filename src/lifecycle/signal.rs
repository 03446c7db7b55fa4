//! The life of the process: from start to the signals that end it.

use super::{Gateway, StartError};
use crate::config::Settings;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// Why [`run`] ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The gateway could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No runtime, or no signal handler.
    #[error("the process could not be set up")]
    Setup(#[from] io::Error),
}

/// Runs a gateway until SIGTERM or Ctrl-C, then drains it; a second signal ends it at once.
///
/// `started` hears of the running gateway once it accepts.
///
/// # Errors
/// If it could not start.
pub fn run(settings: &Settings, started: impl FnOnce(&Gateway)) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before anything listens: a signal that comes early must not kill without a drain.
        let mut signals = Signals::new()?;
        let gateway = Gateway::start_here(settings)?;
        started(&gateway);
        // Apart from the log line, whose fields are evaluated only where its level is on.
        let signal = signals.next().await;
        info!(signal, "stopping");
        tokio::select! {
            drained = gateway.drain() => info!(sessions = drained.sessions, cut = drained.cut, "stopped"),
            again = signals.next() => warn!(signal = again, "stopped at once"),
        }
        Ok(())
    })
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The name of the next one. Cancel-safe.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
