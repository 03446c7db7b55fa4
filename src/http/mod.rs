//! HTTP as far as a WebSocket handshake needs it: what a client asks, what an upstream may answer,
//! which headers pass, what a refused client reads.
//!
//! Pure: no socket, clock or task, and no knowledge of routes or settings. Rules are those of
//! RFC 9110 and 9112 (HTTP/1.1), RFC 6454 (Origin), RFC 6455 (handshake), RFC 7692 (compression).

mod answer;
mod authority;
mod cache_control;
mod chunked;
mod client;
pub mod cookie;
mod deflate;
mod extension;
mod forwarded;
mod framing;
mod handshake;
mod head;
mod headers;
mod key;
mod line;
mod negotiation;
mod opaque;
mod origin;
mod path;
pub mod query;
mod random;
mod reply;
mod request_id;
mod target;
mod token;

#[doc(hidden)]
pub mod fuzzing;

pub use answer::{AnswerBody, AnswerError, AnswerHead, AnswerScan};
pub use authority::{Authority, AuthorityError};
pub use cache_control::CacheControl;
pub use chunked::{ChunkError, Chunks};
pub use client::Told;
pub use deflate::{ClientWindow, DeflateAnswer, DeflateOffer};
pub use forwarded::Forwarded;
pub use framing::{Body, Head};
pub use handshake::{Ask, Handshake, HandshakeError, SubprotocolsError};
pub use head::{HeadError, HeadScan, MAX_HEADERS, check_head};
pub use headers::{Reserved, keep_end_to_end};
pub use key::{accept_key, fresh_key};
pub use negotiation::{
    Agreed, Asked, NegotiationError, check_answer, check_extensions, check_subprotocol,
    offer_for_upstream,
};
pub use opaque::opaque_value;
pub use origin::{Origin, OriginError, Scheme};
pub use path::{PathError, check_path};
pub use reply::{refusal, to_bytes};
pub use request_id::RequestId;
pub use target::{Target, TargetError};
