//! `sources`: where a credential stands in a request.

use crate::config::brought;
use crate::config::header::is_token;
use crate::config::kind::{Parsed, parsed};
use crate::config::problem::Problem;

/// One of `sources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// `header:NAME`, lower case; `header` alone is `authorization`.
    Header(String),
    /// `cookie:NAME`
    Cookie(String),
    /// `query:NAME`
    Query(String),
    /// `subprotocol:PREFIX`: an element of `Sec-WebSocket-Protocol` that begins with it, where it ends
    /// in a dot; else the element behind it.
    Subprotocol(String),
}

const WHAT: &str = "`\"header\"` (`Authorization: Bearer`), `\"header:NAME\"`, `\"cookie:NAME\"`, \
    `\"query:NAME\"` or `\"subprotocol:PREFIX\"`";

pub(super) fn source() -> Parsed<CredentialSource> {
    parsed(
        WHAT,
        "^(header$|(header|cookie|query|subprotocol):.)",
        parse,
    )
}

fn parse(text: &str) -> Result<CredentialSource, Problem> {
    use CredentialSource::{Cookie, Header, Query, Subprotocol};
    if text == "header" {
        return Ok(Header("authorization".to_owned()));
    }
    if let Some(prefix) = text.strip_prefix("subprotocol:") {
        return match is_token(prefix) {
            true => Ok(Subprotocol(prefix.to_owned())),
            false => Err(
                Problem::new(format!("`{prefix}` cannot stand in a subprotocol"))
                    .help("write `\"subprotocol:bearer.\"` for `bearer.TOKEN`, or `\"subprotocol:bearer\"` for `bearer` and the token behind it"),
            ),
        };
    }
    brought::parse(text, [Header, Cookie, Query]).unwrap_or_else(|| {
        Err(
            Problem::new(format!("`{text}` is not a source of credentials"))
                .help(format!("write {WHAT}")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        use CredentialSource::{Cookie, Header, Query, Subprotocol};
        let check = |text: &str, expected| assert_eq!(parse(text).ok(), expected, "{text}");
        check("header", Some(Header("authorization".into())));
        check("header:X-Token", Some(Header("x-token".into())));
        check("cookie:token", Some(Cookie("token".into())));
        check("query:token", Some(Query("token".into())));
        check("subprotocol:bearer.", Some(Subprotocol("bearer.".into())));
        check("subprotocol:bearer", Some(Subprotocol("bearer".into())));
        for wrong in [
            "",
            "header:",
            "header:a b",
            "cookie",
            "query:a&b",
            "subprotocol",
            "subprotocol:",
            "subprotocol:a,b",
            "subprotocol:a b",
            "body:token",
        ] {
            check(wrong, None);
        }
    }
}
