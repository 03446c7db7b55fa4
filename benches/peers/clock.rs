//! Time as the benchmark's own threads see it: nobody waits for them, and no test stops their clock.

use std::time::{Duration, Instant};

#[expect(
    clippy::disallowed_methods,
    reason = "real time is what is measured here"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "no worker of a runtime is here")]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}
