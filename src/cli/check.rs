//! `wsgate check`: everything that is wrong with a configuration, before it serves.

use super::{CONFIGURATION, answer, complain};
use crate::config::{self, Problems, Settings};
use crate::gateway::Site;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// Loads the file, and reads the files that it names.
pub(super) fn execute(file: Option<&Path>) -> ExitCode {
    let settings = match load(file) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let site = match Site::assemble(&settings) {
        Ok(site) => site,
        Err(error) => {
            complain(&error);
            return ExitCode::from(CONFIGURATION);
        }
    };
    let expiries = site.expiries();
    expiries
        .iter()
        .filter_map(|one| one.trouble())
        .for_each(warn);
    answer(format_args!(
        "ok: {}, {}, {}",
        counted(settings.listeners.len(), "listener"),
        counted(settings.routes.len(), "route"),
        counted(settings.upstreams.len(), "upstream")
    ))
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// What is no mistake in the configuration, and needs somebody all the same.
#[expect(clippy::print_stderr, reason = "the answer")]
fn warn(trouble: String) {
    eprintln!("warning: {trouble}");
}

/// Finds and loads a configuration, or says what is wrong with it and gives the exit code.
pub(super) fn load(file: Option<&Path>) -> Result<Settings, ExitCode> {
    let path = config::find(file).map_err(|error| {
        complain(&error);
        ExitCode::from(CONFIGURATION)
    })?;
    config::load(&path).map_err(|problems| {
        print(&problems);
        ExitCode::from(CONFIGURATION)
    })
}

/// To standard error, in colour on a terminal.
#[expect(clippy::print_stderr, reason = "the answer")]
pub(super) fn print(problems: &Problems) {
    eprintln!("{}", problems.render(std::io::stderr().is_terminal()));
}
