//! All sessions of the server, in turns: who is ready reads or writes once.

use super::part::Part;
use crate::rig::{Failure, header};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use wsgate::http::accept_key;

const ROOM: usize = 256 << 10;
const AT_ONCE: usize = 256;
/// The listener's; sessions count from zero.
const LISTENER: u64 = u64::MAX;

pub(super) struct Sessions {
    listener: TcpListener,
    epoll: OwnedFd,
    sessions: HashMap<u64, Session>,
    next: u64,
    /// Of all sessions, one at a time.
    room: Vec<u8>,
    answer: Vec<u8>,
    /// Bytes that were taken and led to nothing, in all sessions that ever were.
    discarded: u64,
}

impl Sessions {
    pub(super) fn new(listener: TcpListener) -> Result<Self, Failure> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, data, EventFlags::IN)?;
        Ok(Self {
            listener,
            epoll,
            sessions: HashMap::new(),
            next: 0,
            room: vec![0; ROOM],
            answer: Vec::with_capacity(2 * ROOM),
            discarded: 0,
        })
    }

    pub(super) fn run(&mut self) -> Result<(), Failure> {
        let mut events = Vec::with_capacity(AT_ONCE);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Err(Errno::INTR) => {}
                waited => drop(waited?),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    number => self.turn(number, event.flags)?,
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), Failure> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let session = Session::new(socket);
            let data = EventData::new_u64(self.next);
            epoll::add(&self.epoll, &session.socket, data, session.waits_for())?;
            self.sessions.insert(self.next, session);
            self.next += 1;
        }
    }

    /// An error is the end of that session, which the client sees and counts.
    fn turn(&mut self, number: u64, flags: EventFlags) -> Result<(), Failure> {
        let Some(session) = self.sessions.get_mut(&number) else {
            return Ok(());
        };
        let waited_for = session.waits_for();
        self.answer.clear();
        let goes_on = if waited_for.contains(EventFlags::RDHUP) && flags.intersects(GONE) {
            Ok(false)
        } else {
            session.turn(&mut self.room, &mut self.answer, &mut self.discarded)
        };
        if !matches!(goes_on, Ok(true)) {
            self.sessions.remove(&number);
            return Ok(());
        }
        let waits_for = session.waits_for();
        if waits_for != waited_for {
            let data = EventData::new_u64(number);
            epoll::modify(&self.epoll, &session.socket, data, waits_for)?;
        }
        Ok(())
    }
}

/// The other side is no more; told to those who don't read.
const GONE: EventFlags = EventFlags::RDHUP
    .union(EventFlags::HUP)
    .union(EventFlags::ERR);

struct Session {
    socket: TcpStream,
    stage: Stage,
    /// What the client has not taken yet.
    unsent: Vec<u8>,
}

enum Stage {
    /// The request, as far as it has come.
    Asked(Vec<u8>),
    Open(Part),
}

impl Session {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            stage: Stage::Asked(Vec::new()),
            unsent: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn waits_for(&self) -> EventFlags {
        match &self.stage {
            _ if self.is_full() => EventFlags::OUT,
            Stage::Open(Part::Deaf) => EventFlags::RDHUP,
            Stage::Open(Part::Send {
                has_begun: true, ..
            }) => EventFlags::OUT | EventFlags::RDHUP,
            _ => EventFlags::IN,
        }
    }

    /// Does what can be done; whether the session goes on.
    fn turn(
        &mut self,
        room: &mut [u8],
        answer: &mut Vec<u8>,
        discarded: &mut u64,
    ) -> Result<bool, Failure> {
        if self.is_full() {
            let unsent = std::mem::take(&mut self.unsent);
            self.send(&unsent)?;
            return Ok(self.is_full() || !self.is_over());
        }
        if let Stage::Open(Part::Send {
            stream,
            has_begun: true,
        }) = &mut self.stage
        {
            let socket = &mut self.socket;
            stream.send(|bytes| or_nothing(socket.write(bytes)))?;
            return Ok(true);
        }
        let count = match self.socket.read(room) {
            Ok(0) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            read => read?,
        };
        let bytes = &mut room[..count];
        match &mut self.stage {
            Stage::Asked(request) => {
                request.extend_from_slice(bytes);
                if request.ends_with(b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(request);
                    answer.extend_from_slice(&accept(&head)?);
                    self.stage = Stage::Open(Part::of(&head)?);
                }
            }
            Stage::Open(part) => part.take(bytes, answer, discarded)?,
        }
        self.send(answer)?;
        Ok(self.is_full() || !self.is_over())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = or_nothing(self.socket.write(bytes))?;
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Whether both sides have said Close: as a server should, this one hangs up first.
    fn is_over(&self) -> bool {
        matches!(&self.stage, Stage::Open(Part::Echo(echo)) if echo.is_over())
    }
}

fn or_nothing(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

/// The answer to a request; nobody sends frames before it.
fn accept(head: &str) -> Result<Vec<u8>, Failure> {
    let key = header(head, "sec-websocket-key").ok_or("a request without a key")?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    );
    Ok(answer.into_bytes())
}
