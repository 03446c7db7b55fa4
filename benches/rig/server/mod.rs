//! The server behind the gateway, a process of its own: by hand and on one thread, so that it costs the
//! machine as little as a server can.
//!
//! What it does with a session's frames is the session's wish, by the last part of its path
//! (`part.rs`): it echoes them, as most want, or discards them, or never reads, or sends without end.

mod part;
mod sessions;

use super::Failure;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;

/// The last part of a path: everything is read and forgotten.
pub(crate) const DISCARD: &str = "discard";
/// Nothing is ever read.
pub(crate) const DEAF: &str = "deaf";
/// Whatever comes, the answer is how many bytes were discarded so far: a message of 8 bytes.
pub(crate) const TALLY: &str = "tally";

/// As many handshakes as come at once may wait.
const BACKLOG: i32 = 4096;

/// Running; killed when it is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// This program once more, with the one argument `--upstream`, as [`serve`].
    pub(crate) fn start() -> Result<Self, Failure> {
        Self::start_as(Command::new(std::env::current_exe()?))
    }

    /// As `program`, which is this one in some way.
    pub(crate) fn start_as(mut program: Command) -> Result<Self, Failure> {
        let mut child = program
            .arg("--upstream")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut told = String::new();
        BufReader::new(output).read_line(&mut told)?;
        Ok(Self {
            address: told.trim().parse()?,
            child,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whether it has ended before is the same to us.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells its address on standard output and serves until standard input ends, which it does with
/// whoever started this, however that ends.
#[expect(clippy::print_stdout, reason = "the address")]
pub(crate) fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    thread::spawn(|| {
        // It is the same to us whether it ends or fails.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    sessions::Sessions::new(listener)?.run()
}
