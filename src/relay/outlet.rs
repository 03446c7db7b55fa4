//! What waits to be written to one leg. Bytes given to an outlet are the outlet's: it writes what the leg
//! takes at once and keeps the rest, on the heap only as long as the leg is slow. As nothing is read for a
//! leg whose outlet is not clear, that rest is at most one read.

use super::buffer::{READ_SIZE, READ_SIZE_FOR_SLOW};
use super::deadlines::Tick;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// The writing side of a leg.
#[derive(Debug)]
pub(super) struct Outlet {
    /// What the stream did not take.
    backlog: Option<Box<Backlog>>,
    /// When the leg last took a byte while more was waiting, or when it broke.
    stalled_since: Tick,
    condition: Condition,
    /// The last read was more than the leg took at once.
    is_slow: bool,
}

#[derive(Debug)]
struct Backlog {
    bytes: Vec<u8>,
    written: usize,
}

/// How an outlet stands; a session that sees it change looks at its deadlines again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// All is written: to the socket, not only into the stream.
    Clear,
    /// Something is in the backlog, or still in the stream itself (TLS).
    Waiting,
    /// Nothing can be written any more, and why.
    Broken(io::ErrorKind),
}

impl Outlet {
    pub(super) const fn new() -> Self {
        Self {
            backlog: None,
            stalled_since: Tick::NEVER,
            condition: Condition::Clear,
            is_slow: false,
        }
    }

    /// Whether nothing is left to write.
    pub(super) const fn is_clear(&self) -> bool {
        !matches!(self.condition, Condition::Waiting)
    }

    pub(super) const fn condition(&self) -> Condition {
        self.condition
    }

    /// When the leg last took a byte while there was something to write; `NEVER` if there is nothing.
    pub(super) const fn stalled_since(&self) -> Tick {
        match self.condition {
            Condition::Waiting => self.stalled_since,
            Condition::Clear | Condition::Broken(_) => Tick::NEVER,
        }
    }

    /// How many bytes are kept.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.backlog
            .as_ref()
            .map_or(0, |backlog| backlog.bytes.len() - backlog.written)
    }

    /// Why nothing can be written any more.
    pub(super) const fn broken(&self) -> Option<io::ErrorKind> {
        match self.condition {
            Condition::Broken(why) => Some(why),
            Condition::Clear | Condition::Waiting => None,
        }
    }

    /// Since when nothing can be written any more; `NEVER` if something can.
    pub(super) const fn broken_since(&self) -> Tick {
        match self.condition {
            Condition::Broken(_) => self.stalled_since,
            Condition::Clear | Condition::Waiting => Tick::NEVER,
        }
    }

    /// How much may be read for this leg at once.
    pub(super) const fn read_size(&self) -> usize {
        if self.is_slow {
            READ_SIZE_FOR_SLOW
        } else {
            READ_SIZE
        }
    }

    /// Gives up: what waits is dropped, and so is what comes.
    pub(super) fn give_up(&mut self, why: io::ErrorKind, now: Tick) {
        self.backlog = None;
        if self.broken().is_none() {
            self.stalled_since = now;
        }
        self.condition = Condition::Broken(why);
    }

    /// Writes `bytes` behind all that was sent before, now or as soon as the leg takes them.
    #[inline]
    pub(super) fn send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        bytes: &[u8],
        now: Tick,
    ) {
        if self.broken().is_some() || bytes.is_empty() {
            return;
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.bytes.extend_from_slice(bytes);
            return;
        }
        let mut written = 0;
        match write_all(stream, cx, bytes, &mut written) {
            Poll::Ready(Ok(())) => {
                self.is_slow = false;
                let _ = self.poll_flush(stream, cx, now);
            }
            Poll::Ready(Err(error)) => self.give_up(error.kind(), now),
            Poll::Pending => self.keep(&bytes[written..], now),
        }
    }

    /// Keeps what the stream did not take.
    #[inline(never)]
    fn keep(&mut self, rest: &[u8], now: Tick) {
        self.is_slow = true;
        self.stalled_since = now;
        self.condition = Condition::Waiting;
        let bytes = rest.to_vec();
        self.backlog = Some(Box::new(Backlog { bytes, written: 0 }));
    }

    /// Goes on writing what waits.
    pub(super) fn poll_clear<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        now: Tick,
    ) -> Poll<()> {
        if let Some(backlog) = &mut self.backlog {
            let before = backlog.written;
            let all = write_all(stream, cx, &backlog.bytes, &mut backlog.written);
            if backlog.written > before {
                self.stalled_since = now;
            }
            match ready!(all) {
                Ok(()) => self.backlog = None,
                Err(error) => self.give_up(error.kind(), now),
            }
        }
        if self.is_clear() {
            Poll::Ready(())
        } else {
            self.poll_flush(stream, cx, now)
        }
    }

    #[inline]
    fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        now: Tick,
    ) -> Poll<()> {
        match Pin::new(stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => self.condition = Condition::Clear,
            Poll::Ready(Err(error)) => self.give_up(error.kind(), now),
            Poll::Pending => {
                if self.is_clear() {
                    self.stalled_since = now;
                }
                self.condition = Condition::Waiting;
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

/// Writes `bytes` from `written` on; on `Pending` the stream wakes us when it takes more.
#[inline]
fn write_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    bytes: &[u8],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    while *written < bytes.len() {
        match ready!(Pin::new(&mut *stream).poll_write(cx, &bytes[*written..])) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Ok(len) => *written += len,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
