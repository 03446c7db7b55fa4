//! A stream that shows hyper only request heads that passed [`crate::http::HeadScan`].
//!
//! It holds a head back until it is whole and checked, then hands it on untouched. One head at a
//! time: what comes behind a request waits until that is answered, so that bad bytes behind a good
//! request do not cost the client its answer. Of bodies it knows where they end. After an upgrade
//! everything passes: there is nothing behind it that may be taken for a head, as the gateway ends
//! such a connection with its answer. A head that is awaited has a deadline; while an answer is owed there is none.
//! Once that is whole with the client is told by [`Link`].

mod deadline;
#[cfg(test)]
mod tests;
mod writing;

use super::link::Link;
use crate::http::{Body, ChunkError, Chunks, Head, HeadError, HeadScan};
use bytes::{Buf, Bytes, BytesMut};
use deadline::Deadline;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// `S` with its request heads checked. Writes pass as they are.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    io: S,
    limit: usize,
    phase: Phase,
    scan: HeadScan,
    /// Read from `io` and not yet handed on. Empty and without memory most of the time.
    held: BytesMut,
    /// How many bytes of `held` passed.
    released: usize,
    verdict: Option<HeadError>,
    answer: Answer,
    /// Who waits for the answer to be out.
    reader: Option<Waker>,
    deadline: Option<Deadline>,
    /// By when the client must take some of what waits for it.
    stall: Option<Deadline>,
    link: Arc<Link>,
}

/// What the next byte from the client belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Head,
    Body(u64),
    Chunks(Chunks),
    /// Something that is not looked into.
    Raw,
}

/// To the head that was handed on last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// None is owed.
    Given,
    Owed,
    /// Written at least in part, not yet flushed.
    Begun,
}

/// Bytes of a head that are read at once: as many as hyper asks for first.
const SPACE_LEN: usize = 8 * 1024;

thread_local! {
    /// Where heads are read to. What hyper reads to has no content yet, and would have to be given one
    /// before each read, nearly all of it for nothing.
    static SPACE: RefCell<[u8; SPACE_LEN]> = const { RefCell::new([0; SPACE_LEN]) };
}

impl<S> Guarded<S> {
    /// Guards `io`, from the start of a connection on. Heads have at most `limit` bytes.
    pub(super) fn new(io: S, limit: usize) -> Self {
        Self {
            io,
            limit,
            phase: Phase::Head,
            scan: HeadScan::new(limit),
            held: BytesMut::new(),
            released: 0,
            verdict: None,
            answer: Answer::Given,
            reader: None,
            deadline: None,
            stall: None,
            link: Arc::default(),
        }
    }

    /// The first head must be whole by `first`, any other `each` after the answer before it. Later
    /// than that reading fails.
    pub(super) fn with_deadline(self, first: Instant, each: Duration) -> Self {
        Self {
            deadline: Some(Deadline::new(first, each)),
            ..self
        }
    }

    /// Learns by `link` when an answer is whole, and tells there of clients that hang up.
    pub(super) fn with_link(self, link: Arc<Link>) -> Self {
        Self { link, ..self }
    }

    /// Whether reading failed because a head did not come in time.
    pub(super) fn is_overdue(&self) -> bool {
        self.deadline.as_ref().is_some_and(Deadline::has_passed)
    }

    /// Why reading failed, if a head is the reason. To be asked however hyper ended: for it a read
    /// that fails between two requests is a good end.
    pub(super) fn verdict(&self) -> Option<HeadError> {
        self.verdict
    }

    /// Whether a head has begun to arrive and not yet been handed on.
    pub(super) fn is_within_head(&self) -> bool {
        self.phase == Phase::Head && self.answer == Answer::Given && !self.held.is_empty()
    }

    /// The stream below, and what was read from it and not handed on. Of a connection that was
    /// refused nobody may make sense of the latter.
    pub(super) fn into_inner(self) -> (S, Bytes) {
        (self.io, self.held.freeze())
    }

    /// Finds out how much of what is held may go.
    fn release(&mut self) {
        match &mut self.phase {
            Phase::Head => match self.scan.scan(&self.held) {
                Ok(Some(head)) => self.release_head(head),
                Ok(None) => {}
                Err(error) => self.verdict = Some(error),
            },
            &mut Phase::Body(left) => {
                self.released =
                    usize::try_from(left).map_or(self.held.len(), |left| left.min(self.held.len()));
                self.pass_body(left, self.released);
            }
            Phase::Chunks(chunks) => {
                self.released = chunks.pass(&self.held);
                self.end_chunks();
            }
            Phase::Raw => self.released = self.held.len(),
        }
    }

    fn release_head(&mut self, head: Head) {
        if let Some(deadline) = &mut self.deadline {
            deadline.met();
        }
        self.released = head.len;
        self.scan = HeadScan::new(self.limit);
        self.answer = Answer::Owed;
        self.phase = match head.body {
            // With a body it becomes no tunnel.
            Body::None if head.upgrade => Phase::Raw,
            Body::None => Phase::Head,
            Body::Length(length) => Phase::Body(length),
            Body::Chunked => Phase::Chunks(Chunks::new()),
        };
    }

