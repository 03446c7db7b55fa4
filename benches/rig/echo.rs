//! The server behind the gateway, a process of its own: accepts every handshake and echoes every frame.
//!
//! By hand and on one thread, so that it costs the machine as little as a server can. A message is
//! sent back as it comes, piece by piece; what its reader does not take stops the reading.

use super::{Failure, header};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use wsgate::frame::{Header, MAX_HEADER, Opcode, mask};
use wsgate::http::accept_key;

/// As many handshakes as come at once may wait.
const BACKLOG: i32 = 4096;
const ROOM: usize = 256 << 10;
const AT_ONCE: usize = 256;
/// The listener's; sessions count from zero.
const LISTENER: u64 = u64::MAX;

/// Running; killed when it is dropped.
pub(crate) struct Echo {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Echo {
    /// This program once more, with the one argument `--upstream`, as [`serve`].
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--upstream")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut told = String::new();
        BufReader::new(output).read_line(&mut told)?;
        Ok(Self {
            address: told.trim().parse()?,
            child,
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // Whether it has ended before is the same to us.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells its address on standard output and echoes until standard input ends, which it does with
/// whoever started this, however that ends.
#[expect(clippy::print_stdout, reason = "the address")]
pub(crate) fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    thread::spawn(|| {
        // It is the same to us whether it ends or fails.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    Server::new(listener)?.run()
}

struct Server {
    listener: TcpListener,
    epoll: OwnedFd,
    sessions: HashMap<u64, Session>,
    next: u64,
    /// Of all sessions, one at a time.
    room: Vec<u8>,
    answer: Vec<u8>,
}

impl Server {
    fn new(listener: TcpListener) -> Result<Self, Failure> {
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
        })
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut events = Vec::with_capacity(AT_ONCE);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Err(Errno::INTR) => {}
                waited => drop(waited?),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    number => self.turn(number)?,
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
            let data = EventData::new_u64(self.next);
            epoll::add(&self.epoll, &socket, data, EventFlags::IN)?;
            self.sessions.insert(self.next, Session::new(socket));
            self.next += 1;
        }
    }

    /// An error is the end of that session, which the client sees and counts.
    fn turn(&mut self, number: u64) -> Result<(), Failure> {
        let Some(session) = self.sessions.get_mut(&number) else {
            return Ok(());
        };
        let was_full = session.is_full();
        self.answer.clear();
        match session.turn(&mut self.room, &mut self.answer) {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                self.sessions.remove(&number);
                return Ok(());
            }
        }
        if session.is_full() != was_full {
            let wanted = if was_full {
                EventFlags::IN
            } else {
                EventFlags::OUT
            };
            let data = EventData::new_u64(number);
            epoll::modify(&self.epoll, &session.socket, data, wanted)?;
        }
        Ok(())
    }
}

struct Session {
    socket: TcpStream,
    stage: Stage,
    /// What the client has not taken yet.
    unsent: Vec<u8>,
}

enum Stage {
    /// The request, as far as it has come.
    Asked(Vec<u8>),
    Open(Frames),
}

/// Where in the stream of frames we are.
#[derive(Default)]
struct Frames {
    /// A header that is not whole.
    begun: Vec<u8>,
    /// Payload of this frame that is still to come, and the key that begins there.
    left: u64,
    key: [u8; 4],
    is_closing: bool,
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

    /// Does what can be done; whether the session goes on.
    fn turn(&mut self, room: &mut [u8], answer: &mut Vec<u8>) -> Result<bool, Failure> {
        if self.is_full() {
            let unsent = std::mem::take(&mut self.unsent);
            self.send(&unsent)?;
            return Ok(self.is_full() || !self.is_over());
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
                    answer.extend_from_slice(&accept(request)?);
                    self.stage = Stage::Open(Frames::default());
                }
            }
            Stage::Open(frames) => frames.echo(bytes, answer)?,
        }
        self.send(answer)?;
        Ok(self.is_full() || !self.is_over())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = match self.socket.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Whether both sides have said Close: as a server should, this one hangs up first.
    fn is_over(&self) -> bool {
        matches!(&self.stage, Stage::Open(frames) if frames.is_closing && frames.left == 0)
    }
}

/// The answer to a request; nobody sends frames before it.
fn accept(request: &[u8]) -> Result<Vec<u8>, Failure> {
    let head = String::from_utf8_lossy(request);
    let key = header(&head, "sec-websocket-key").ok_or("a request without a key")?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    );
    Ok(answer.into_bytes())
}

impl Frames {
    /// Appends to `answer` what comes back for `bytes`: the same frames without their masks, pongs for pings.
    fn echo(&mut self, mut bytes: &mut [u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            let count = bytes.len().min(usize::try_from(self.left)?);
            let (payload, rest) = bytes.split_at_mut(count);
            mask::apply(payload, self.key);
            answer.extend_from_slice(payload);
            self.key = mask::rotate(self.key, count);
            self.left -= count as u64;
            bytes = rest;
            if bytes.is_empty() {
                return Ok(());
            }
            let known = self.begun.len();
            let more = bytes.len().min(MAX_HEADER - known);
            self.begun.extend_from_slice(&bytes[..more]);
            let Some(header) = Header::parse(&self.begun)? else {
                return Ok(());
            };
            self.begin(header, answer);
            bytes = &mut bytes[header.header_len - known..];
        }
    }

    fn begin(&mut self, header: Header, answer: &mut Vec<u8>) {
        self.begun.clear();
        self.left = header.payload_len;
        self.key = header.mask.unwrap_or_default();
        self.is_closing |= header.opcode == Opcode::Close;
        let opcode = match header.opcode {
            Opcode::Ping => Opcode::Pong,
            other => other,
        };
        let bare = Header {
            mask: None,
            opcode,
            ..header
        };
        answer.extend_from_slice(&bare.encode());
    }
}
