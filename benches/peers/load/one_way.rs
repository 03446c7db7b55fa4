//! Sessions that send, or are sent, as much as there is room for: each message passes the proxy once.
//!
//! What comes to a client is compared as far as it is the first, then counted. What goes to the server
//! is counted there, when it comes: the server is asked, past the proxy.

use super::Job;
use super::link::{Door, Link, MASK};
use super::talk::{AT_ONCE, ROOM, wait_for_some};
use super::window::Window;
use crate::clock::now;
use crate::metric::Sample;
use crate::rig::Failure;
use crate::rig::flow::{Flow, Stream};
use crate::rig::message::message;
use crate::rig::server::{DISCARD, TALLY};
use crate::workload::{Kind, Way};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use std::io::ErrorKind;
use std::time::Duration;

/// So many bytes of each session are compared.
const COMPARED: usize = 1 << 20;

pub(super) fn measure(
    job: &Job,
    door: &Door,
    kind: Kind,
    size: usize,
    way: Way,
) -> Result<Sample, Failure> {
    let mut pipes = Pipes::open(job, door, Flow::Messages(kind, size), way)?;
    let mut tally = Tally::open(job)?;
    pipes.run(job.warm_up)?;
    let mut come = |pipes: &Pipes| match way {
        Way::ToServer => tally.ask(),
        Way::ToClient => Ok(pipes.come),
    };
    let before = come(&pipes)?;
    let window = Window::open(job)?;
    pipes.run(job.window)?;
    let bytes = come(&pipes)?.saturating_sub(before);
    let key = (way == Way::ToServer).then_some(MASK);
    let count = bytes as f64 / message(kind, size, key).len() as f64;
    window.close(job, count, Vec::new())
}

struct Pipes {
    epoll: OwnedFd,
    pipes: Vec<Pipe>,
    way: Way,
    room: Vec<u8>,
    /// To the clients.
    come: u64,
}

struct Pipe {
    link: Link,
    /// What is sent, or expected.
    stream: Stream,
    compared: usize,
}

impl Pipes {
    fn open(job: &Job, door: &Door, flow: Flow, way: Way) -> Result<Self, Failure> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (path, key, wanted) = match way {
            Way::ToServer => (format!("/{DISCARD}"), Some(MASK), EventFlags::OUT),
            Way::ToClient => (format!("/{flow}"), None, EventFlags::IN),
        };
        let mut pipes = Vec::with_capacity(job.sessions);
        for number in 0..job.sessions {
            let mut link = door.open(&path)?;
            if way == Way::ToClient {
                link.send_all(&message(Kind::Binary, 0, Some(MASK)))?;
            }
            link.stop_waiting()?;
            epoll::add(&epoll, &link, EventData::new_u64(number as u64), wanted)?;
            pipes.push(Pipe {
                link,
                stream: Stream::new(flow, key),
                compared: 0,
            });
        }
        Ok(Self {
            epoll,
            pipes,
            way,
            room: vec![0; ROOM],
            come: 0,
        })
    }

    fn run(&mut self, length: Duration) -> Result<(), Failure> {
        let end = now() + length;
        let mut events = Vec::with_capacity(AT_ONCE);
        while now() < end {
            wait_for_some(&self.epoll, &mut events)?;
            for event in events.drain(..) {
                let pipe = &mut self.pipes[usize::try_from(event.data.u64())?];
                match self.way {
                    Way::ToServer => pipe.send()?,
                    Way::ToClient => self.come += pipe.receive(&mut self.room)?,
                }
            }
        }
        Ok(())
    }
}

impl Pipe {
    fn send(&mut self) -> Result<(), Failure> {
        let link = &mut self.link;
        self.stream.send(|bytes| link.send(bytes))?;
        Ok(())
    }

    /// How much has come.
    fn receive(&mut self, room: &mut [u8]) -> Result<u64, Failure> {
        let count = match self.link.read(room) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Ok(0) => return Err("a session was ended".into()),
            read => read?,
        };
        let mut bytes = &room[..count];
        while self.compared < COMPARED && !bytes.is_empty() {
            let expected = self.stream.next();
            let part = bytes.len().min(expected.len());
            if bytes[..part] != expected[..part] {
                return Err("a message came changed".into());
            }
            self.stream.pass(part);
            self.compared += part;
            bytes = &bytes[part..];
        }
        Ok(count as u64)
    }
}

/// Asks the server itself what it has discarded.
struct Tally(Link);

impl Tally {
    fn open(job: &Job) -> Result<Self, Failure> {
        let door = Door::new(job.server_address, None, false)?;
        Ok(Self(door.open(&format!("/{TALLY}"))?))
    }

    fn ask(&mut self) -> Result<u64, Failure> {
        self.0.send_all(&message(Kind::Binary, 0, Some(MASK)))?;
        let mut answer = [0; 10];
        self.0.read_all(&mut answer)?;
        let (_, bytes) = answer.split_last_chunk::<8>().ok_or("a short answer")?;
        Ok(u64::from_be_bytes(*bytes))
    }
}
