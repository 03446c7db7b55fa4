//! The command line: what was asked for, in words and exit codes.

mod check;
mod explain;
mod hash_password;
mod health;
mod run;
mod schema;

use crate::causes;
use clap::{Parser, Subcommand};
use std::error::Error;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// A gateway for WebSockets.
#[derive(Debug, Parser)]
#[command(name = "wsgate", version, about, long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve. Without a subcommand this is what happens.
    Run(run::Run),
    /// Check a configuration file and say everything that is wrong with it.
    Check {
        /// Else $WSGATE_CONFIG, ./wsgate.toml, ./config/wsgate.toml, /etc/wsgate/wsgate.toml.
        file: Option<PathBuf>,
    },
    /// Tell what would become of a handshake, check by check. 0 admitted, 1 refused.
    Explain(Box<explain::Explain>),
    /// Ask a running gateway whether it works, for the health check of a container: 0 yes, 1 no.
    Health {
        /// Its configuration, which says where to ask. Else $WSGATE_CONFIG, ./wsgate.toml,
        /// ./config/wsgate.toml, /etc/wsgate/wsgate.toml.
        file: Option<PathBuf>,
        /// Ask whether it takes new clients instead.
        #[arg(long)]
        ready: bool,
    },
    /// Print the JSON Schema of the configuration file, for editors.
    Schema {
        /// Print the reference of all keys as Markdown instead.
        #[arg(long)]
        markdown: bool,
    },
    /// Read a password from standard input and print a line for a password file.
    HashPassword {
        /// The user's name; left out: the hash alone.
        name: Option<String>,
    },
}

/// Exit code for a configuration that cannot be used.
const CONFIGURATION: u8 = 2;

/// The whole program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments
        .command
        .unwrap_or_else(|| Command::Run(run::Run::default()))
    {
        Command::Run(run) => run.execute(),
        Command::Check { file } => check::execute(file.as_deref()),
        Command::Explain(explain) => explain.execute(),
        Command::Health { file, ready } => health::execute(file.as_deref(), ready),
        Command::Schema { markdown } => schema::execute(markdown),
        Command::HashPassword { name } => hash_password::execute(name.as_deref()),
    }
}

/// Prints an error with its causes, each on its own level, to standard error.
#[expect(
    clippy::print_stderr,
    reason = "this is the program's voice before there is a log"
)]
fn complain(error: &(dyn Error + 'static)) {
    eprintln!("wsgate: {error}");
    for cause in causes::of(error) {
        eprintln!("  because: {cause}");
    }
}

/// Prints what was asked for. Whoever reads it may have had enough before the end, as `head` does.
fn answer(text: impl Display) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&error);
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
