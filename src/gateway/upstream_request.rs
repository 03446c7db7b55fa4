//! The request as the upstream gets it, whether it is a handshake or not: what the client said end
//! to end, less what the gateway used up, plus what the gateway vouches for.

use super::affinity::Bond;
use super::request::Story;
use super::service::Service;
use crate::admission::Permit;
use crate::admission::auth::Proof;
use crate::http::{Forwarded, Target, keep_end_to_end};
use crate::upstream::Ask;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

/// What both kinds have in common; a handshake adds its offers.
pub(super) fn upstream_ask(
    story: &Story<'_>,
    service: &Service,
    permit: &Permit,
    bond: &Bond,
    parts: &mut Parts,
    target: &Target,
) -> Ask {
    let exchange = story.exchange;
    let mut headers = std::mem::take(&mut parts.headers);
    let mut query = target.query.clone();
    let host = target.authority();
    keep_end_to_end(&mut headers);
    permit.strip(&mut headers, &mut query);
    exchange.site.reserved.strip(&mut headers);

    let rewritten = service.rewrite.apply(&target.path);
    let asked_for = story.client.asked_for().map(ToString::to_string);
    Forwarded {
        chain: &story.client.chain,
        scheme: story.client.scheme,
        host: asked_for.as_deref().unwrap_or(&host),
        prefix: rewritten.prefix.as_deref(),
        request_id: story.id.as_str(),
    }
    .apply(&mut headers);
    identify(service, permit, &mut headers);
    service.request_headers.apply(&mut headers);

    Ask {
        path_and_query: match query {
            Some(query) => format!("{}?{query}", rewritten.path),
            None => rewritten.path,
        },
        host,
        affinity: bond.affinity,
        source: story.client.source(exchange),
        headers,
        subprotocols: Vec::new(),
        deflate: None,
    }
}

/// What the methods tell the upstream; of two that say the same thing, the one that gives the session
/// its identity, or else the first.
fn proven(proofs: &[Proof]) -> HeaderMap {
    let mut proven = HeaderMap::new();
    for proof in proofs {
        let earlier: Vec<_> = match proof.headers.is_empty() {
            true => Vec::new(),
            false => proven.keys().cloned().collect(),
        };
        for (name, value) in &proof.headers {
            if !earlier.contains(name) {
                proven.append(name, value.clone());
            }
        }
    }
    proven
}

fn identify(service: &Service, permit: &Permit, headers: &mut HeaderMap) {
    headers.extend(proven(&permit.proofs));
    let (Some(name), Some(identity)) = (&service.identity_header, permit.identity()) else {
        return;
    };
    // Admission refuses identities with control characters; anything else is a legal value.
    if let Ok(value) = HeaderValue::from_bytes(identity.to_string().as_bytes()) {
        headers.insert(name.clone(), value);
    }
}
