//! The run: round by round, workload by workload, each proxy in its turn.

use crate::load::{Job, READY};
use crate::metric::{Metric, Sample};
use crate::processes::{self, pinned};
use crate::proxies::{ALL, Kind, Proxy};
use crate::results::{Measured, Results, Version};
use crate::rig::Failure;
use crate::rig::echo::Echo;
use crate::workload::{Load, Workload};
use crate::{Arguments, clock, setting};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Handshakes are made by fewer clients than messages: each of theirs is a thread.
const CLIENTS: usize = 16;
const CLIENTS_OVER_TLS: usize = 4;
/// Messages from this size on have so many windows: few of them fit into one.
const HUGE: usize = 1 << 20;
pub(crate) const HUGE_WINDOWS: u32 = 4;
/// Before the memory of a fresh proxy is looked at.
const WARM_UP_SESSIONS: usize = 64;

pub(crate) struct Run<'a> {
    arguments: &'a Arguments,
    echo: Echo,
    found: Vec<(Kind, PathBuf)>,
    results: Results,
}

impl<'a> Run<'a> {
    pub(crate) fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let (mut found, mut missing, mut proxies) = (Vec::new(), Vec::new(), Vec::new());
        for kind in ALL {
            match kind.find(&arguments.wsgate) {
                None => missing.push(kind.name.to_owned()),
                Some(program) => {
                    proxies.push(Version {
                        name: kind.name.to_owned(),
                        version: kind.version(&program)?,
                    });
                    found.push((kind, program));
                }
            }
        }
        for name in &missing {
            progress(&format!("{name} is not installed and is left out"));
        }
        Ok(Self {
            arguments,
            echo: pinned(arguments.load_core, Echo::start)?,
            found,
            results: Results {
                setting: setting::look(arguments)?,
                proxies,
                missing,
                measured: Vec::new(),
                failures: Vec::new(),
            },
        })
    }

    pub(crate) fn measure(mut self, workloads: &[Workload]) -> Result<Results, Failure> {
        let measured = workloads.iter().map(|workload| Measured {
            workload: workload.name.clone(),
            rounds: Vec::new(),
        });
        self.results.measured = measured.collect();
        let proxies: Vec<Proxy> = self
            .found
            .iter()
            .map(|(kind, program)| self.start(kind, program))
            .collect::<Result<_, _>>()?;
        let rounds = self.arguments.rounds();
        for round in 0..rounds {
            for (number, workload) in workloads.iter().enumerate() {
                let is_idle = matches!(workload.load, Load::Idle);
                if is_idle && round >= self.arguments.idle_rounds() {
                    continue;
                }
                progress(&format!(
                    "round {} of {rounds}: {}",
                    round + 1,
                    workload.name
                ));
                let mut samples = BTreeMap::new();
                for turn in order(round, number, proxies.len()) {
                    let sample = if is_idle {
                        self.hold(&self.found[turn], workload)
                    } else {
                        self.load(&proxies[turn], workload, workload.load)
                    };
                    let name = proxies[turn].name;
                    match sample {
                        Ok(sample) => drop(samples.insert(name.to_owned(), sample)),
                        Err(failure) => self.fail(format!("{}, {name}: {failure}", workload.name)),
                    }
                }
                self.results.measured[number].rounds.push(samples);
            }
        }
        Ok(self.results)
    }

    fn start(&self, kind: &Kind, program: &std::path::Path) -> Result<Proxy, Failure> {
        Proxy::start(kind, program, self.echo.address, self.arguments.proxy_core)
    }

    fn fail(&mut self, failure: String) {
        complain(&failure);
        self.results.failures.push(failure);
    }

    /// One measurement by a process of clients.
    fn load(&self, proxy: &Proxy, workload: &Workload, load: Load) -> Result<Sample, Failure> {
        let (mut child, said) = self.spawn(proxy, workload, load)?;
        let said = std::io::read_to_string(said);
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("the clients ended with {status}").into());
        }
        Ok(serde_json::from_str(&said?)?)
    }

    /// What a fresh proxy needs for each of many quiet sessions.
    fn hold(
        &self,
        (kind, program): &(Kind, PathBuf),
        workload: &Workload,
    ) -> Result<Sample, Failure> {
        let proxy = self.start(kind, program)?;
        let warm_up = Load::Messages {
            kind: crate::workload::Kind::Binary,
            size: 125,
            in_flight: 1,
        };
        self.load(&proxy, workload, warm_up)?;
        clock::pause(self.arguments.settling());
        let before = processes::memory(&proxy.processes()?)?;
        let (mut clients, said) = self.spawn(&proxy, workload, Load::Idle)?;
        let mut word = String::new();
        BufReader::new(said).read_line(&mut word)?;
        clock::pause(self.arguments.settling());
        let after = processes::memory(&proxy.processes()?);
        drop(clients.stdin.take());
        if word.trim() != READY || !clients.wait()?.success() {
            return Err("the sessions were not held".into());
        }
        let grown = after?.saturating_sub(before) as f64;
        let each = grown / self.arguments.idle_sessions()? as f64;
        Ok(Sample::from([(Metric::SessionBytes, each)]))
    }

    fn spawn(
        &self,
        proxy: &Proxy,
        workload: &Workload,
        load: Load,
    ) -> Result<(Child, impl Read + use<>), Failure> {
        let stretch = match load {
            Load::Messages { size: HUGE.., .. } => HUGE_WINDOWS,
            _ => 1,
        };
        let job = Job {
            address: proxy.address(workload.over_tls),
            certificate: proxy.certificate(workload.over_tls).map(<[u8]>::to_vec),
            load,
            sessions: match (load, workload.load) {
                (Load::Handshakes, _) if workload.over_tls => CLIENTS_OVER_TLS,
                (Load::Handshakes, _) => CLIENTS,
                (Load::Idle, _) => self.arguments.idle_sessions()?,
                (Load::Messages { .. }, Load::Idle) => WARM_UP_SESSIONS,
                (Load::Messages { .. }, _) => self.arguments.sessions,
            },
            warm_up: stretch * self.arguments.warm_up(),
            window: stretch * self.arguments.window(),
            watched: proxy.processes()?,
        };
        let job = serde_json::to_string(&job)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--load", &job])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = pinned(self.arguments.load_core, || Ok(command.spawn()?))?;
        let said = child.stdout.take().ok_or("no standard output")?;
        Ok((child, said))
    }
}

/// Whose turn it is: someone else begins each time, and every other round goes backwards, so that each
/// follows each.
fn order(round: usize, workload: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.rotate_left((round + workload) % count);
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// For whoever watches.
fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        complain(line);
    }
}

#[expect(clippy::print_stderr, reason = "for whoever waits")]
fn complain(line: &str) {
    eprintln!("{line}");
}

impl Arguments {
    pub(crate) fn warm_up(&self) -> Duration {
        self.window() / 3
    }

    fn settling(&self) -> Duration {
        2 * self.window()
    }

    /// Memory hardly differs between rounds, and takes long.
    fn idle_rounds(&self) -> usize {
        self.rounds().div_ceil(5)
    }
}
