//! `wsgate health`: asks a running gateway how it is, for the health check of a container.

use super::{answer, check, complain};
use crate::admin::{self, Probe};
use crate::config::Settings;
use std::path::Path;
use std::process::ExitCode;

/// 0: yes; 1: everything else, an unusable configuration included. Container runtimes keep other
/// codes for themselves.
pub(super) fn execute(file: Option<&Path>, is_ready: bool) -> ExitCode {
    let Ok(settings) = check::load(file) else {
        return ExitCode::FAILURE;
    };
    let probe = match is_ready {
        true => Probe::Readiness,
        false => Probe::Health,
    };
    match ask(&settings, probe) {
        Ok(()) => answer("ok"),
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

fn ask(settings: &Settings, probe: Probe) -> Result<(), Box<dyn std::error::Error>> {
    let address = admin::way_to(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(admin::ask(address, probe))?)
}
