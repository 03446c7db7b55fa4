//! Clients that connect, shake hands, say Close and come again: a few threads, each for one at a time.

use super::Job;
use super::link::Door;
use super::window::Window;
use crate::clock::{now, pause};
use crate::metric::Sample;
use crate::rig::Failure;
use crate::workload::Load;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

/// What the clients are told.
const WARM_UP: u8 = 0;
const COUNT: u8 = 1;
const STOP: u8 = 2;

pub(super) fn measure(job: &Job, door: &Door) -> Result<Sample, Failure> {
    let phase = AtomicU8::new(WARM_UP);
    let resumed = matches!(job.load, Load::Handshakes { resumed: true });
    if resumed {
        // Each client then has the ticket of an earlier handshake.
        for _ in 0..job.sessions {
            door.open("/")?.close()?;
        }
    }
    thread::scope(|scope| {
        let clients: Vec<_> = (0..job.sessions)
            .map(|_| scope.spawn(|| come_again(door, resumed, &phase)))
            .collect();
        pause(job.warm_up);
        let window = Window::open(job);
        phase.store(COUNT, Ordering::Relaxed);
        pause(job.window);
        phase.store(STOP, Ordering::Relaxed);
        let mut latencies = Vec::new();
        for client in clients {
            latencies.extend(client.join().map_err(|_| "a client panicked")??);
        }
        window?.close(job, latencies.len() as f64, latencies)
    })
}

/// How long each took up to the 101, in nanoseconds, of those that ended while they counted; the last
/// one of each client is part of what the proxy did and counts too.
fn come_again(door: &Door, resumed: bool, phase: &AtomicU8) -> Result<Vec<u64>, Failure> {
    let mut latencies = Vec::with_capacity(1 << 16);
    loop {
        let began = now();
        let link = door.open("/")?;
        let took = began.elapsed();
        let is_as_wanted = link.is_resumed() == resumed;
        link.close()?;
        let now = phase.load(Ordering::Relaxed);
        if now != WARM_UP {
            if !is_as_wanted {
                return Err("a TLS session was not resumed".into());
            }
            latencies.push(took.as_nanos() as u64);
        }
        if now == STOP {
            return Ok(latencies);
        }
    }
}
