//! Ending gently: no new clients, a Close for each session, and a time by which all is over.

use super::Gateway;
use tokio::time::{sleep, timeout};
use tracing::info;

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Sessions that were live when it began.
    pub sessions: usize,
    /// Of those, how many had not ended in time and were cut.
    pub cut: usize,
}

impl Gateway {
    /// Says to probes that the end comes and serves on for `shutdown_delay`. Then stops accepting, answers handshakes that are under way with 503, closes every session with
    /// 1001 at a frame boundary, and waits for them within `drain_timeout`. What is left then is
    /// cut. Cancelling it (a second signal) cuts at once.
    pub async fn drain(mut self) -> Drained {
        self.gate.announce_end();
        if !self.shutdown_delay.is_zero() {
            info!(delay = ?self.shutdown_delay, "not ready any more, serving on");
            sleep(self.shutdown_delay).await;
        }
        self.accepting.shutdown().await;
        let sessions = self.gate.start_draining();
        info!(sessions, timeout = ?self.drain_timeout, "draining");
        let in_time = timeout(self.drain_timeout, self.gate.emptied())
            .await
            .is_ok();
        let cut = if in_time {
            0
        } else {
            self.gate.registry().len()
        };
        Drained { sessions, cut }
    }
}
