//! `wsgate hash-password`: a line for a password file.

use super::{answer, complain};
use crate::admission::auth::hash_password;
use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

/// The password comes by standard input: an argument would be seen by every `ps`.
#[expect(clippy::print_stderr, reason = "the question")]
pub(super) fn execute(name: Option<&str>) -> ExitCode {
    if io::stdin().is_terminal() {
        eprint!("Password (it will be visible): ");
    }
    let mut line = String::new();
    if let Err(error) = io::stdin().lock().read_line(&mut line) {
        complain(&error);
        return ExitCode::FAILURE;
    }
    match hash_password(name, line.trim_end_matches(['\r', '\n'])) {
        Ok(line) => answer(line),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}
