//! `wsgate run`: the gateway itself.

use super::{CONFIGURATION, check, complain};
use crate::config::{self, Settings};
use crate::lifecycle::{self, Gateway};
use crate::telemetry::logs;
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// `wsgate run [FILE]`, or `wsgate run --listen ADDRESS --to URL`.
#[derive(Debug, Default, Args)]
pub(super) struct Run {
    /// Else $WSGATE_CONFIG, ./wsgate.toml, ./config/wsgate.toml, /etc/wsgate/wsgate.toml.
    #[arg(conflicts_with_all = ["listen", "to"])]
    file: Option<PathBuf>,
    /// Put a gateway on this address, without a file.
    #[arg(long, value_name = "ADDRESS", requires = "to")]
    listen: Option<String>,
    /// The one server behind it: `ws://host:port`, `wss://…`, `unix:…` or `builtin:echo`.
    #[arg(long, value_name = "URL", requires = "listen")]
    to: Option<String>,
}

impl Run {
    pub(super) fn execute(self) -> ExitCode {
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(code) => return code,
        };
        let log = match logs::start(&settings.log) {
            Ok(log) => log,
            Err(error) => {
                complain(&error);
                return ExitCode::from(CONFIGURATION);
            }
        };
        logs::log_panics();
        let result = lifecycle::run(&settings, |gateway| greet(&settings, gateway));
        if log.dropped_lines() > 0 {
            tracing::warn!(lines = log.dropped_lines(), "log lines were dropped");
        }
        drop(log);
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn settings(&self) -> Result<Settings, ExitCode> {
        match (&self.listen, &self.to) {
            (Some(listen), Some(to)) => config::quick(listen, to).map_err(|problems| {
                check::print(&problems);
                ExitCode::from(CONFIGURATION)
            }),
            _ => check::load(self.file.as_deref()),
        }
    }
}

/// Tells a person at a terminal where to look.
#[expect(
    clippy::print_stderr,
    reason = "a greeting for a person, not a log line"
)]
fn greet(settings: &Settings, gateway: &Gateway) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    for listener in &settings.listeners {
        let Some(address) = gateway.addresses().get(&listener.name) else {
            continue;
        };
        if address.starts_with("unix:") {
            continue;
        }
        let address = address
            .replacen("0.0.0.0", "localhost", 1)
            .replacen("[::]", "localhost", 1);
        let scheme = if listener.tls.is_some() {
            "https"
        } else {
            "http"
        };
        eprintln!("wsgate is at {scheme}://{address}/  (Ctrl-C stops it)");
    }
}
