//! The machine, the day and the program that are measured.

use crate::Arguments;
use crate::results::Setting;
use crate::rig::{Failure, header};
use std::fs;
use std::process::Command;

pub(crate) fn look(arguments: &Arguments) -> Result<Setting, Failure> {
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let kib: u64 = header(&memory, "MemTotal")
        .and_then(|total| total.trim_end_matches(" kB").parse().ok())
        .ok_or("no MemTotal")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    Ok(Setting {
        date: said("date", &["+%Y-%m-%d %H:%M %Z"]),
        processor: header(&processor, "model name\t")
            .unwrap_or("unknown")
            .to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        memory: format!("{:.0} GiB", kib as f64 / f64::from(1 << 20)),
        kernel: said("uname", &["-sr"]),
        system: system.unwrap_or("unknown").trim_matches('"').to_owned(),
        load_average: load.join(", "),
        commit: said("git", &["describe", "--always", "--dirty"]),
        command: command(),
        rounds: arguments.rounds(),
        sessions: arguments.sessions,
        idle_sessions: arguments.idle_sessions()?,
        window_ms: u64::try_from(arguments.window().as_millis())?,
        proxy_core: arguments.proxy_core,
        load_core: arguments.load_core,
    })
}

/// What was typed, as far as it is known: cargo adds one argument of its own.
fn command() -> String {
    let arguments = std::env::args().skip(1);
    let arguments: Vec<String> = arguments.filter(|argument| argument != "--bench").collect();
    format!("cargo bench --bench peers -- {}", arguments.join(" "))
        .trim_end_matches(" -- ")
        .to_owned()
}

/// What a program says; the run does not fail where there is none.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match text {
        Ok(text) if !text.is_empty() => text,
        _ => "unknown".to_owned(),
    }
}
