//! Sessions that send a message for each that comes back: one thread and one epoll.

use super::Job;
use super::link::Door;
use super::talk::{AT_ONCE, Frames, ROOM, Seen, Talk, wait_for_some};
use super::window::Window;
use crate::clock::now;
use crate::metric::Sample;
use crate::rig::Failure;
use crate::workload::{Kind, Load};
use rustix::event::epoll::{self, CreateFlags};
use rustix::fd::OwnedFd;
use std::time::Duration;

/// Of many sessions one in so many talks.
const QUIET: usize = 100;
/// What those send.
const SIZE: usize = 125;

pub(super) fn measure(job: &Job, door: &Door) -> Result<Sample, Failure> {
    let mut talks = Talks::open(job, door)?;
    talks.run(job.warm_up)?;
    talks.seen.forget();
    let window = Window::open(job)?;
    talks.run(job.window)?;
    let count = talks.seen.bytes as f64 / talks.frames.echo.len() as f64;
    window.close(job, count, talks.seen.latencies)
}

struct Talks {
    epoll: OwnedFd,
    talks: Vec<Talk>,
    frames: Frames,
    /// Of all sessions, one at a time.
    room: Vec<u8>,
    seen: Seen,
}

impl Talks {
    fn open(job: &Job, door: &Door) -> Result<Self, Failure> {
        let (kind, size, in_flight, sessions) = match job.load {
            Load::Messages {
                kind,
                size,
                in_flight,
            } => (kind, size, in_flight, job.sessions),
            Load::Many { sessions } => (Kind::Binary, SIZE, 1, sessions.max(job.sessions)),
            _ => return Err("no messages to send".into()),
        };
        let talking = job.sessions.max(sessions / QUIET);
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut talks = Vec::with_capacity(sessions);
        for number in 0..sessions {
            talks.push(Talk::begin(door.open("/")?, &epoll, number)?);
        }
        let mut talks = Self {
            epoll,
            talks,
            frames: Frames::new(kind, size, in_flight),
            room: vec![0; ROOM],
            seen: Seen {
                bytes: 0,
                latencies: Vec::with_capacity(1 << 20),
            },
        };
        // Spread over all, by when they came.
        for nth in 0..talking {
            talks.owe(nth * sessions / talking, in_flight)?;
        }
        Ok(talks)
    }

    fn owe(&mut self, number: usize, count: usize) -> Result<(), Failure> {
        let talk = &mut self.talks[number];
        talk.owe(count, now(), &self.frames)?;
        talk.watch(&self.epoll, number)
    }

    fn run(&mut self, length: Duration) -> Result<(), Failure> {
        let end = now() + length;
        let mut events = Vec::with_capacity(AT_ONCE);
        while now() < end {
            wait_for_some(&self.epoll, &mut events)?;
            for event in events.drain(..) {
                let number = usize::try_from(event.data.u64())?;
                let talk = &mut self.talks[number];
                let whole = talk.turn(&self.frames, &mut self.room, &mut self.seen)?;
                self.owe(number, whole)?;
            }
        }
        Ok(())
    }
}
