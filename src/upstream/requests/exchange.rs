//! From a request to the head of its answer, over one connection.

use super::stall::Stall;
use super::streamed::Streamed;
use super::upload::Upload;
use super::{Answered, BoxError, Request, RequestError};
use crate::http::{AnswerHead, AnswerScan};
use crate::net::{Connection, Idle};
use crate::upstream::answer::{HEAD_LIMIT, end_to_end};
use crate::upstream::endpoint::Lease;
use crate::upstream::error::{BrokenAnswer, OpenError, Stage};
use crate::upstream::open::INTERIM_LIMIT;
use bytes::{Buf, Bytes};
use http::Method;
use http::header::CONTENT_LENGTH;
use hyper::body::Body;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A connection over which an answer has begun.
#[derive(Debug)]
pub(in crate::upstream) struct Exchanged {
    pub(in crate::upstream) connection: Connection,
    /// What came behind it is unread.
    pub(in crate::upstream) head: AnswerHead,
}

impl Exchanged {
    /// The answer for the client; see [`Streamed::new`] for the rest.
    pub(in crate::upstream) fn answered<B>(
        self,
        request: &Request,
        upload: Upload<B>,
        lease: Lease,
        home: Option<(Arc<Idle>, Duration)>,
    ) -> Answered<B>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let Self { connection, head } = self;
        let length = head.headers.get(CONTENT_LENGTH);
        let unsent = length.filter(|_| request.method == Method::HEAD).cloned();
        let (endpoint, is_early) = (lease.name().to_owned(), !upload.is_sent());
        let body = Streamed::new(&head, connection, upload, request, lease, home);
        Answered {
            status: head.status,
            headers: end_to_end(head.headers),
            unsent,
            body,
            endpoint,
            is_early,
        }
    }
}

/// Why no answer came that could be looked at.
#[derive(Debug)]
pub(in crate::upstream) enum Fault {
    /// The connection ended before any byte of an answer.
    Lost(Option<io::Error>),
    Broken(BrokenAnswer),
    /// No answer in time.
    NoAnswer,
    /// The endpoint does not take the request.
    NotTaken,
    /// The client's body broke off.
    Body(BoxError),
    /// The client's body stood still.
    BodyTooSlow,
}

/// Sends `upload` and waits for the head of the answer, which may come before all is sent. Of what
/// is left to send more goes out while the answer's body is read. Dropping it ends the connection.
pub(in crate::upstream) async fn exchange<B>(
    connection: Connection,
    upload: &mut Upload<B>,
    request: &Request,
) -> Result<Exchanged, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut answer = Awaited {
        connection,
        scan: AnswerScan::new(HEAD_LIMIT),
        interim: 0,
        stall: Stall::default(),
    };
    let head = poll_fn(|cx| answer.poll(cx, upload, request)).await?;
    Ok(Exchanged {
        connection: answer.connection,
        head,
    })
}

/// An answer that has not begun.
struct Awaited {
    connection: Connection,
    scan: AnswerScan,
    /// How many interim answers were passed over.
    interim: usize,
    stall: Stall,
}

impl Awaited {
    fn poll<B>(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Upload<B>,
        request: &Request,
    ) -> Poll<Result<AnswerHead, Fault>>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let moved = upload.moved();
        let uploaded = upload.poll(cx, &mut self.connection.stream);
        if let Poll::Ready(Err(error)) = uploaded {
            return Poll::Ready(Err(Fault::Body(error)));
        }
        if upload.moved() != moved {
            self.stall.ended();
        }
        if let Poll::Ready(answer) = self.poll_head(cx, &request.method) {
            return Poll::Ready(answer);
        }
        ready!(self.stall.poll(cx, patience(upload, request)));
        Poll::Ready(Err(match (upload.is_over(), upload.waits_for_client()) {
            (true, _) => Fault::NoAnswer,
            (false, true) => Fault::BodyTooSlow,
            (false, false) => Fault::NotTaken,
        }))
    }

    /// The head of the final answer.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
    ) -> Poll<Result<AnswerHead, Fault>> {
        loop {
            let unread = &mut self.connection.unread;
            let scanned = self.scan.scan(unread, method);
            match scanned.map_err(|why| Fault::Broken(why.into()))? {
                Some(head) => {
                    unread.advance(head.len);
                    if !head.status.is_informational() {
                        return Poll::Ready(Ok(head));
                    }
                    self.pass_over()?;
                }
                None => ready!(self.poll_more(cx))?,
            }
        }
    }

    /// An interim answer says nothing that the client waits for.
    fn pass_over(&mut self) -> Result<(), Fault> {
        self.interim += 1;
        self.scan = AnswerScan::new(HEAD_LIMIT);
        if self.interim > INTERIM_LIMIT {
            let limit = INTERIM_LIMIT;
            return Err(Fault::Broken(BrokenAnswer::TooManyInterim { limit }));
        }
        Ok(())
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let has_begun = self.interim > 0 || !self.connection.unread.is_empty();
        Poll::Ready(match ready!(self.connection.poll_fill(cx)) {
            Ok(1..) => Ok(()),
            _ if has_begun => Err(Fault::Broken(BrokenAnswer::CutShort)),
            Ok(_) => Err(Fault::Lost(None)),
            Err(error) => Err(Fault::Lost(Some(error))),
        })
    }
}

/// How long nothing may move: while the request is under way it is the body that must, afterwards
/// the upstream has its time to think.
fn patience<B>(upload: &Upload<B>, request: &Request) -> Option<Duration>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    match upload.is_over() {
        true => request.response,
        false => request.body,
    }
}

impl Fault {
    /// Whether it is that of a connection which the endpoint had closed before it got the request.
    pub(in crate::upstream) fn may_be_stale(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// The error for `endpoint`.
    pub(in crate::upstream) fn at(self, endpoint: &str) -> RequestError {
        let endpoint = endpoint.to_owned();
        let timeout = |stage, endpoint| OpenError::Timeout {
            stage,
            endpoint: Some(endpoint),
        };
        RequestError::Upstream(match self {
            Self::Lost(source) => OpenError::Lost { endpoint, source },
            Self::Broken(why) => OpenError::BrokenAnswer { endpoint, why },
            Self::NoAnswer => timeout(Stage::Response, endpoint),
            Self::NotTaken => timeout(Stage::Request, endpoint),
            Self::Body(error) => return RequestError::Body(error),
            Self::BodyTooSlow => return RequestError::BodyTooSlow,
        })
    }
}
