//! What it costs to ask who somebody is, and how exactly a session ends with its proof.
//!
//! Starts the gateway before an echo server, each a process of its own, and tells the gateway's CPU time
//! for a handshake: without credentials, with a token (ES256) that comes for the first time, with one that
//! comes again, and with a password that is known; then how long after `exp` the sessions of thousands of
//! tokens end, which all expire at the same moment, or spread over one second:
//!
//! ```sh
//! cargo bench --bench admit
//! cargo bench --bench admit -- --rounds 60 --tls
//! cargo bench --bench admit -- --rounds 0 --sessions 20000
//! ```
//!
//! In each round every kind has its turn, in an order drawn anew, so that what else the machine does
//! strikes all alike. Clients, upstream and gateway share its cores: what is late is an upper bound.

mod client;
mod cost;
mod expiry;
mod gateway;
#[path = "../rig/launch.rs"]
mod launch;
#[path = "../rig/mod.rs"]
mod rig;
mod token;
#[path = "../rig/trusting.rs"]
mod trusting;

use clap::Parser;
use client::Dialer;
use cost::Costs;
use expiry::{Lateness, Moment};
use gateway::Gateway;
use rig::Failure;
use rig::server::{self, Server};
use serde_json::json;
use std::path::PathBuf;

/// What is measured, and how often.
#[derive(Debug, Clone, Parser)]
#[command(about = "What credentials cost, and how exactly sessions end with them")]
struct Arguments {
    /// Rounds of handshakes; one more before them warms up.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Handshakes of each kind in a round.
    #[arg(long, default_value_t = 400)]
    handshakes: usize,
    /// Whether the handshakes are made over TLS, each with a full handshake of its own.
    #[arg(long)]
    tls: bool,
    /// Cost of the bcrypt hash.
    #[arg(long, default_value_t = 10)]
    bcrypt_cost: u32,
    /// Sessions that expire; 0: none.
    #[arg(long, default_value_t = 5000)]
    sessions: usize,
    /// Seconds within which they must all be open.
    #[arg(long, default_value_t = 20)]
    ahead: u64,
    /// Another program than the one of this build.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_wsgate"))]
    binary: PathBuf,
    /// The result as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Only the server behind the gateway.
    #[arg(long, hide = true)]
    upstream: bool,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// All of it.
struct Report {
    costs: Option<Costs>,
    lateness: Vec<Lateness>,
}

#[expect(clippy::print_stdout, reason = "the result")]
fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    wsgate::net::raise_open_files()?;
    if arguments.upstream {
        return server::serve();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure(&arguments))?;
    if arguments.json {
        let lateness: Vec<_> = report.lateness.iter().map(Lateness::json).collect();
        let costs = report.costs.as_ref().map(Costs::json);
        println!("{:#}", json!({ "cpu": costs, "expiry": lateness }));
        return Ok(());
    }
    if let Some(costs) = &report.costs {
        println!("{costs}");
    }
    for lateness in &report.lateness {
        println!("{lateness}");
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Report, Failure> {
    let upstream = Server::start()?;
    let gateway = Gateway::start(arguments, upstream.address).await?;
    let costs = match arguments.rounds {
        0 => None,
        _ => {
            let dialer = Dialer::new(&gateway, arguments.tls)?;
            Some(cost::measure(arguments, &gateway, &dialer).await?)
        }
    };
    let mut lateness = Vec::new();
    if arguments.sessions > 0 {
        let dialer = Dialer::new(&gateway, false)?;
        for moment in [Moment::Same, Moment::WithinASecond] {
            lateness.push(expiry::measure(arguments, &gateway, &dialer, moment).await?);
        }
    }
    Ok(Report { costs, lateness })
}
