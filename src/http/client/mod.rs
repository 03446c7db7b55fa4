//! Who the client is, when trusted proxies stand between: what their headers tell, and how far it is
//! believed (RFC 7239, and the `X-Forwarded-*` that came before it).
//!
//! Each proxy adds what it knows at the right end of a list, behind what it was told. So everything is
//! read from right to left and only as far as trusted proxies wrote it; what a client wrote stands
//! further left and is never looked at.

mod element;
mod entries;
pub(super) mod fuzzing;
mod node;

use super::{Authority, Scheme};
use element::Element;
use entries::{elements, entries};
use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use node::node;
use std::net::IpAddr;

/// What trusted proxies tell of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// From the client to the hop before the connection's own peer, as far as trusted proxies vouch
    /// for it. Empty: nothing that could be believed.
    pub hops: Vec<IpAddr>,
    /// How the client reached the outermost of them.
    pub scheme: Option<Scheme>,
    /// The host that the client asked it for.
    pub host: Option<Authority>,
}

impl Told {
    /// Reads `header`, and what goes with it, of a request whose peer is trusted.
    ///
    /// The walk ends with the first address that is not trusted, which is the client's, or before
    /// the first entry that cannot be read.
    pub fn by(
        headers: &HeaderMap,
        header: &HeaderName,
        is_trusted: impl Fn(IpAddr) -> bool,
    ) -> Self {
        let mut told = match *header == FORWARDED {
            true => Self::by_elements(headers, is_trusted),
            false => Self::by_lists(headers, header, is_trusted),
        };
        told.hops.reverse();
        told
    }

    /// RFC 7239: one header, in which each element has all that one proxy tells.
    fn by_elements(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Self {
        let mut told = Self::default();
        for element in elements(headers, &FORWARDED).take(HOPS_MAX) {
            let Some(element) = element.and_then(Element::parse) else {
                break;
            };
            // Where a proxy does not tell, the next one's word is the best there is.
            told.scheme = element.proto.as_deref().and_then(scheme).or(told.scheme);
            let host = element.host.as_deref().and_then(host);
            told.host = host.or(told.host);
            let Some(hop) = element.client.as_deref().and_then(node) else {
                break;
            };
            told.hops.push(hop);
            if !is_trusted(hop) {
                break;
            }
        }
        told
    }

    /// A header for each fact, each a list or the word of the outermost proxy alone.
    fn by_lists(
        headers: &HeaderMap,
        header: &HeaderName,
        is_trusted: impl Fn(IpAddr) -> bool,
    ) -> Self {
        let mut hops = Vec::new();
        for entry in entries(headers, header).take(HOPS_MAX) {
            let Some(hop) = entry.and_then(node) else {
                break;
            };
            hops.push(hop);
            if !is_trusted(hop) {
                break;
            }
        }
        // As many proxies as there are hops have written to these, at most.
        let outermost =
            |name: HeaderName| entries(headers, &name).take(hops.len().max(1)).last()?;
        Self {
            scheme: outermost(X_FORWARDED_PROTO).and_then(scheme),
            host: outermost(X_FORWARDED_HOST).and_then(host),
            hops,
        }
    }
}

/// WebSocket's schemes are told by some, where others tell those of HTTP.
fn scheme(text: &str) -> Option<Scheme> {
    let is = |name: &&str| text.eq_ignore_ascii_case(name);
    match () {
        () if ["http", "ws"].iter().any(is) => Some(Scheme::Http),
        () if ["https", "wss"].iter().any(is) => Some(Scheme::Https),
        () => None,
    }
}

fn host(text: &str) -> Option<Authority> {
    Authority::parse(text).ok()
}

/// More proxies than stand in any row.
const HOPS_MAX: usize = 32;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests;
