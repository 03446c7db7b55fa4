//! wsgate beside the proxies that a distribution has: what a message, a handshake and a quiet session cost.
//!
//! HAProxy, nginx and Caddy take part where they are installed (`apt-get install haproxy nginx-light caddy`), sozu
//! and Envoy where they are named. Every proxy has one worker on one core; clients and an echo server have another
//! one. Also: one hostile session beside a thousand quiet ones, few that talk among thousands, a second worker.
//!
//! ```sh
//! cargo bench --bench peers -- --quick                          # some minutes
//! cargo bench --bench peers -- --rounds 15 --write docs         # an hour; writes docs/benchmarks.md
//! cargo bench --bench peers -- --only binary-125,handshake-tls
//! cargo bench --bench peers -- --sozu /path/to/sozu --envoy /path/to/envoy
//! cargo bench --bench peers -- --from docs/benchmarks/results.json --write docs
//! ```
//!
//! Proxies are compared within a round, where each has its turn, and what is compared is the time that its
//! processes spent on a core: both suffer little from what else the machine does. Rates and latencies
//! don't bear company. Linux only.

mod clients;
mod clock;
mod field;
mod load;
mod metric;
mod processes;
mod proxies;
mod report;
mod results;
#[path = "../rig/mod.rs"]
mod rig;
mod run;
mod setting;
mod statistics;
mod workload;

use clap::Parser;
use results::Results;
use rig::{Failure, server};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use workload::{Load, Workload};

/// What is measured, and how long.
#[derive(Debug, Clone, Parser)]
#[command(about = "wsgate beside HAProxy, nginx and Caddy")]
struct Arguments {
    /// Short rounds, and not all workloads.
    #[arg(long)]
    quick: bool,
    /// How often each proxy has its turn with each workload; 15, or 3 with `--quick`.
    #[arg(long)]
    rounds: Option<usize>,
    /// Workloads by name, separated by commas; all without it.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Sessions that carry messages.
    #[arg(long, default_value_t = 64)]
    sessions: usize,
    /// Quiet sessions, as far as the limit of open files allows; 9000, or 2000 with `--quick`.
    #[arg(long)]
    idle: Option<usize>,
    /// Milliseconds of each measurement; 400, or 200 with `--quick`.
    #[arg(long)]
    window: Option<u64>,
    /// The core of the proxies.
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
    /// The core of everything else.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Another program than the one of this build.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_wsgate"))]
    wsgate: PathBuf,
    /// A program of sozu, which takes part then.
    #[arg(long)]
    sozu: Option<PathBuf>,
    /// A program of Envoy, which takes part then.
    #[arg(long)]
    envoy: Option<PathBuf>,
    /// Results of an earlier run instead of a new one.
    #[arg(long)]
    from: Option<PathBuf>,
    /// The folder for `benchmarks.md` and what belongs to it.
    #[arg(long)]
    write: Option<PathBuf>,
    /// A file for the results.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only the server behind the proxies.
    #[arg(long, hide = true)]
    upstream: bool,
    /// Only the clients, with a job.
    #[arg(long, hide = true)]
    load: Option<String>,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    wsgate::net::raise_open_files()?;
    if arguments.upstream {
        return server::serve();
    }
    if let Some(job) = &arguments.load {
        return load::run(job);
    }
    let results = match &arguments.from {
        Some(file) => serde_json::from_str(&fs::read_to_string(file)?)?,
        None => run::run(&arguments, &arguments.workloads()?)?,
    };
    tell(&arguments, &results)?;
    if results.failures.is_empty() {
        Ok(())
    } else {
        Err(format!("{} measurements came to nothing", results.failures.len()).into())
    }
}

#[expect(clippy::print_stdout, reason = "the result")]
fn tell(arguments: &Arguments, results: &Results) -> Result<(), Failure> {
    if let Some(file) = &arguments.json {
        fs::write(file, serde_json::to_string_pretty(results)?)?;
    }
    match &arguments.write {
        Some(folder) => report::write(results, folder),
        None => {
            println!("{}", report::tables(results)?);
            Ok(())
        }
    }
}

impl Arguments {
    fn workloads(&self) -> Result<Vec<Workload>, Failure> {
        let most = usize::try_from(proxies::max_sessions()?)?;
        let mut all = workload::all();
        // What the limit of open files does not allow.
        all.retain(|w| !matches!(w.load, Load::Many { sessions } if sessions > most));
        if self.only.is_empty() {
            let chosen = all.into_iter().filter(|w| w.is_quick || !self.quick);
            return Ok(chosen.collect());
        }
        let mut chosen = Vec::new();
        for name in &self.only {
            let found = all.iter().find(|workload| workload.name == *name);
            let names = || all.iter().map(|w| &*w.name).collect::<Vec<_>>().join(", ");
            chosen.push(
                found
                    .cloned()
                    .ok_or_else(|| format!("no workload `{name}`; there are {}", names()))?,
            );
        }
        Ok(chosen)
    }

    /// The program of a proxy that takes part only if it is named.
    fn named(&self, proxy: &str) -> Option<PathBuf> {
        match proxy {
            "sozu" => self.sozu.clone(),
            "envoy" => self.envoy.clone(),
            _ => None,
        }
    }

    /// All that are used.
    fn cores(&self) -> [usize; 2] {
        [self.proxy_core, self.load_core]
    }

    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 15 })
    }

    fn idle_sessions(&self) -> Result<usize, Failure> {
        let wanted = self.idle.unwrap_or(if self.quick { 2000 } else { 9000 });
        Ok(wanted.min(usize::try_from(proxies::max_sessions()?)?))
    }

    fn window(&self) -> Duration {
        let default = if self.quick { 200 } else { 400 };
        Duration::from_millis(self.window.unwrap_or(default))
    }
}
