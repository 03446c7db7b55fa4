//! The way back: writes pass as they are, and are watched.

use super::deadline::Deadline;
use super::{Answer, Guarded};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

impl<S> Guarded<S> {
    /// Notes how a write went; fails one that has waited too long for a client that takes nothing.
    fn note_written<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
        } else if let Some(limit) = self.link.write_limit() {
            let new = || Deadline::new(Instant::now() + limit, limit);
            let stall = self.stall.get_or_insert_with(new);
            ready!(stall.poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    fn note_begun(&mut self, written: &Poll<io::Result<usize>>) {
        let has_begun = matches!(written, Poll::Ready(Ok(len)) if *len > 0);
        if has_begun && self.answer == Answer::Owed {
            self.answer = Answer::Begun;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.note_begun(&written);
        this.note_written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.note_begun(&written);
        this.note_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        ready!(this.note_written(cx, flushed))?;
        if this.answer == Answer::Begun && this.link.flushed() {
            this.answered();
        }
        if this.link.is_watched() {
            this.watch(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
