//! The bodies of an ordinary request on their way through: counted, and given up when the client
//! is gone. The line in the access log is written when the answer's body is over.

use super::Gate;
use super::body::Broken;
use super::link::Link;
use super::request::Story;
use super::service::Service;
use crate::causes;
use crate::http::{RequestId, Target};
use crate::telemetry::access_log::Requested;
use crate::upstream::{AnswerCut, Streamed};
use bytes::Bytes;
use http::{Method, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// The client's body on its way to the upstream.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) body: Incoming,
    pub(super) bytes: Arc<AtomicU64>,
}

/// The upstream's body on its way to the client.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) body: Streamed<Upload>,
    pub(super) link: Arc<Link>,
    /// Whether only a reset can tell the client that the body broke off.
    pub(super) ends_with_connection: bool,
    pub(super) ledger: Ledger,
}

/// What is known of a request that was passed on; dropping it counts and logs it.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) gate: Arc<Gate>,
    pub(super) worker: usize,
    pub(super) request_id: RequestId,
    pub(super) listener: Arc<str>,
    pub(super) client: Option<IpAddr>,
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) route: Arc<str>,
    pub(super) upstream: Arc<str>,
    /// None, where the gateway itself has answered.
    pub(super) endpoint: Option<String>,
    pub(super) identity: Option<String>,
    pub(super) status: StatusCode,
    pub(super) started: Instant,
    pub(super) to_upstream: Arc<AtomicU64>,
    pub(super) to_client: u64,
    pub(super) end: End,
}

impl Ledger {
    /// Of an answer that is complete as it is.
    pub(super) fn new(
        story: &Story<'_>,
        service: &Service,
        method: Method,
        target: &Target,
        status: StatusCode,
    ) -> Self {
        let exchange = story.exchange;
        Self {
            gate: exchange.gate.clone(),
            worker: exchange.worker,
            request_id: story.id,
            listener: exchange.site.listener(exchange.listener).name.clone(),
            client: story.client.address,
            method,
            host: target.host.clone(),
            path: target.path.clone(),
            route: service.name.clone(),
            upstream: service.upstream.clone(),
            endpoint: None,
            identity: None,
            status,
            started: story.started,
            to_upstream: Arc::default(),
            to_client: 0,
            end: End::Complete,
        }
    }
}

/// How an answer's body ended.
#[derive(Debug)]
pub(super) enum End {
    /// It has not: who wants to write it to the client has given up.
    Dropped,
    Complete,
    Cut(AnswerCut),
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.link.has_hung_up() || matches!(self.ledger.end, End::Cut(_)) {
            return Poll::Ready(Some(Err(Broken)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if self.body.is_end_stream() && !matches!(frame, Some(Err(_))) {
            self.ledger.end = End::Complete;
        }
        match frame {
            Some(Ok(frame)) => {
                self.ledger.to_client += frame.data_ref().map_or(0, |data| data.len() as u64);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(cut)) => {
                self.cut(cut);
                // hyper writes what it has before it is told.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !matches!(self.ledger.end, End::Cut(_))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Passing {
    fn cut(&mut self, cut: AnswerCut) {
        if self.ends_with_connection {
            self.link.cut();
        }
        self.ledger.end = End::Cut(cut);
    }
}

impl End {
    /// One word for logs and metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Dropped => "client_gone",
            Self::Complete => "complete",
            Self::Cut(cut) => cut.label(),
        }
    }

    fn detail(&self) -> Option<String> {
        let Self::Cut(cut) = self else { return None };
        Some(causes::in_line(cut))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let counts = self.gate.metrics.at(self.worker);
        let status = self.status.as_u16();
        counts.requested(&self.listener, Some(&self.route), status, self.end.label());
        self.gate.access_log.requested(&Requested {
            request_id: self.request_id.as_str(),
            listener: &self.listener,
            client: self.client,
            method: self.method.as_str(),
            host: &self.host,
            path: &self.path,
            route: &self.route,
            upstream: &self.upstream,
            endpoint: self.endpoint.as_deref(),
            identity: self.identity.as_deref(),
            status: self.status.as_u16(),
            reason: self.end.label(),
            detail: self.end.detail().as_deref(),
            to_upstream_bytes: self.to_upstream.load(Ordering::Relaxed),
            to_client_bytes: self.to_client,
            took: self.started.elapsed(),
        });
    }
}
