//! What the system lets this process use: open files and cores.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::num::NonZero;
use std::thread;

/// How many files, sockets among them, the process may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// What holds now; `u64::MAX` without a limit.
    pub soft: u64,
    /// Up to where the process itself may raise it; `u64::MAX` without a limit.
    pub hard: u64,
}

/// Raises the soft limit of open files to the hard one.
pub fn raise_open_files() -> io::Result<OpenFiles> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    let limit = getrlimit(Resource::Nofile);
    Ok(OpenFiles {
        soft: limit.current.unwrap_or(u64::MAX),
        hard: limit.maximum.unwrap_or(u64::MAX),
    })
}

/// Cores that this process can keep busy: its affinity mask and its cgroup's CPU quota (v1 and v2,
/// rounded down, at least one), both of which the standard library reads.
pub fn usable_cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        let files = raise_open_files().unwrap();
        assert_eq!(files.soft, files.hard);
    }

    #[test]
    fn no_more_cores_are_used_than_the_affinity_mask_has() {
        let mask = rustix::thread::sched_getaffinity(None).unwrap();
        let cores = usable_cores();
        assert!((1..=mask.count() as usize).contains(&cores), "{cores}");
    }
}
