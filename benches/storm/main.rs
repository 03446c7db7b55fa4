//! A reconnect storm: while some sessions talk, thousands of clients come back at once, each with a
//! full TLS handshake and a password.
//!
//! Starts the gateway before an echo server, each a process of its own, and tells what the talking
//! sessions noticed, how long until all are in, and what it cost:
//!
//! ```sh
//! cargo bench --bench storm                                     # 500 talk, 5,000 come
//! cargo bench --bench storm -- --users 5000 --patience 900          # nobody's password is known yet
//! cargo bench --bench storm -- --live 50 --clients 500 --quiet 3
//! ```
//!
//! Clients, upstream and gateway share the machine's cores: latencies are an upper bound. Whatever else
//! runs there makes them many times longer; a low `max_handshakes` (`--server 'max_handshakes = 100'`)
//! makes those who come wait for longer.

mod client;
mod gateway;
#[path = "../rig/launch.rs"]
mod launch;
mod live;
mod report;
#[path = "../rig/mod.rs"]
mod rig;
mod storm;
#[path = "../rig/trusting.rs"]
mod trusting;

use clap::Parser;
use client::Dialer;
use gateway::{Gateway, Usage};
use live::Live;
use report::{Phase, Report};
use rig::Failure;
use rig::server::{self, Server};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use storm::Storm;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::sleep;

/// From the last of the talking sessions' handshakes to the first number.
const SETTLING: Duration = Duration::from_secs(3);

/// What is started, and how much of it.
#[derive(Debug, Clone, Parser)]
#[command(about = "Thousands of clients come back at once while others talk")]
struct Arguments {
    /// Sessions that talk all the time.
    #[arg(long, default_value_t = 500)]
    live: usize,
    /// Clients that come at once.
    #[arg(long, default_value_t = 5000)]
    clients: usize,
    /// Users that the coming clients are: so many passwords are verified, whoever comes later under a
    /// name profits from who came first.
    #[arg(long, default_value_t = 32)]
    users: usize,
    /// Cost of the bcrypt hashes.
    #[arg(long, default_value_t = 10)]
    bcrypt_cost: u32,
    /// Seconds of quiet before the storm, and after it.
    #[arg(long, default_value_t = 10)]
    quiet: u64,
    /// Seconds after which those that are not in give up.
    #[arg(long, default_value_t = 180)]
    patience: u64,
    /// More lines for the gateway's configuration, below `[server]`.
    #[arg(long, default_value = "")]
    server: String,
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
    let report = runtime.block_on(run(&arguments))?;
    if arguments.json {
        println!("{:#}", report.json());
    } else {
        println!("{report}");
    }
    if report.missing() > 0 {
        return Err(format!("{} clients never came in", report.missing()).into());
    }
    Ok(())
}

async fn run(arguments: &Arguments) -> Result<Report, Failure> {
    let upstream = Server::start()?;
    let gateway = Gateway::start(arguments, upstream.address).await?;
    let (broken, mut breaks) = mpsc::channel(1);
    tokio::select! {
        report = measure(arguments, gateway, broken) => report,
        Some(failure) = breaks.recv() => Err(failure),
    }
}

/// A measurement of which a part has failed is none: that is told by `broken`.
async fn measure(
    arguments: &Arguments,
    mut gateway: Gateway,
    broken: Sender<Failure>,
) -> Result<Report, Failure> {
    let dialer = Dialer::new(&gateway)?;
    // Threads of their own: what the coming clients compute must not delay the talking ones' clocks.
    let live = Arc::new(Live::default());
    let talking = live::run(dialer.clone(), arguments.live, live.clone());
    on_a_thread("live", talking, broken.clone())?;
    live.all_talk(arguments.live).await?;
    sleep(SETTLING).await;

    let quiet = Duration::from_secs(arguments.quiet);
    let before = phase("before", &gateway, &live, sleep(quiet)).await?;
    let storm = Arc::new(Storm::default());
    let storming = storm::run(dialer, arguments.clone(), storm.clone());
    on_a_thread("storm", storming, broken)?;
    let during = phase("storm", &gateway, &live, watch(&live, &storm, arguments)).await?;
    let after = phase("after", &gateway, &live, sleep(quiet)).await?;
    live.over();
    gateway.stop().await?;
    Ok(Report::new(arguments, [before, during, after], &storm))
}

/// Runs `work`, and tells what the live sessions and the gateway's clock saw meanwhile.
async fn phase(
    name: &'static str,
    gateway: &Gateway,
    live: &Live,
    work: impl Future<Output = ()>,
) -> Result<Phase, Failure> {
    live.take();
    let start = tokio::time::Instant::now();
    let usage = gateway.usage()?;
    work.await;
    let Usage { cpu, memory } = gateway.usage()?;
    Ok(Phase {
        name,
        took: start.elapsed(),
        cpu: cpu.saturating_sub(usage.cpu),
        memory,
        seen: live.take(),
    })
}

/// Until all are in or have given up; a line per second for whoever watches.
#[expect(clippy::print_stderr, reason = "progress")]
async fn watch(live: &Live, storm: &Storm, arguments: &Arguments) {
    let is_watched = std::io::stderr().is_terminal();
    let start = tokio::time::Instant::now();
    while storm.waiting(arguments.clients) > 0 {
        tokio::select! {
            () = storm.changed() => {}
            () = sleep(Duration::from_secs(1)) => {}
        }
        let seconds = start.elapsed().as_secs();
        if is_watched && storm.is_new_second(seconds) {
            eprintln!(
                "{seconds:3} s: {} in, {} waiting, {} refused; slowest answer so far {:?}",
                storm.entered(),
                storm.waiting(arguments.clients),
                storm.refused(),
                live.slowest(),
            );
        }
    }
}

/// Runs `work` on a runtime and a thread of its own, to the end of the process or its failure.
fn on_a_thread<F>(name: &str, work: F, broken: Sender<Failure>) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            if let Err(failure) = runtime.block_on(work) {
                // The first failure is enough, and nobody listens when all is over.
                let _ = broken.try_send(failure);
            }
        })?;
    Ok(())
}
