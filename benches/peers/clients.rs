//! Starts clients for a measurement and takes what they tell.

use crate::field::Target;
use crate::load::{Job, READY};
use crate::metric::{Metric, Sample};
use crate::processes::{self, pinned};
use crate::rig::Failure;
use crate::workload::{Kind, Load, Workload};
use crate::{Arguments, clock};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// Handshakes are made by fewer clients than messages: each of theirs is a thread.
const CLIENTS: usize = 16;
const CLIENTS_OVER_TLS: usize = 4;
/// What goes one way fills all buffers on it: fewer sessions are enough.
const PIPES: usize = 16;
/// Before the memory of a fresh proxy is looked at.
const WARM_UP_SESSIONS: usize = 64;
/// Sessions beside a hostile one.
pub(crate) const QUIET: usize = 1000;
/// Messages from this size on have so many windows: few of them fit into one.
const HUGE: usize = 1 << 20;
pub(crate) const HUGE_WINDOWS: u32 = 4;
/// A window of quiet sessions is so many: of their slowest messages there are few.
pub(crate) const QUIET_WINDOWS: u32 = 3;

/// One measurement by a process of clients.
pub(crate) fn measure(
    arguments: &Arguments,
    target: Target<'_>,
    workload: &Workload,
) -> Result<Sample, Failure> {
    let (mut child, said) = spawn(arguments, target, workload, workload.load)?;
    let said = std::io::read_to_string(said);
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("the clients ended with {status}").into());
    }
    Ok(serde_json::from_str(&said?)?)
}

/// What a fresh proxy needs for each of many quiet sessions.
pub(crate) fn hold(
    arguments: &Arguments,
    target: Target<'_>,
    workload: &Workload,
) -> Result<Sample, Failure> {
    let warm_up = Workload {
        load: Load::Messages {
            kind: Kind::Binary,
            size: 125,
            in_flight: 1,
        },
        ..workload.clone()
    };
    measure(arguments, target, &warm_up)?;
    clock::pause(arguments.settling());
    let before = processes::memory(&target.processes()?)?;
    let (mut clients, said) = spawn(arguments, target, workload, Load::Idle)?;
    let mut word = String::new();
    BufReader::new(said).read_line(&mut word)?;
    clock::pause(arguments.settling());
    let after = processes::memory(&target.processes()?);
    drop(clients.stdin.take());
    if word.trim() != READY || !clients.wait()?.success() {
        return Err("the sessions were not held".into());
    }
    let grown = after?.saturating_sub(before) as f64;
    let each = grown / arguments.idle_sessions()? as f64;
    Ok(Sample::from([(Metric::SessionBytes, each)]))
}

fn spawn(
    arguments: &Arguments,
    target: Target<'_>,
    workload: &Workload,
    load: Load,
) -> Result<(Child, impl Read + use<>), Failure> {
    let over_tls = workload.over_tls;
    let stretch = match load {
        Load::Messages { size: HUGE.., .. } => HUGE_WINDOWS,
        Load::Beside(_) => QUIET_WINDOWS,
        _ => 1,
    };
    let certificate = target.proxy.and_then(|proxy| proxy.certificate(over_tls));
    let job = Job {
        address: target.address(over_tls),
        hostile_address: target.hostile_address(over_tls),
        server_address: target.server().address,
        certificate: certificate.map(<[u8]>::to_vec),
        load,
        sessions: match load {
            Load::Handshakes { .. } if over_tls => CLIENTS_OVER_TLS,
            Load::Handshakes { .. } => CLIENTS,
            Load::Idle => arguments.idle_sessions()?,
            Load::OneWay { .. } => PIPES,
            Load::Beside(_) => QUIET,
            Load::Messages { .. } if matches!(workload.load, Load::Idle) => WARM_UP_SESSIONS,
            Load::Messages { .. } | Load::Many { .. } => arguments.sessions,
        },
        warm_up: stretch * arguments.warm_up(),
        window: stretch * arguments.window(),
        watched: target.processes()?,
        server: target.server().child.id(),
        is_hostile: false,
    };
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--load", &serde_json::to_string(&job)?])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let cores = if target.is_loose {
        arguments.cores().to_vec()
    } else {
        vec![arguments.load_core]
    };
    let mut child = pinned(&cores, || Ok(command.spawn()?))?;
    let said = child.stdout.take().ok_or("no standard output")?;
    Ok((child, said))
}
