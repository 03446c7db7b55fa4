//! `sources`: where a credential stands in a request.

use crate::config::brought;
use crate::config::kind::{Parsed, parsed};
use crate::config::problem::Problem;

/// One of `sources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// `header:NAME`, lower case.
    Header(String),
    /// `cookie:NAME`
    Cookie(String),
    /// `query:NAME`
    Query(String),
}

pub(super) fn source() -> Parsed<CredentialSource> {
    parsed(
        "`\"header:NAME\"`, `\"cookie:NAME\"` or `\"query:NAME\"`",
        "^(header|cookie|query):.",
        |text| {
            use CredentialSource::{Cookie, Header, Query};
            brought::parse(text, [Header, Cookie, Query]).unwrap_or_else(|| {
                Err(Problem::new(format!("`{text}` is not a source of keys"))
                    .help("write `\"header:NAME\"`, `\"cookie:NAME\"` or `\"query:NAME\"`"))
            })
        },
    )
}
