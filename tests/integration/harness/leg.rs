//! One connection as raw bytes, whichever side of the gateway it is on.

use super::wire::{self, Frame};
use super::{breath, within};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

/// A socket on this machine that takes nothing for so long is full.
const STALL: Duration = Duration::from_millis(300);

/// A connection to the gateway (a client's) or from it (an upstream's).
pub struct Leg {
    stream: Stream,
    /// Received, not yet looked at.
    unread: Vec<u8>,
    /// An upstream's leg: the head of the gateway's request.
    pub request: String,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// FIN, in TLS with or without its own goodbye.
    Closed,
    Reset,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        let same = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(&name);
        self.headers
            .iter()
            .filter(same)
            .map(|header| header.1.as_str())
    }
}

impl Leg {
    pub fn plain(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream: Stream::Plain(stream),
            unread: Vec::new(),
            request: String::new(),
        }
    }

    pub fn tls(stream: impl Into<TlsStream<TcpStream>>) -> Self {
        let stream = Stream::Tls(Box::new(stream.into()));
        Self {
            stream,
            unread: Vec::new(),
            request: String::new(),
        }
    }

    fn stream(&mut self) -> &mut dyn Duplex {
        match &mut self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.as_mut(),
        }
    }

    /// Sends all of it.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).await.unwrap();
    }

    /// Sends all of it, unless the gateway has had enough before.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("sending", async {
            self.stream().write_all(bytes).await?;
            self.stream().flush().await
        })
        .await
    }

    pub async fn send_frame(&mut self, frame: &Frame) {
        self.send(frame.bytes()).await;
    }

    /// Sends in two writes that the gateway very likely reads apart.
    pub async fn send_cut_at(&mut self, bytes: &[u8], at: usize) {
        // The gateway may judge by the first half alone and hang up during the second.
        let _ = self.try_send(&bytes[..at]).await;
        breath().await;
        let _ = self.try_send(&bytes[at..]).await;
    }

    pub async fn send_byte_by_byte(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.try_send(&[*byte]).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Reads some more. `Err` is the end.
    async fn receive(&mut self) -> Result<(), End> {
        let mut chunk = vec![0; 64 * 1024];
        let read = within("receiving", self.stream().read(&mut chunk)).await;
        match read {
            Ok(0) => Err(End::Closed),
            Ok(length) => {
                self.unread.extend(&chunk[..length]);
                Ok(())
            }
            Err(error) => Err(end_of(&error)),
        }
    }

    /// Exactly so many bytes.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let so_far = self.unread.len();
            self.receive()
                .await
                .unwrap_or_else(|end| panic!("{end:?} after {so_far} of {count}"));
        }
        let rest = self.unread.split_off(count);
        std::mem::replace(&mut self.unread, rest)
    }

    /// The next frame, or the end.
    pub async fn event(&mut self) -> Result<Frame, End> {
        loop {
            if let Some((frame, length)) = Frame::parse(&self.unread) {
                self.unread.drain(..length);
                return Ok(frame);
            }
            self.receive().await?;
        }
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Frame {
        let event = self.event().await;
        event.unwrap_or_else(|end| panic!("{end:?} instead of a frame; left {:?}", self.unread))
    }

    /// The next frame must be a Close with `code`; its reason.
    pub async fn close(&mut self, code: u16) -> String {
        let frame = self.frame().await;
        assert_eq!(
            frame.opcode,
            wire::CLOSE,
            "{frame:?} instead of Close {code}"
        );
        let (got, reason) = frame
            .code()
            .unwrap_or_else(|| panic!("{frame:?} instead of {code}"));
        assert_eq!(got, code, "reason `{reason}`");
        reason
    }

    /// The next frame must be a Close with `code`; hangs up then.
    pub async fn close_and_leave(&mut self, code: u16) -> String {
        let reason = self.close(code).await;
        self.finish().await;
        reason
    }

    /// Everything until the connection ends, and how it did.
    pub async fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.receive().await {
                return (std::mem::take(&mut self.unread), end);
            }
        }
    }

    /// The same without sending anything more.
    pub async fn rest_after_finishing(&mut self) -> (Vec<u8>, End) {
        self.finish().await;
        self.rest().await
    }

    /// Everything until the connection ends, answering a Close as a proper peer does. As a client
    /// where `masked`.
    pub async fn rest_as_a_proper_peer(&mut self, masked: bool) -> Vec<u8> {
        loop {
            let (frames, _) = wire::frames(&self.unread);
            if let Some(close) = frames.into_iter().find(|frame| frame.opcode == wire::CLOSE) {
                let answer = if masked {
                    close.masked()
                } else {
                    close.unmasked()
                };
                // It may have been the answer already.
                let _ = self.try_send(&answer.bytes()).await;
                let (rest, _) = self.rest().await;
                self.finish().await;
                return rest;
            }
            if self.receive().await.is_err() {
                self.finish().await;
                return std::mem::take(&mut self.unread);
            }
        }
    }

    /// The next frame that is no ping.
    pub async fn frame_but_pings(&mut self) -> Frame {
        loop {
            let frame = self.frame().await;
            if frame.opcode != wire::PING {
                return frame;
            }
        }
    }

    /// Writes what `next` gives until nothing has been taken for a while; what was taken.
    pub async fn send_until_stalled(&mut self, next: impl Fn() -> Vec<u8>) -> Vec<u8> {
        let mut taken = Vec::new();
        loop {
            let bytes = next();
            let mut at = 0;
            while at < bytes.len() {
                let Ok(written) = timeout(STALL, self.stream().write(&bytes[at..])).await else {
                    taken.extend(&bytes[..at]);
                    return taken;
                };
                at += written.unwrap();
            }
            taken.extend(bytes);
        }
    }

    /// Writes `bytes` again and again until the gateway has had enough of it.
    pub async fn send_until_refused(&mut self, bytes: &[u8]) {
        while self.try_send(bytes).await.is_ok() {}
    }

    /// Nothing more must come but the end.
    pub async fn ended(&mut self) -> End {
        let (bytes, end) = self.rest().await;
        assert!(
            bytes.is_empty(),
            "{:?} instead of the end",
            wire::frames(&bytes)
        );
        end
    }

    /// An HTTP answer with its body, as far as a length or the end tells what the body is.
    pub async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        let status = status.parse().unwrap();
        let mut answer = Answer {
            status,
            headers: headers.collect(),
            body: String::new(),
        };
        if ![101, 204, 304].contains(&status) {
            let body = match answer.header("content-length") {
                Some(length) => self.bytes(length.parse().unwrap()).await,
                None => self.rest().await.0,
            };
            answer.body = String::from_utf8_lossy(&body).into_owned();
        }
        answer
    }

    /// Up to the empty line; the line itself is taken too.
    pub async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                return String::from_utf8(head[..end].to_vec()).unwrap();
            }
            if let Err(end) = self.receive().await {
                panic!(
                    "{end:?} instead of a head; got `{}`",
                    self.unread.escape_ascii()
                );
            }
        }
    }

    /// An upstream's leg: takes the gateway's request.
    pub async fn take_request(&mut self) {
        self.request = self.head().await;
    }

    /// The next one with its body; false if the connection ends instead.
    pub async fn take_next_request(&mut self) -> bool {
        while !self.unread.windows(4).any(|four| four == b"\r\n\r\n") {
            let mut chunk = vec![0; 64 * 1024];
            match self.stream().read(&mut chunk).await {
                Ok(length @ 1..) => self.unread.extend(&chunk[..length]),
                _ => return false,
            }
        }
        self.take_request().await;
        if let Some(length) = self.asked("Content-Length") {
            let length = length.parse().unwrap();
            self.bytes(length).await;
        } else if self.asked("Transfer-Encoding").is_some() {
            let mut body = Vec::new();
            while !body.ends_with(b"0\r\n\r\n") {
                body.extend(self.bytes(1).await);
            }
        }
        true
    }

    /// The first value of a header of the gateway's request.
    pub fn asked(&self, name: &str) -> Option<&str> {
        let headers = self.request.lines().filter_map(|line| line.split_once(':'));
        let mut values = headers.filter(|header| header.0.eq_ignore_ascii_case(name));
        values.next().map(|header| header.1.trim())
    }

    /// The gateway's request line.
    pub fn asked_line(&self) -> &str {
        self.request.lines().next().unwrap_or_default()
    }

    /// An upstream's leg: answers 101.
    pub async fn agree(&mut self) {
        self.agree_with("").await;
    }

    /// The same with more header lines, each ended by CRLF.
    pub async fn agree_with(&mut self, headers: &str) {
        let accept = self.accept_key();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        );
        self.send(answer).await;
    }

    /// What RFC 6455 §4.2.2 makes of the gateway's key.
    pub fn accept_key(&self) -> String {
        let key = self.asked("Sec-WebSocket-Key").expect("a key");
        tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())
    }

    /// No more bytes from here; the other direction stays open.
    pub async fn finish(&mut self) {
        // The gateway may be gone already.
        let _ = within("finishing", self.stream().shutdown()).await;
    }

    /// Ends it with a RST.
    pub fn reset(self) {
        let Stream::Plain(stream) = &self.stream else {
            panic!("only of a plain connection")
        };
        stream.set_zero_linger().unwrap();
    }
}

fn end_of(error: &io::Error) -> End {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => End::Reset,
        // TLS without its goodbye.
        ErrorKind::UnexpectedEof => End::Closed,
        _ => panic!("{error}"),
    }
}
