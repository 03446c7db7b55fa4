//! Which headers pass from one leg to the other (RFC 9110 §7.6.1).

use super::token::elements;
use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST,
    HeaderName, ORIGIN, SET_COOKIE,
};
use std::cmp::Ordering;

/// Takes out what is not for the other leg: what is meant for the next hop alone (a fixed set, and what
/// `Connection` names), and every `Sec-WebSocket-*`, as each leg has a handshake of its own.
///
/// Comes before the gateway sets headers of its own, so that no client can name those away; and a
/// client cannot name away what an upstream decides by, as a browser never would.
pub fn keep_end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = elements(headers, &CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !is_hop_by_hop(name.as_str()) && !END_TO_END.contains(name))
        .collect();
    remove_where(headers, |header| {
        let name = header.as_str();
        is_hop_by_hop(name)
            || is_of_handshake(name)
            || is_framing_in_disguise(name)
            || named.contains(header)
    });
}

/// Whether a server that folds `_` and `.` would take `name` for what frames a message, which only
/// the real one may.
fn is_framing_in_disguise(name: &str) -> bool {
    let is_disguised = || name.bytes().any(|byte| matches!(byte, b'_' | b'.'));
    let is_like = |real: &&str| real.len() == name.len() && folded(name).eq(real.bytes());
    FRAMING.iter().any(is_like) && is_disguised()
}

fn is_of_handshake(name: &str) -> bool {
    let start = folded(name).take(HANDSHAKE.len());
    start.eq(HANDSHAKE.bytes())
}

/// Header names that the gateway sets and no client may: compared without case, and with `_`, `.` and
/// all other signs as `-`, because servers behind fold these (`X_Auth_Identity`, and for some
/// `X~Auth~Identity`, becomes the same variable).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reserved {
    /// Folded and sorted.
    names: Vec<String>,
}

impl Reserved {
    /// Reserves `names`, in any spelling.
    pub fn new<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        let fold_name = |name: N| name.as_ref().bytes().map(fold).map(char::from).collect();
        let mut names: Vec<String> = names.into_iter().map(fold_name).collect();
        names.sort();
        names.dedup();
        Self { names }
    }

    /// Whether `name` is one of them, or an alias.
    pub fn contains(&self, name: &str) -> bool {
        let compare = |reserved: &String| -> Ordering { reserved.bytes().cmp(folded(name)) };
        self.names.binary_search_by(compare).is_ok()
    }

    /// All of them, folded.
    #[cfg(test)]
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Takes all of them out of what a client sent.
    pub fn strip(&self, headers: &mut HeaderMap) {
        if !self.names.is_empty() {
            remove_where(headers, |name| self.contains(name.as_str()));
        }
    }
}

/// Removes all lines whose name `is_unwanted`.
pub(super) fn remove_where(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    let unwanted: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_unwanted(name))
        .cloned()
        .collect();
    for name in unwanted {
        headers.remove(name);
    }
}

/// `name` as servers behind may read it.
pub(super) fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(fold)
}

fn fold(byte: u8) -> u8 {
    match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'-',
    }
}

/// Prefix of the headers of a WebSocket handshake.
const HANDSHAKE: &str = "sec-websocket-";

/// Whether it is meant for the next hop, whether `Connection` names it or not.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            // No header at all, but CGI makes `HTTP_PROXY` of it, by which programs choose a proxy.
            | "proxy"
            // Would send the client past the gateway.
            | "alt-svc"
            | "alt-used"
    )
}

/// What says where a message ends.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// Never meant for the next hop alone (RFC 9110 §7.6.1 forbids to name such); taking them out would
/// change what the request says.
static END_TO_END: [HeaderName; 8] = [
    HOST,
    ORIGIN,
    COOKIE,
    SET_COOKIE,
    AUTHORIZATION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CACHE_CONTROL,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn hop_by_hop_headers_stay_behind() {
        let mut found = headers(&[
            ("connection", "Upgrade, X-Hop"),
            ("connection", "x-other,, b d"),
            ("upgrade", "websocket"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("alt-svc", "h3=\":443\""),
            ("x-hop", "1"),
            ("x-hop", "2"),
            ("x-other", "1"),
            ("x-end", "1"),
            ("proxy", "http://evil.example"),
            ("content_length", "5"),
            ("transfer.encoding", "chunked"),
            ("content-length", "0"),
        ]);
        keep_end_to_end(&mut found);
        assert_eq!(names(&found), ["content-length", "x-end"]);
    }

    #[test]
    fn connection_cannot_name_away_what_an_upstream_decides_by() {
        let mut found = headers(&[
            (
                "connection",
                "Upgrade, Host, Origin, cookie, Authorization, x-mine",
            ),
            ("host", "a.example"),
            ("origin", "https://evil.example"),
            ("cookie", "a=b"),
            ("authorization", "Basic eDp5"),
            ("x-mine", "1"),
        ]);
        keep_end_to_end(&mut found);
        assert_eq!(names(&found), ["authorization", "cookie", "host", "origin"]);
    }

    #[test]
    fn each_leg_has_its_own_handshake() {
        let mut found = headers(&[
            ("sec-websocket-key", "x"),
            ("sec-websocket-extensions", "x"),
            ("sec-websocket-anything", "x"),
            ("sec_websocket_accept", "x"),
            ("sec-websocket", "x"),
            ("sec-fetch-site", "same-origin"),
        ]);
        keep_end_to_end(&mut found);
        assert_eq!(names(&found), ["sec-fetch-site", "sec-websocket"]);
    }

    #[test]
    fn reserved_names_are_stripped_in_every_spelling() {
        let reserved = Reserved::new(["X-Auth-Identity", "x.org"]);
        for (name, expected) in [
            ("x-auth-identity", true),
            ("x_auth_identity", true),
            ("x.auth.identity", true),
            ("x-auth_identity", true),
            ("x~auth!identity", true),
            ("x_org", true),
            ("x-org", true),
            ("x-authidentity", false),
            ("x-auth-identity-2", false),
            ("x-auth", false),
            ("cookie", false),
        ] {
            let mut found = headers(&[(name, "1"), (name, "2")]);
            reserved.strip(&mut found);
            assert_eq!(found.is_empty(), expected, "{name}");
        }
    }

    #[test]
    fn nothing_reserved_strips_nothing() {
        let mut found = headers(&[("x-auth-identity", "1")]);
        Reserved::new([""; 0]).strip(&mut found);
        assert_eq!(found.len(), 1);
    }
}
