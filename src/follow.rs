//! Files that are named in the configuration and change while the gateway runs.
//!
//! Certificates, keys and password files are followed by looking at them, not by inotify: a
//! mounted Kubernetes secret changes by a swapped symlink in a parent folder, network file systems
//! send no events, and a look every other second costs nothing.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Watches a set of files for a change of any.
#[derive(Debug)]
pub struct Follower {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
}

/// What changes when a file does: its place on disk, its size, its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Follower {
    /// Starts from the files as they are now. Create it *before* the first read of the files, so
    /// that a change in between is seen.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let seen = stamps(&paths);
        Self { paths, seen }
    }

    /// Ends when any of the files is no longer what it was. A file that is missing for a moment,
    /// as during a rename, counts once it is back. Cancel-safe.
    pub async fn changed(&mut self) {
        let mut ticks = interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.look() {
                return;
            }
        }
    }

    /// Whether all are there and any is not what it was; then what is there now is what it was.
    fn look(&mut self) -> bool {
        let now = stamps(&self.paths);
        let is_news = now.iter().all(Option::is_some) && now != self.seen;
        if is_news {
            self.seen = now;
        }
        is_news
    }
}

impl From<Metadata> for Stamp {
    fn from(data: Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        }
    }
}

/// One `stat` a file: short enough to be done where the follower runs.
fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths
        .iter()
        .map(|path| std::fs::metadata(path).ok().map(Stamp::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_news_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "one").unwrap();
        let mut follower = Follower::new(vec![file.clone()]);
        assert!(!follower.look());

        std::fs::remove_file(&file).unwrap();
        assert!(!follower.look(), "a missing file is not yet a change");

        std::fs::write(&file, "three").unwrap();
        assert!(follower.look());
        assert!(!follower.look());
    }
}
