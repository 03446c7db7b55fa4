//! The body of an answer as it comes. It holds the connection and the place on the endpoint; when it
//! has ended the connection may wait for the next request, and when it is dropped before, it closes.

use super::stall::Stall;
use super::upload::Upload;
use super::{BoxError, Request};
use crate::http::{AnswerBody, AnswerHead, ChunkError, Chunks};
use crate::net::{Connection, Idle};
use crate::upstream::endpoint::Lease;
use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// A body on its way from an endpoint.
#[derive(Debug)]
pub struct Streamed<B> {
    /// Gone once the body has ended, well or not.
    source: Option<Source<B>>,
    rest: Rest,
    /// How long nothing may come.
    patience: Option<Duration>,
    stall: Stall,
}

/// Where it comes from.
#[derive(Debug)]
struct Source<B> {
    connection: Connection,
    /// What of the request is still to be sent.
    upload: Upload<B>,
    /// Where the connection may wait afterwards, and for how long.
    home: Option<(Arc<Idle>, Duration)>,
    _lease: Lease,
}

/// Why a body ended too soon.
#[derive(Debug, Error)]
pub enum AnswerCut {
    /// The connection ended inside it.
    #[error("the endpoint ended the connection inside the answer")]
    CutShort,
    /// The connection failed inside it.
    #[error("the connection to the endpoint was lost inside the answer")]
    Lost(#[source] io::Error),
    /// Its chunks have no certain end.
    #[error("the endpoint's answer is broken")]
    Chunks(#[source] ChunkError),
    /// Nothing came for too long.
    #[error("the endpoint fell silent inside the answer")]
    Silent,
    /// The request's own body broke off while the answer was coming.
    #[error("the body of the request broke off")]
    Request(#[source] BoxError),
}

impl AnswerCut {
    /// One word for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::CutShort => "cut_short",
            Self::Lost(_) => "lost",
            Self::Chunks(_) => "broken_answer",
            Self::Silent => "body_timeout",
            Self::Request(_) => "bad_body",
        }
    }
}

/// What of the body is to come.
#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(Chunks),
    UntilEnd,
}

impl<B> Streamed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Behind `head`, of which nothing was read yet. Where there is no `home`, or the head rules it
    /// out, the connection closes with the body's end.
    pub(in crate::upstream) fn new(
        head: &AnswerHead,
        connection: Connection,
        upload: Upload<B>,
        request: &Request,
        lease: Lease,
        home: Option<(Arc<Idle>, Duration)>,
    ) -> Self {
        let mut streamed = Self {
            source: Some(Source {
                connection,
                upload,
                home: home.filter(|_| head.persists),
                _lease: lease,
            }),
            rest: match head.body {
                AnswerBody::None => Rest::Length(0),
                AnswerBody::Length(length) => Rest::Length(length),
                AnswerBody::Chunked => Rest::Chunked(Chunks::new()),
                AnswerBody::UntilEnd => Rest::UntilEnd,
            },
            patience: request.body,
            stall: Stall::default(),
        };
        if streamed.rest.is_done() {
            streamed.finish();
        }
        streamed
    }

    /// The next piece; `None` is the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, AnswerCut>> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(Ok(None));
        };
        let moved = source.upload.moved();
        let uploaded = source.upload.poll(cx, &mut source.connection.stream);
        if let Poll::Ready(Err(error)) = uploaded {
            return Poll::Ready(Err(AnswerCut::Request(error)));
        }
        if source.upload.moved() != moved {
            self.stall.ended();
        }
        loop {
            let piece = self.rest.take(&mut source.connection.unread);
            if let Some(piece) = piece.map_err(AnswerCut::Chunks)? {
                self.stall.ended();
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.rest.is_done() {
                return Poll::Ready(Ok(None));
            }
            match source.connection.poll_fill(cx) {
                Poll::Ready(Ok(0)) if matches!(self.rest, Rest::UntilEnd) => {
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(AnswerCut::CutShort)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(AnswerCut::Lost(error))),
                Poll::Pending => {
                    ready!(self.stall.poll(cx, self.patience));
                    return Poll::Ready(Err(AnswerCut::Silent));
                }
            }
        }
    }

    /// The body has ended: the connection goes where it may wait, if both sides have said all of
    /// what they had to say, and no more.
    fn finish(&mut self) {
        let Some(source) = self.source.take() else {
            return;
        };
        let is_clean = source.upload.is_sent() && source.connection.unread.is_empty();
        if let Some((idle, keep_alive)) = source.home
            && is_clean
        {
            idle.park(source.connection, Instant::now() + keep_alive);
        }
    }
}

impl<B> Body for Streamed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = AnswerCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerCut>>> {
        let this = self.get_mut();
        let piece = ready!(this.poll_piece(cx));
        match piece {
            Ok(Some(piece)) => {
                // Who knows the length does not ask again once it has all.
                if this.rest.is_done() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Ok(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Err(cut) => {
                this.source = None;
                Poll::Ready(Some(Err(cut)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Length(left) => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}

impl Rest {
    fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.is_done(),
            Self::UntilEnd => false,
        }
    }

    /// Takes what belongs to the body off the front of `unread`.
    fn take(&mut self, unread: &mut BytesMut) -> Result<Option<Bytes>, ChunkError> {
        let len = match self {
            Self::UntilEnd => unread.len(),
            Self::Length(left) => {
                let len =
                    usize::try_from(*left).map_or(unread.len(), |left| left.min(unread.len()));
                *left -= len as u64;
                len
            }
            Self::Chunked(chunks) => {
                let framing = chunks.framing(unread);
                unread.advance(framing);
                chunks.data(unread)
            }
        };
        let piece = unread.split_to(len).freeze();
        if let Self::Chunked(chunks) = self {
            // The end of the body may have come along.
            let framing = chunks.framing(unread);
            unread.advance(framing);
        }
        if unread.is_empty() {
            // What has been given out keeps the memory; nothing else is to.
            *unread = BytesMut::new();
        }
        match self {
            Self::Chunked(chunks) if piece.is_empty() => chunks.fault().map_or(Ok(None), Err),
            _ => Ok((!piece.is_empty()).then_some(piece)),
        }
    }
}
