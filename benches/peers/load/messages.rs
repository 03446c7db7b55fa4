//! Sessions that send a message for each that comes back.
//!
//! One thread and one epoll; frames are made once. The first messages of each session are compared byte
//! for byte with what was sent, all others are counted by their length.

use super::link::{Door, Link, MASK};
use super::{Job, Window};
use crate::clock::now;
use crate::metric::Sample;
use crate::rig::Failure;
use crate::workload::{Kind, Load};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use wsgate::frame::{Header, Opcode, mask};

/// So many messages of each session are compared.
const COMPARED: usize = 64;
const ROOM: usize = 256 << 10;
const AT_ONCE: usize = 256;
/// Whoever lets all sessions wait for this long is broken.
const PATIENCE: Timespec = Timespec {
    tv_sec: 20,
    tv_nsec: 0,
};

pub(super) fn measure(job: &Job, door: &Door) -> Result<Sample, Failure> {
    let mut talks = Talks::open(job, door)?;
    talks.run(job.warm_up)?;
    talks.seen.forget();
    let window = Window::open(job)?;
    talks.run(job.window)?;
    let count = talks.seen.bytes as f64 / talks.frames.echo.len() as f64;
    window.close(job, count, talks.seen.latencies)
}

/// What came back.
struct Seen {
    /// Of large messages hardly any may be whole within a window.
    bytes: usize,
    /// Of whole messages, in nanoseconds.
    latencies: Vec<u64>,
}

impl Seen {
    fn forget(&mut self) {
        self.bytes = 0;
        self.latencies.clear();
    }
}

/// What is sent, and what comes back.
pub(super) struct Frames {
    /// As many masked frames as may be in flight.
    pub(super) sent: Vec<u8>,
    frame_len: usize,
    /// One bare frame.
    pub(super) echo: Vec<u8>,
}

impl Frames {
    pub(super) fn new(kind: Kind, size: usize, in_flight: usize) -> Self {
        let mut payload = payload(kind, size);
        let bare = Header {
            fin: true,
            rsv1: false,
            opcode: match kind {
                Kind::Binary => Opcode::Binary,
                Kind::Text => Opcode::Text,
            },
            mask: None,
            payload_len: size as u64,
            header_len: 0,
        };
        let masked = Header {
            mask: Some(MASK),
            ..bare
        };
        let echo = [&*bare.encode(), &payload].concat();
        mask::apply(&mut payload, MASK);
        let frame = [&*masked.encode(), &payload].concat();
        Self {
            sent: frame.repeat(in_flight),
            frame_len: frame.len(),
            echo,
        }
    }
}

fn payload(kind: Kind, size: usize) -> Vec<u8> {
    match kind {
        Kind::Binary => (0..size).map(|at| (at * 31) as u8).collect(),
        Kind::Text => {
            let words = "héllo € 😀 ".repeat(1 + size / 16);
            let mut text = words[..words.floor_char_boundary(size)].to_owned();
            text.extend(std::iter::repeat_n('.', size - text.len()));
            text.into_bytes()
        }
    }
}

struct Talks {
    epoll: OwnedFd,
    talks: Vec<Talk>,
    frames: Frames,
    /// Of all sessions, one at a time.
    room: Vec<u8>,
    seen: Seen,
}

struct Talk {
    link: Link,
    /// Bytes that were due and could not be sent. Frames are all the same, so they are the last ones
    /// of what may be in flight.
    unsent: usize,
    /// When each message in flight was due.
    due: VecDeque<Instant>,
    /// How much of the next message has come back.
    come: usize,
    compared: usize,
    was_full: bool,
}

impl Talks {
    fn open(job: &Job, door: &Door) -> Result<Self, Failure> {
        let Load::Messages {
            kind,
            size,
            in_flight,
        } = job.load
        else {
            return Err("no messages to send".into());
        };
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut talks = Vec::with_capacity(job.sessions);
        for number in 0..job.sessions {
            let link = door.open()?;
            link.stop_waiting()?;
            let data = EventData::new_u64(number as u64);
            epoll::add(&epoll, &link, data, EventFlags::IN)?;
            talks.push(Talk::new(link));
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
        for number in 0..job.sessions {
            talks.talks[number].owe(in_flight, &talks.frames)?;
            talks.watch(number)?;
        }
        Ok(talks)
    }

    fn run(&mut self, length: Duration) -> Result<(), Failure> {
        let end = now() + length;
        let mut events = Vec::with_capacity(AT_ONCE);
        while now() < end {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&PATIENCE)) {
                Err(Errno::INTR) => continue,
                Ok(0) => return Err("no answer on any session".into()),
                waited => drop(waited?),
            }
            for event in events.drain(..) {
                let number = usize::try_from(event.data.u64())?;
                self.talks[number].turn(&self.frames, &mut self.room, &mut self.seen)?;
                self.watch(number)?;
            }
        }
        Ok(())
    }

    /// Asks to be told when there is room, where there is none.
    fn watch(&mut self, number: usize) -> Result<(), Failure> {
        let talk = &mut self.talks[number];
        let is_full = talk.unsent > 0 || talk.link.holds_back();
        if is_full == talk.was_full {
            return Ok(());
        }
        talk.was_full = is_full;
        let wanted = if is_full {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        let data = EventData::new_u64(number as u64);
        Ok(epoll::modify(&self.epoll, &talk.link, data, wanted)?)
    }
}

impl Talk {
    fn new(link: Link) -> Self {
        Self {
            link,
            unsent: 0,
            due: VecDeque::new(),
            come: 0,
            compared: 0,
            was_full: false,
        }
    }

    /// So many messages are due now.
    fn owe(&mut self, count: usize, frames: &Frames) -> Result<(), Failure> {
        self.due.extend(std::iter::repeat_n(now(), count));
        self.unsent += count * frames.frame_len;
        self.send(frames)
    }

    fn send(&mut self, frames: &Frames) -> Result<(), Failure> {
        let from = frames.sent.len() - self.unsent;
        self.unsent -= self.link.send(&frames.sent[from..])?;
        Ok(())
    }

    fn turn(&mut self, frames: &Frames, room: &mut [u8], seen: &mut Seen) -> Result<(), Failure> {
        if self.was_full {
            self.send(frames)?;
        }
        loop {
            let count = match self.link.read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Ok(0) => return Err("a session was ended".into()),
                read => read?,
            };
            seen.bytes += count;
            let whole = self.receive(&room[..count], &frames.echo)?;
            for due in self.due.drain(..whole) {
                seen.latencies.push(due.elapsed().as_nanos() as u64);
            }
            if whole > 0 {
                self.owe(whole, frames)?;
            }
            if count < room.len() {
                return Ok(());
            }
        }
    }

    /// How many messages are whole by these bytes.
    fn receive(&mut self, mut bytes: &[u8], echo: &[u8]) -> Result<usize, Failure> {
        let mut whole = 0;
        while !bytes.is_empty() {
            let count = bytes.len().min(echo.len() - self.come);
            let expected = &echo[self.come..][..count];
            if self.compared < COMPARED && bytes[..count] != *expected {
                return Err("a message came back changed".into());
            }
            bytes = &bytes[count..];
            self.come += count;
            if self.come == echo.len() {
                self.come = 0;
                self.compared += 1;
                whole += 1;
            }
        }
        if whole > self.due.len() {
            return Err("more came back than was sent".into());
        }
        Ok(whole)
    }
}
