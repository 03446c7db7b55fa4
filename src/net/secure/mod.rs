//! TLS over a byte stream, without buffers of its own: an idle connection holds its keys and nothing else.
//!
//! rustls' own stream keeps 4 KiB for each connection for good and reads no more than that at a time.
//! Here records are read into and written from buffers that the whole thread shares; a connection owns
//! memory only for what is unfinished: a record that came in part, plaintext that the reader has not
//! taken, ciphertext that the socket has not taken (RFC 8446, RFC 5246; the protocol is all rustls').

mod records;
mod scratch;

#[cfg(test)]
mod tests;

use records::{Progress, Sink, Words, advance, last_words};
use scratch::PLAIN_CHUNK;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::client::UnbufferedClientConnection;
use tokio_rustls::rustls::server::UnbufferedServerConnection;
use tokio_rustls::rustls::{CommonState, ProtocolVersion};

/// A TLS connection over `S`. A write that is ready has taken the plaintext; it is on its way once a
/// flush, or the next write, is ready.
pub struct Secure<S> {
    io: S,
    session: Session,
    /// The start of a record, or of a handshake message, whose rest has not come.
    partial: Vec<u8>,
    /// Plaintext that did not fit the reader's buffer, from `taken` on.
    plain: Vec<u8>,
    taken: usize,
    /// Ciphertext that the socket did not take, from `sent` on.
    pending: Vec<u8>,
    sent: usize,
    awaits: Company,
    /// The peer has said that nothing more comes.
    is_closed: bool,
    /// A rule of TLS was broken, by either end: rustls must not be asked again.
    is_broken: bool,
    has_said_goodbye: bool,
}

/// Which end of the connection this is.
enum Session {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What the pending ciphertext waits for, to go out together with it: each write of a socket costs more
/// than what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    Nobody,
    /// Whatever is said next.
    Words,
    /// The goodbye: what is said before it waits as well.
    Goodbye,
}

/// The least that is read at once: a whole record and more (RFC 8446 §5.2).
const READ_LEAST: usize = 20 * 1024;

impl<S> Secure<S> {
    /// The server's end, whose handshake has not begun; `heard` is what the client has sent already.
    pub fn server(io: S, connection: UnbufferedServerConnection, heard: Vec<u8>) -> Self {
        Self {
            partial: heard,
            ..Self::new(io, Session::Server(connection))
        }
    }

    /// The client's end, whose handshake has not begun.
    pub fn client(io: S, connection: UnbufferedClientConnection) -> Self {
        Self::new(io, Session::Client(connection))
    }

    const fn new(io: S, session: Session) -> Self {
        Self {
            io,
            session,
            partial: Vec::new(),
            plain: Vec::new(),
            taken: 0,
            pending: Vec::new(),
            sent: 0,
            awaits: Company::Nobody,
            is_closed: false,
            is_broken: false,
            has_said_goodbye: false,
        }
    }

    /// What is below, and what the handshake settled: protocol version, ALPN, the peer's certificates.
    pub fn get_ref(&self) -> (&S, &CommonState) {
        (&self.io, self.state())
    }

