//! What the process takes of the machine at one moment, as Linux tells it in `/proc`.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Duration;

/// What the process takes of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in RAM.
    pub resident: u64,
    /// Bytes of address space.
    pub virtual_size: u64,
    /// Open files, sockets among them.
    pub open_files: u64,
    /// The most of them; `None` without a limit.
    pub open_files_limit: Option<u64>,
    /// Processor time used so far.
    pub cpu: Duration,
}

impl Usage {
    /// Of this process, now; `None` where there is no `/proc`.
    pub fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Some(Self {
            resident: kibibytes(&status, "VmRSS:")?,
            virtual_size: kibibytes(&status, "VmSize:")?,
            open_files: open_files()?,
            open_files_limit: getrlimit(Resource::Nofile).current,
            cpu: Duration::try_from(cpu).unwrap_or_default(),
        })
    }
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// Since Linux 6.2 the size of the folder is their number; before that it is 0, and they are counted.
fn open_files() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        // One less: that with which they are read.
        0 => Some((fs::read_dir(FOLDER).ok()?.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn what_the_process_takes_is_told() {
        let before = Usage::now().unwrap();
        let files: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = Usage::now().unwrap();
        assert!(before.resident > 100_000 && before.virtual_size >= before.resident);
        assert!(before.open_files >= 3, "{before:?}");
        // Other tests of this process open and close theirs meanwhile.
        assert!(after.open_files >= files.len() as u64, "{after:?}");
        assert!(after.cpu >= before.cpu, "{before:?} {after:?}");
    }

    #[test]
    fn a_field_is_read_in_bytes() {
        let status = "Name:\twsgate\nVmSize:\t  2048 kB\nVmRSS:\t      12 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(12 * 1024));
        assert_eq!(kibibytes(status, "VmSize:"), Some(2 * 1024 * 1024));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }
}
