//! Processes: on which core they run, which belong together, what they use.

use crate::rig::{Failure, header, usage};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Does `start` on some cores; what it starts stays there.
pub(crate) fn pinned<T>(
    cores: &[usize],
    start: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let before = sched_getaffinity(None)?;
    let mut only = CpuSet::new();
    cores.iter().for_each(|core| only.set(*core));
    sched_setaffinity(None, &only).map_err(|error| format!("cores {cores:?}: {error}"))?;
    let started = start();
    sched_setaffinity(None, &before)?;
    started
}

/// This program once more, with what time of its core others leave (`SCHED_IDLE`): what it does delays
/// nobody else there.
pub(crate) fn aside() -> Result<Command, Failure> {
    let mut command = Command::new("chrt");
    command.args(["-i", "0"]).arg(std::env::current_exe()?);
    Ok(command)
}

/// A process and all below it, as they are now.
pub(crate) fn tree(root: u32) -> Result<Vec<u32>, Failure> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(parent) = parent(pid) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&above) = found.get(next) {
        let below = parents.iter().filter(|(_, parent)| *parent == above);
        found.extend(below.map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

/// `None` for a process that has ended.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(1)?.parse().ok()
}

pub(crate) fn cpu(pids: &[u32]) -> Result<Duration, Failure> {
    pids.iter().map(|pid| usage::cpu(*pid)).sum()
}

/// Resident bytes of all of them; what they share counts once.
pub(crate) fn memory(pids: &[u32]) -> Result<u64, Failure> {
    pids.iter().map(|pid| usage::memory(*pid)).sum()
}

/// The most that all of them had resident since [`forget_peaks`].
pub(crate) fn peak(pids: &[u32]) -> Result<u64, Failure> {
    pids.iter().map(|pid| peak_of(*pid)).sum()
}

/// From now on peaks are counted; what is resident now.
pub(crate) fn forget_peaks(pids: &[u32]) -> Result<u64, Failure> {
    for pid in pids {
        // proc(5): resets the peak resident set size.
        fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    }
    peak(pids)
}

fn peak_of(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = header(&status, "VmHWM").ok_or("no VmHWM in status")?;
    let kib: u64 = peak.trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}
