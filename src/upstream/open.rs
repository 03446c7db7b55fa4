//! The WebSocket handshake with an endpoint, by hand: one write, then the answer (RFC 6455 §4.1).
//!
//! By hand, since a general HTTP client keeps tasks and buffers that a session must not carry, and
//! would let an answer pass that is no WebSocket.

use super::answer::{HEAD_LIMIT, Head, end_of_head, end_to_end, may_be_http};
use super::ask::Ask;
use super::body::Body;
use super::endpoint::Lease;
use super::error::{BrokenAnswer, OpenError, Refused, Stage};
use crate::http::{Agreed, fresh_key};
use crate::net::Stream;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Interim answers that are passed over before the one that counts.
pub(super) const INTERIM_LIMIT: usize = 4;
/// Room for a usual answer.
const USUAL_HEAD: usize = 1024;

/// An upstream that has agreed.
#[derive(Debug)]
pub struct Opened {
    /// The leg.
    pub stream: Stream,
    /// What came behind the answer already.
    pub early: Bytes,
    /// Headers of the answer that are for the client.
    pub headers: HeaderMap,
    /// What the upstream chose.
    pub subprotocol: Option<String>,
    /// Parameters of permessage-deflate, if the upstream agreed to it.
    pub deflate: Option<HeaderValue>,
    /// The place on the endpoint; to be kept as long as the session.
    pub lease: Lease,
    /// How many endpoints were tried, this one included.
    pub attempts: u32,
}

/// An answer that agrees.
#[derive(Debug)]
pub(super) struct Answer {
    early: Bytes,
    headers: HeaderMap,
    agreed: Agreed,
}

/// Why no answer came that could be looked at.
enum Fault {
    Lost(Option<io::Error>),
    Broken(BrokenAnswer),
}

/// Asks `endpoint` at the other end of `stream`, which gets the `Host` given, and waits for its
/// answer until `until`.
pub(super) async fn open(
    stream: &mut Stream,
    ask: &Ask,
    host: &str,
    endpoint: &str,
    until: Instant,
) -> Result<Answer, OpenError> {
    let key = fresh_key();
    let request = ask.head(host, &key)?;
    let mut buffer = BytesMut::with_capacity(USUAL_HEAD);
    let answered = timeout_at(until, exchange(stream, &request, &mut buffer)).await;
    let head = match answered {
        Ok(Ok(head)) => head,
        Ok(Err(fault)) => return Err(fault.at(endpoint)),
        Err(_) => {
            return Err(OpenError::Timeout {
                stage: Stage::Answer,
                endpoint: Some(endpoint.to_owned()),
            });
        }
    };
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(stream, head, &buffer, endpoint, until).await);
    }
    let agreed = head
        .check(&key, ask)
        .map_err(|why| Fault::Broken(why).at(endpoint))?;
    Ok(Answer {
        // A copy: usually it is empty, and the buffer should not live as long as the session.
        early: Bytes::copy_from_slice(&buffer),
        headers: end_to_end(head.headers),
        agreed,
    })
}

/// Sends the request and reads up to the end of the final head; what follows stays in `buffer`.
async fn exchange(
    stream: &mut Stream,
    request: &[u8],
    buffer: &mut BytesMut,
) -> Result<Head, Fault> {
    let sent = async {
        let sent = stream.send_at_once(request)?;
        stream.write_all(&request[sent..]).await?;
        stream.flush().await
    };
    sent.await.map_err(|error| Fault::Lost(Some(error)))?;
    for _ in 0..=INTERIM_LIMIT {
        let head = read_head(stream, buffer).await?;
        let is_final =
            !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS;
        if is_final {
            return Ok(head);
        }
        if buffer.is_empty() {
            // From here on the endpoint has answered: a loss is no reason to ask another.
            read_more(stream, buffer)
                .await
                .map_err(|_| Fault::Broken(BrokenAnswer::CutShort))?;
        }
    }
    Err(Fault::Broken(BrokenAnswer::TooManyInterim {
        limit: INTERIM_LIMIT,
    }))
}

/// Reads one head and takes it out of `buffer`.
async fn read_head(stream: &mut Stream, buffer: &mut BytesMut) -> Result<Head, Fault> {
    let mut scanned = 0;
    loop {
        if !may_be_http(buffer) {
            return Err(Fault::Broken(BrokenAnswer::NotHttp));
        }
        if let Some(end) = end_of_head(buffer, scanned) {
            let head = Head::parse(&buffer[..end]).map_err(Fault::Broken)?;
            buffer.advance(end);
            return Ok(head);
        }
        scanned = buffer.len();
        if scanned >= HEAD_LIMIT {
            return Err(Fault::Broken(BrokenAnswer::HeadTooLarge {
                limit: HEAD_LIMIT,
            }));
        }
        read_more(stream, buffer).await?;
    }
}

/// One read; the end of the stream is a fault, whose kind depends on whether anything has come.
async fn read_more(stream: &mut Stream, buffer: &mut BytesMut) -> Result<(), Fault> {
    buffer.reserve(USUAL_HEAD);
    let room = HEAD_LIMIT.saturating_sub(buffer.len()).max(1);
    let read = stream.read_buf(&mut (&mut *buffer).limit(room)).await;
    match read {
        Ok(1..) => Ok(()),
        _ if !buffer.is_empty() => Err(Fault::Broken(BrokenAnswer::CutShort)),
        Ok(_) => Err(Fault::Lost(None)),
        Err(error) => Err(Fault::Lost(Some(error))),
    }
}

/// Takes the body that explains a refusal, as far as it comes in time.
async fn refused(
    stream: &mut Stream,
    head: Head,
    begun: &[u8],
    endpoint: &str,
    until: Instant,
) -> OpenError {
    let mut body = Body::after(head.status, &head.headers);
    body.take(begun);
    let (body, truncated) = match timeout_at(until, read_body(stream, &mut body)).await {
        Ok(Ok(())) => body.finish(),
        // Reset or too late: what came so far is better than nothing.
        Ok(Err(_)) | Err(_) => body.abandon(),
    };
    OpenError::Refused(Box::new(Refused {
        endpoint: endpoint.to_owned(),
        status: head.status,
        headers: end_to_end(head.headers),
        body: body.into(),
        truncated,
    }))
}

async fn read_body(stream: &mut Stream, body: &mut Body) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    while body.wants_more() {
        buffer.clear();
        buffer.reserve(4096);
        if stream.read_buf(&mut buffer).await? == 0 {
            break;
        }
        body.take(&buffer);
    }
    Ok(())
}

impl Answer {
    /// The leg that it opens.
    pub(super) fn on(self, stream: Stream, lease: Lease, attempts: u32) -> Opened {
        Opened {
            stream,
            early: self.early,
            headers: self.headers,
            subprotocol: self.agreed.subprotocol,
            deflate: self.agreed.deflate,
            lease,
            attempts,
        }
    }
}

impl Fault {
    fn at(self, endpoint: &str) -> OpenError {
        let endpoint = endpoint.to_owned();
        match self {
            Self::Lost(source) => OpenError::Lost { endpoint, source },
            Self::Broken(why) => OpenError::BrokenAnswer { endpoint, why },
        }
    }
}
