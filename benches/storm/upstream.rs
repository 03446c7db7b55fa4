//! The server behind the gateway, a process of its own: accepts every handshake and echoes every frame.
//!
//! By hand, so that it costs the machine as little as a server can.

use crate::Failure;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::thread;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use wsgate::frame::{Header, mask};
use wsgate::http::accept_key;

/// As many handshakes as come at once may wait.
const BACKLOG: u32 = 4096;

/// Running; killed when it is dropped.
pub(crate) struct Upstream {
    _child: Child,
    pub(crate) address: SocketAddr,
}

impl Upstream {
    /// This program once more, as [`serve`].
    pub(crate) async fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--upstream")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let told = BufReader::new(output).lines().next_line().await?;
        Ok(Self {
            address: told.ok_or("the upstream did not start")?.parse()?,
            _child: child,
        })
    }
}

/// Tells its address on standard output and echoes until standard input ends, which it does with
/// whoever started this, however that ends.
#[expect(clippy::print_stdout, reason = "the address")]
pub(crate) async fn serve() -> Result<(), Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    println!("{}", listener.local_addr()?);
    thread::spawn(|| {
        // It is the same to us whether it ends or fails.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // An error is the end of that session, which the client sees and counts.
        tokio::spawn(async move { echo(stream).await.ok() });
    }
}

async fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    let mut held = Vec::with_capacity(1024);
    let end = loop {
        if let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut held).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&held[..end]);
    let key = header(&head, "sec-websocket-key").ok_or("a request without a key")?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    );
    stream.write_all(answer.as_bytes()).await?;
    held.drain(..end);
    loop {
        while let Some(used) = answer_frame(&mut held, &mut stream).await? {
            held.drain(..used);
        }
        if stream.read_buf(&mut held).await? == 0 {
            return Ok(());
        }
    }
}

/// Sends the first frame of `held` back, bare of its mask; how long it was, once it is whole.
async fn answer_frame(held: &mut [u8], to: &mut TcpStream) -> Result<Option<usize>, Failure> {
    let Some(header) = Header::parse(held)? else {
        return Ok(None);
    };
    let end = header.header_len + usize::try_from(header.payload_len)?;
    let Some(payload) = held.get_mut(header.header_len..end) else {
        return Ok(None);
    };
    if let Some(key) = header.mask {
        mask::apply(payload, key);
    }
    let bare = Header {
        mask: None,
        ..header
    };
    let mut frame = bare.encode().to_vec();
    frame.extend_from_slice(payload);
    to.write_all(&frame).await?;
    Ok(Some(end))
}

/// The value of a header in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
