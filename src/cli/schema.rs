//! `wsgate schema`: the configuration file as a machine, or a person, may read it.

use crate::config;
use std::process::ExitCode;

#[expect(clippy::print_stdout, reason = "the answer")]
pub(super) fn execute(markdown: bool) -> ExitCode {
    if markdown {
        print!("{}", config::reference());
    } else {
        println!("{:#}", config::schema());
    }
    ExitCode::SUCCESS
}
