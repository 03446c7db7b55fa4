//! Quiet sessions, each with a message a second; alone, and then beside a hostile one.
//!
//! Messages are due at even distances, all sessions in turn, and it counts from when a message was due: who
//! is kept waiting sends no less. Each message comes back, or the measurement fails.

use super::hostile::Deeds;
use super::link::Door;
use super::talk::{AT_ONCE, Frames, ROOM, Seen, Talk};
use super::window::{Window, spread};
use super::{Job, READY};
use crate::clock::now;
use crate::metric::{Metric, Sample};
use crate::processes::{self, aside};
use crate::rig::Failure;
use crate::workload::Kind;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;
use std::io::{BufRead, BufReader, Read};
use std::num::NonZero;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

const SIZE: usize = 125;
/// Of each session.
const BETWEEN_MESSAGES: Duration = Duration::from_secs(1);
/// What a session may wait for at once; who waits for more has lost something.
const IN_FLIGHT: usize = 30;
/// The last answers of a window may take so long.
const PATIENCE: Duration = Duration::from_secs(20);
const NO_TIME: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

pub(super) fn measure(job: &Job, door: &Door) -> Result<Sample, Failure> {
    set_current_timer_slack(NonZero::new(1))?;
    let mut quiet = Quiet::open(job, door)?;
    quiet.run(job.warm_up)?;
    let (alone, alone_share) = quiet.measure(job)?;
    let alone = Sample::from([
        (Metric::AloneP50Us, alone[&Metric::P50Us]),
        (Metric::AloneP99Us, alone[&Metric::P99Us]),
        (Metric::AloneMaxUs, alone[&Metric::MaxUs]),
        (Metric::AloneCpuShare, alone_share),
    ]);
    let before = processes::forget_peaks(&job.watched)?;
    let hostile = Neighbour::start(job)?;
    quiet.run(job.warm_up)?;
    let (mut sample, share) = quiet.measure(job)?;
    let deeds = hostile.stop()?;
    let grown = processes::peak(&job.watched)?.saturating_sub(before);
    sample.extend(alone);
    sample.extend([
        (Metric::CpuShare, share),
        (Metric::GrownBytes, grown as f64),
        (
            Metric::HostileBytesPerSecond,
            deeds.bytes as f64 / deeds.took.as_secs_f64(),
        ),
        (Metric::HostileEnded, deeds.ended as f64),
    ]);
    Ok(sample)
}

struct Quiet {
    epoll: OwnedFd,
    talks: Vec<Talk>,
    frames: Frames,
    room: Vec<u8>,
    seen: Seen,
    /// Whose turn it is.
    next: usize,
}

impl Quiet {
    fn open(job: &Job, door: &Door) -> Result<Self, Failure> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let talks = (0..job.sessions)
            .map(|number| Talk::begin(door.open("/")?, &epoll, number))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            epoll,
            talks,
            frames: Frames::new(Kind::Binary, SIZE, IN_FLIGHT),
            room: vec![0; ROOM],
            seen: Seen::default(),
            next: 0,
        })
    }

    /// A window: latencies, and the proxy's share of its core.
    fn measure(&mut self, job: &Job) -> Result<(Sample, f64), Failure> {
        self.seen.forget();
        let window = Window::open(job)?;
        self.run(job.window)?;
        let share = window.share(job)?;
        self.wait_for_all()?;
        let latencies = std::mem::take(&mut self.seen.latencies);
        if latencies.is_empty() {
            return Err("no message was due within the window".into());
        }
        Ok((spread(latencies), share))
    }

    fn run(&mut self, length: Duration) -> Result<(), Failure> {
        let distance = BETWEEN_MESSAGES / u32::try_from(self.talks.len())?;
        let mut due = now();
        let end = due + length;
        while due < end {
            if due <= now() {
                self.send(due)?;
                due += distance;
            } else {
                self.answers(due)?;
            }
        }
        Ok(())
    }

    /// One message, in the name of whoever's turn it is.
    fn send(&mut self, due: Instant) -> Result<(), Failure> {
        let number = self.next;
        self.next = (number + 1) % self.talks.len();
        let talk = &mut self.talks[number];
        talk.owe(1, due, &self.frames)?;
        talk.watch(&self.epoll, number)
    }

    /// Takes what comes until then, at least once.
    fn answers(&mut self, until: Instant) -> Result<(), Failure> {
        let left = until.saturating_duration_since(now());
        // epoll itself knows only milliseconds everywhere.
        let mut ready = [PollFd::new(&self.epoll, PollFlags::IN)];
        match poll(&mut ready, Some(&Timespec::try_from(left)?)) {
            Err(Errno::INTR) | Ok(0) => return Ok(()),
            waited => drop(waited?),
        }
        let mut events = Vec::with_capacity(AT_ONCE);
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&NO_TIME))?;
        for event in events {
            let number = usize::try_from(event.data.u64())?;
            let talk = &mut self.talks[number];
            talk.turn(&self.frames, &mut self.room, &mut self.seen)?;
            talk.watch(&self.epoll, number)?;
        }
        Ok(())
    }

    fn wait_for_all(&mut self) -> Result<(), Failure> {
        let end = now() + PATIENCE;
        loop {
            let missing: usize = self.talks.iter().map(Talk::in_flight).sum();
            match missing {
                0 => return Ok(()),
                _ if now() < end => self.answers(end)?,
                _ => return Err(format!("{missing} messages were lost").into()),
            }
        }
    }
}

/// The hostile session.
struct Neighbour {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Neighbour {
    /// Begins, and waits until it is in.
    fn start(job: &Job) -> Result<Self, Failure> {
        let job = Job {
            is_hostile: true,
            ..job.clone()
        };
        let mut child = aside()?
            .args(["--load", &serde_json::to_string(&job)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut word = String::new();
        said.read_line(&mut word)?;
        if word.trim() == READY {
            Ok(Self { child, said })
        } else {
            child.wait()?;
            Err("the hostile session did not come in".into())
        }
    }

    fn stop(mut self) -> Result<Deeds, Failure> {
        drop(self.child.stdin.take());
        let mut deeds = String::new();
        self.said.read_to_string(&mut deeds)?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("the hostile session ended with {status}").into());
        }
        Ok(serde_json::from_str(&deeds)?)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // Its end may have been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
