//! placeholder
use crate::http::HeadError;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
pub(super) struct Guarded<S> { s: S }
impl<S> Guarded<S> {
    pub(super) fn new(s: S, _l: usize, _d: Instant, _t: Duration) -> Self { Self { s } }
    pub(super) fn take_verdict(&mut self) -> Option<super::failure::Failure> { let _: Option<HeadError> = None; None }
    pub(super) fn into_inner(self) -> (S, Bytes) { (self.s, Bytes::new()) }
}
impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &mut ReadBuf<'_>) -> Poll<io::Result<()>> { Pin::new(&mut self.s).poll_read(cx, b) }
}
impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> { Pin::new(&mut self.s).poll_write(cx, b) }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> { Pin::new(&mut self.s).poll_flush(cx) }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> { Pin::new(&mut self.s).poll_shutdown(cx) }
}
