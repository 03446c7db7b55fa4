//! One session that sends messages and counts what comes back.
//!
//! Frames are made once. The first messages of each session are compared byte for byte with what was
//! sent, all others are counted by their length.

use super::link::{Link, MASK};
use crate::rig::Failure;
use crate::rig::message::{Kind, message};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Instant;

/// So many messages of each session are compared.
const COMPARED: usize = 64;
pub(super) const ROOM: usize = 256 << 10;
pub(super) const AT_ONCE: usize = 256;

/// Whoever lets all sessions wait for this long is broken.
const PATIENCE: Timespec = Timespec {
    tv_sec: 20,
    tv_nsec: 0,
};

/// Waits until something has happened on a session; nothing may come of it but a signal.
pub(super) fn wait_for_some(
    epoll: &OwnedFd,
    events: &mut Vec<epoll::Event>,
) -> Result<(), Failure> {
    match epoll::wait(epoll, spare_capacity(events), Some(&PATIENCE)) {
        Err(Errno::INTR) => Ok(()),
        Ok(0) => Err("all sessions stand still".into()),
        Ok(_) => Ok(()),
        Err(cause) => Err(cause.into()),
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
        let frame = message(kind, size, Some(MASK));
        Self {
            sent: frame.repeat(in_flight),
            frame_len: frame.len(),
            echo: message(kind, size, None),
        }
    }
}

/// What came back.
#[derive(Default)]
pub(super) struct Seen {
    /// Of large messages hardly any may be whole within a window.
    pub(super) bytes: usize,
    /// Of whole messages, in nanoseconds.
    pub(super) latencies: Vec<u64>,
}

impl Seen {
    pub(super) fn forget(&mut self) {
        self.bytes = 0;
        self.latencies.clear();
    }
}

pub(super) struct Talk {
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

impl Talk {
    /// Its events come to `epoll` under its number.
    pub(super) fn begin(link: Link, epoll: &OwnedFd, number: usize) -> Result<Self, Failure> {
        link.stop_waiting()?;
        let data = EventData::new_u64(number as u64);
        epoll::add(epoll, &link, data, EventFlags::IN)?;
        Ok(Self {
            link,
            unsent: 0,
            due: VecDeque::new(),
            come: 0,
            compared: 0,
            was_full: false,
        })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.due.len()
    }

    /// So many messages are due since then.
    pub(super) fn owe(
        &mut self,
        count: usize,
        since: Instant,
        frames: &Frames,
    ) -> Result<(), Failure> {
        self.due.extend(std::iter::repeat_n(since, count));
        self.unsent += count * frames.frame_len;
        if self.unsent > frames.sent.len() {
            return Err("a session does not come to send what is due".into());
        }
        self.send(frames)
    }

    fn send(&mut self, frames: &Frames) -> Result<(), Failure> {
        let from = frames.sent.len() - self.unsent;
        self.unsent -= self.link.send(&frames.sent[from..])?;
        Ok(())
    }

    /// How many messages have come back now.
    pub(super) fn turn(
        &mut self,
        frames: &Frames,
        room: &mut [u8],
        seen: &mut Seen,
    ) -> Result<usize, Failure> {
        if self.was_full {
            self.send(frames)?;
        }
        let mut all = 0;
        loop {
            let count = match self.link.read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(all),
                Ok(0) => return Err("a session was ended".into()),
                read => read?,
            };
            seen.bytes += count;
            let whole = self.receive(&room[..count], &frames.echo)?;
            for due in self.due.drain(..whole) {
                seen.latencies.push(due.elapsed().as_nanos() as u64);
            }
            all += whole;
            if count < room.len() {
                return Ok(all);
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

    /// Asks to be told when there is room, where there is none.
    pub(super) fn watch(&mut self, epoll: &OwnedFd, number: usize) -> Result<(), Failure> {
        let is_full = self.unsent > 0 || self.link.holds_back();
        if is_full == self.was_full {
            return Ok(());
        }
        self.was_full = is_full;
        let wanted = if is_full {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        let data = EventData::new_u64(number as u64);
        Ok(epoll::modify(epoll, &self.link, data, wanted)?)
    }
}