    /// Counts `len` bytes of a body of which `left` were missing.
    fn pass_body(&mut self, left: u64, len: usize) {
        self.phase = match left.saturating_sub(len as u64) {
            0 => Phase::Head,
            left => Phase::Body(left),
        };
    }

    /// What follows chunks that are done is a head.
    fn end_chunks(&mut self) {
        if matches!(&self.phase, Phase::Chunks(chunks) if chunks.is_done()) {
            self.phase = Phase::Head;
        }
    }

    /// Why there is no telling where the body ends.
    fn fault(&self) -> Option<ChunkError> {
        match &self.phase {
            Phase::Chunks(chunks) => chunks.fault(),
            _ => None,
        }
    }

    /// Whether the next head must wait.
    fn waits_for_answer(&self) -> bool {
        self.phase == Phase::Head && self.answer != Answer::Given
    }

    /// Moves what passed from `held` to `buf`; false if that is nothing.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let may_release = self.verdict.is_none() && !self.waits_for_answer();
        if self.released == 0 && !self.held.is_empty() && may_release {
            self.release();
        }
        let len = self.released.min(buf.remaining());
        buf.put_slice(&self.held[..len]);
        self.held.advance(len);
        self.released -= len;
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        len > 0
    }

    /// Whether `bytes`, just read, are one whole head and nothing else: most are, and such a head
    /// need not be held.
    fn passes_at_once(&mut self, bytes: &[u8]) -> bool {
        if !self.held.is_empty() || self.waits_for_answer() {
            return false;
        }
        match self.scan.scan(bytes) {
            Ok(Some(head)) if head.len == bytes.len() => {
                self.release_head(head);
                self.released = 0;
                return true;
            }
            Ok(Some(head)) => self.release_head(head),
            Ok(None) => {}
            Err(error) => self.verdict = Some(error),
        }
        false
    }

    /// Takes what was read into `buf` behind `start` back into `held`.
    fn hold(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        self.held.extend_from_slice(&buf.filled()[start..]);
        buf.set_filled(start);
    }

    /// Ready once the head that is awaited is overdue.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.deadline {
            Some(deadline) if self.answer == Answer::Given => deadline.poll(cx),
            _ => Poll::Pending,
        }
    }

    /// An answer is out: the next head may come.
    fn answered(&mut self) {
        self.answer = Answer::Given;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads more of a head; true if there is something to hand on, or to tell: the end of the stream.
    fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        SPACE.with_borrow_mut(|space| {
            let room = space.len().min(buf.remaining());
            let mut space = ReadBuf::new(&mut space[..room]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut space))?;
            let read = space.filled();
            let is_done = read.is_empty() || self.passes_at_once(read);
            match is_done {
                true => buf.put_slice(read),
                false => self.held.extend_from_slice(read),
            }
            Poll::Ready(Ok(is_done))
        })
    }

    /// Reads more of a body straight into `buf`, and holds what comes behind it.
    fn poll_body(
        &mut self,
        left: u64,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let len = buf.filled().len() - start;
        let of_body = usize::try_from(left).map_or(len, |left| left.min(len));
        self.hold(buf, start + of_body);
        self.pass_body(left, of_body);
        Poll::Ready(Ok(()))
    }

    /// The same for a body whose length is not known.
    fn poll_chunks(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if let Phase::Chunks(chunks) = &mut self.phase {
            let of_body = chunks.pass(&buf.filled()[start..]);
            self.hold(buf, start + of_body);
            self.end_chunks();
        }
        Poll::Ready(Ok(()))
    }

    /// Looks whether a client that waits for an answer is still there. What it sends meanwhile is
    /// held, and a client that sends is.
    fn watch(&mut self, cx: &mut Context<'_>) {
        let mut space = [0; 1024];
        while self.phase == Phase::Head && self.held.is_empty() {
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut buf) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.held.extend_from_slice(buf.filled());
                }
                Poll::Ready(_) => {
                    self.link.hang_up();
                    // Whoever works for it has had its turn already.
                    cx.waker().wake_by_ref();
                    return;
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if buf.remaining() == 0 || this.hand_on(buf) {
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = this.verdict {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            if let Some(fault) = this.fault() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
            }
            match this.phase {
                Phase::Raw => return Pin::new(&mut this.io).poll_read(cx, buf),
                Phase::Body(left) => return this.poll_body(left, cx, buf),
                Phase::Chunks(_) => {
                    let start = buf.filled().len();
                    ready!(this.poll_chunks(cx, buf))?;
                    // What is at fault is told, and not taken for the end of the stream.
                    if buf.filled().len() > start || this.fault().is_none() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Phase::Head if this.waits_for_answer() && !this.held.is_empty() => {
                    this.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Phase::Head => match this.poll_head(cx, buf)? {
                    Poll::Ready(true) => return Poll::Ready(Ok(())),
                    Poll::Ready(false) => {}
                    Poll::Pending => {
                        ready!(this.poll_deadline(cx));
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                },
            }
        }
    }
}
