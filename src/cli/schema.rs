//! `wsgate schema`: the configuration file as a machine, or a person, may read it.

use super::answer;
use crate::config;
use std::process::ExitCode;

pub(super) fn execute(markdown: bool) -> ExitCode {
    if markdown {
        answer(config::reference().trim_end())
    } else {
        answer(format_args!("{:#}", config::schema()))
    }
}
