//! The body of an answer: whole bytes, as of all that the gateway says itself, or what an upstream
//! streams.

use super::link::Link;
use super::passing::Passing;
use bytes::Bytes;
use hyper::body::{self, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What hyper sends. Dropping it says that hyper has all it will get.
#[derive(Debug)]
pub(super) struct Body {
    kind: Kind,
    link: Option<Arc<Link>>,
}

#[derive(Debug)]
enum Kind {
    Whole(Option<Bytes>),
    Passing(Box<Passing>),
}

/// The answer broke off. Why is in the log; hyper only has to know that it did.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(super) struct Broken;

impl Body {
    /// What an upstream streams.
    pub(super) fn passing(passing: Passing) -> Self {
        Self {
            kind: Kind::Passing(Box::new(passing)),
            link: None,
        }
    }

    /// Tells `link` when it is over.
    pub(super) fn tells(mut self, link: Arc<Link>) -> Self {
        self.link = Some(link);
        self
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
            link: None,
        }
    }
}

impl body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.kind {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Passing(passing) => Pin::new(&mut **passing).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Passing(passing) => passing.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Passing(passing) => passing.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.close();
        }
    }
}