    /// Whether a read would do no more than read from the socket: nothing waits here, and nothing that
    /// came before decides.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && !self.is_closed && !self.is_broken
    }

    /// Has what is written next go out together with the goodbye, which must follow at once. Nothing
    /// that was written before may be left to flush.
    pub fn expect_end(&mut self) {
        self.awaits = Company::Goodbye;
    }

    /// What is below; the peer is told nothing.
    pub fn into_inner(self) -> S {
        self.io
    }

    fn state(&self) -> &CommonState {
        match &self.session {
            Session::Server(connection) => connection,
            Session::Client(connection) => connection,
        }
    }

    /// Has rustls work on `bytes`: what is unfinished from before, if anything, and what came now. Keeps
    /// what it has no use for yet.
    fn hear(&mut self, bytes: &mut [u8], reader: &mut ReadBuf<'_>) -> io::Result<()> {
        let used = self.advance(bytes, reader, Words::Nothing, &mut [])?.used;
        if used < bytes.len() || !self.partial.is_empty() {
            self.partial = bytes[used..].to_vec();
        }
        Ok(())
    }

    /// Has rustls say `words`, encrypted into `room`. Returns the length of what was sealed: none where
    /// the connection does not take words.
    fn seal(&mut self, words: Words<'_>, room: &mut [u8]) -> io::Result<Option<usize>> {
        // rustls wants to see it each time, although it knows all but what came before the handshake.
        let mut unfinished = std::mem::take(&mut self.partial);
        let nobody = &mut ReadBuf::new(&mut []);
        let Progress { used, sealed } = self.advance(&mut unfinished, nobody, words, room)?;
        self.partial = match used {
            0 => unfinished,
            _ => unfinished[used..].to_vec(),
        };
        Ok(sealed)
    }

    /// [`records::advance`], on whichever end this is.
    #[inline(always)]
    fn advance(
        &mut self,
        bytes: &mut [u8],
        reader: &mut ReadBuf<'_>,
        words: Words<'_>,
        room: &mut [u8],
    ) -> io::Result<Progress> {
        if self.is_broken {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (session, mut sink) = self.parts(reader);
        let progress = match session {
            Session::Server(end) => advance(end, bytes, &mut sink, words, room),
            Session::Client(end) => advance(end, bytes, &mut sink, words, room),
        };
        if progress.is_err() {
            self.give_up(reader);
        }
        progress
    }

    /// Ends all dealings with rustls; the peer is to be told why.
    #[cold]
    fn give_up(&mut self, reader: &mut ReadBuf<'_>) {
        self.is_broken = true;
        self.awaits = Company::Nobody;
        self.partial = Vec::new();
        let (session, mut sink) = self.parts(reader);
        match session {
            Session::Server(end) => last_words(end, &mut sink),
            Session::Client(end) => last_words(end, &mut sink),
        }
    }

    /// Who works on records, and where what comes out of them goes.
    #[inline]
    fn parts<'a, 'b>(&'a mut self, reader: &'a mut ReadBuf<'b>) -> (&'a mut Session, Sink<'a, 'b>) {
        let sink = Sink {
            reader,
            overflow: &mut self.plain,
            pending: &mut self.pending,
            is_closed: &mut self.is_closed,
        };
        (&mut self.session, sink)
    }

    /// Whether hands are shaken, and nothing that is pending matters to the client before it hears an
    /// answer: that is so of a server in TLS 1.3, whose last word is the client's (RFC 8446 §4.6.1).
    fn is_done_but_for_tickets(&self) -> bool {
        let state = self.state();
        matches!(self.session, Session::Server(_))
            && state.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && !state.is_handshaking()
    }

    /// Moves plaintext that waits to `reader`; false if there was none.
    #[inline]
    fn hand_on(&mut self, reader: &mut ReadBuf<'_>) -> bool {
        let waits = !self.plain.is_empty();
        if waits {
            self.hand_on_overflow(reader);
        }
        waits
    }

    fn hand_on_overflow(&mut self, reader: &mut ReadBuf<'_>) {
        let waiting = &self.plain[self.taken..];
        let len = waiting.len().min(reader.remaining());
        reader.put_slice(&waiting[..len]);
        self.taken += len;
        if self.taken == self.plain.len() {
            self.plain = Vec::new();
            self.taken = 0;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Secure<S> {
    /// Shakes hands. There is no deadline in here. A connection whose handshake was given up halfway is
    /// of no use.
    ///
    /// # Errors
    /// What the socket or rustls says; the peer is told why, as far as it listens.
    pub async fn handshake(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_handshake(cx)).await
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let nobody = &mut ReadBuf::new(&mut []);
        let mut step = self.seal(Words::Nothing, &mut []).map(drop);
        loop {
            if let Err(error) = step {
                // The last words are the reason; nobody waits until they are taken.
                let _ = self.poll_drain(cx);
                return Poll::Ready(Err(error));
            }
            if self.is_done_but_for_tickets() {
                self.awaits = Company::Words;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_drain(cx))?;
            if !self.state().is_handshaking() {
                return Pin::new(&mut self.io).poll_flush(cx);
            }
            step = match ready!(self.poll_receive(cx, nobody)) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                received => received.map(drop),
            };
        }
    }

    /// Reads from the socket once and takes what is whole out of it. Returns how much ciphertext came;
    /// none is the end of the stream.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        scratch::incoming(|buffer| {
            let start = self.partial.len();
            let room = reader.remaining().max(READ_LEAST);
            let end = buffer.len().min(start + room);
            let mut read = ReadBuf::new(&mut buffer[start..end]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
            let len = read.filled().len();
            if len > 0 {
                if start > 0 {
                    buffer[..start].copy_from_slice(&self.partial);
                }
                self.hear(&mut buffer[..start + len], reader)?;
            }
            Poll::Ready(Ok(len))
        })
    }

    /// Writes what the socket did not take before, unless that waits for company. Ready when nothing is
    /// left to write now.
    #[inline]
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pending.is_empty() || self.awaits != Company::Nobody {
            return Poll::Ready(Ok(()));
        }
        self.poll_drain_pending(cx)
    }

    fn poll_drain_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.pending.len() {
            let io = Pin::new(&mut self.io);
            match ready!(io.poll_write(cx, &self.pending[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.sent += len,
            }
        }
        self.pending = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Says `words` and keeps what of them the socket does not take. Nothing may be pending but what
    /// waits for company.
    fn say(&mut self, cx: &mut Context<'_>, words: Words<'_>) -> io::Result<()> {
        scratch::outgoing(|room| {
            let Some(len) = self.seal(words, room)? else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            let sealed = &room[..len];
            if !self.pending.is_empty() || self.awaits != Company::Nobody {
                return self.send_in_company(cx, words, sealed);
            }
            let written = match Pin::new(&mut self.io).poll_write(cx, sealed) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            if written < len {
                self.pending = sealed[written..].to_vec();
            }
            Ok(())
        })
    }

    /// Sends words behind what goes before, or keeps them for what is to go along.
    fn send_in_company(
        &mut self,
        cx: &mut Context<'_>,
        words: Words<'_>,
        sealed: &[u8],
    ) -> io::Result<()> {
        if self.awaits == Company::Words || matches!(words, Words::Goodbye) {
            self.awaits = Company::Nobody;
        }
        self.pending.extend_from_slice(sealed);
        match self.poll_drain(cx) {
            Poll::Ready(drained) => drained,
            Poll::Pending => Ok(()),
        }
    }

    /// Says that nothing more comes, and nothing more is said. Ready when all has gone out; the socket is
    /// still open.
    ///
    /// # Errors
    /// What the socket says.
    pub fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        if !std::mem::replace(&mut self.has_said_goodbye, true) {
            // A connection that never came to words has none to end with.
            let _ = self.say(cx, Words::Goodbye);
            self.awaits = Company::Nobody;
        }
        self.poll_drain(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secure<S> {
    /// An end without the peer's word for it is an error, as something may be missing.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        loop {
            if buf.remaining() == 0 || this.hand_on(buf) || buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if this.is_broken {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if this.is_closed {
                return Poll::Ready(Ok(()));
            }
            let received = ready!(this.poll_receive(cx, buf));
            // A key update or an alert: it goes out now if it can, else with the next write.
            let _ = this.poll_drain(cx);
            if received? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secure<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let chunk = &buf[..buf.len().min(PLAIN_CHUNK)];
        if !chunk.is_empty() {
            this.say(cx, Words::Plaintext(chunk))?;
        }
        Poll::Ready(Ok(chunk.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_goodbye(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl<S: fmt::Debug> fmt::Debug for Secure<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure")
            .field("io", &self.io)
            .field("version", &self.state().protocol_version())
            .finish_non_exhaustive()
    }
}
