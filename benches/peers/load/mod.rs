//! The clients, a process of their own on the core that the proxies don't have.
//!
//! It is told its job by an argument, counts what came back within a window, asks what the proxy used
//! meanwhile, and tells both on standard output.

mod beside;
mod handshakes;
mod hostile;
mod idle;
mod link;
mod messages;
mod one_way;
mod talk;
mod window;

pub(crate) use link::Door;

use crate::rig::Failure;
use crate::workload::Load;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// What to do, and to whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) address: SocketAddr,
    /// Where a hostile session goes, if there is one.
    pub(crate) hostile_address: SocketAddr,
    /// The server itself, which tells what it has discarded.
    pub(crate) server_address: SocketAddr,
    /// Of the proxy, in DER, where it is to be TLS.
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) load: Load,
    pub(crate) sessions: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// The proxy's processes.
    pub(crate) watched: Vec<u32>,
    /// The server's process.
    pub(crate) server: u32,
    /// Not the job itself, but its hostile session.
    pub(crate) is_hostile: bool,
}

/// The word that all idle sessions are there, or the hostile one.
pub(crate) const READY: &str = "ready";

/// Does a job and tells the result.
#[expect(clippy::print_stdout, reason = "the result")]
pub(crate) fn run(job: &str) -> Result<(), Failure> {
    let job: Job = serde_json::from_str(job)?;
    let resumes = matches!(job.load, Load::Handshakes { resumed: true });
    let door = Door::new(job.address, job.certificate.as_deref(), resumes)?;
    let sample = match job.load {
        Load::Messages { .. } | Load::Many { .. } => messages::measure(&job, &door)?,
        Load::OneWay { kind, size, way } => one_way::measure(&job, &door, kind, size, way)?,
        Load::Handshakes { .. } => handshakes::measure(&job, &door)?,
        Load::Idle => return idle::hold(&job, &door),
        Load::Beside(hostile) if job.is_hostile => return hostile::be(&job, hostile),
        Load::Beside(_) => beside::measure(&job, &door)?,
    };
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}
