//! What processes have used of the machine, by `/proc`.

use super::{Failure, header};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Of `/proc/PID/stat`; a constant of the kernel's interface.
const TICK: Duration = Duration::from_millis(10);

/// Time on a core of all threads that a process has, in its own code and in the kernel's.
pub(crate) fn cpu(pid: u32) -> Result<Duration, Failure> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        match of_task(&task) {
            Ok(used) => sum += used,
            Err(failure) if task.exists() => return Err(failure),
            Err(_) => {} // It has just ended.
        }
    }
    Ok(sum)
}

/// In nanoseconds where the kernel counts them, else in ticks.
fn of_task(task: &Path) -> Result<Duration, Failure> {
    if let Ok(schedstat) = fs::read_to_string(task.join("schedstat")) {
        let on_core = schedstat.split(' ').next().ok_or("an empty schedstat")?;
        return Ok(Duration::from_nanos(on_core.parse()?));
    }
    let stat = fs::read_to_string(task.join("stat"))?;
    let (_, behind_name) = stat.rsplit_once(')').ok_or("a strange stat")?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    // User and system time are fields 14 and 15 of proc(5).
    let ticks = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
    Ok(TICK * ticks)
}

/// Resident bytes of a process; of pages that it shares, its share.
pub(crate) fn memory(pid: u32) -> Result<u64, Failure> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let share = header(&rollup, "Pss").ok_or("no Pss in smaps_rollup")?;
    let kib: u64 = share.trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}
