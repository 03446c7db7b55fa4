//! What a request brings under a name: `header:NAME`, `cookie:NAME` or `query:NAME`.

use super::header::{is_token, parse_name};
use super::problem::Problem;

/// What `text` names, as `header`, `cookie` or `query` makes it of the name. `None`: none of them.
pub(super) fn parse<T>(
    text: &str,
    [header, cookie, query]: [fn(String) -> T; 3],
) -> Option<Result<T, Problem>> {
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    // As it stands in a query without being decoded.
    let is_plain = !name.contains(['&', '%', '+', '#']);
    Some(match kind {
        "header" => parse_name(name).map(header),
        "cookie" if is_token(name) => Ok(cookie(name.to_owned())),
        "query" if is_token(name) && is_plain => Ok(query(name.to_owned())),
        "cookie" | "query" => Err(Problem::new(format!("`{name}` is not a name of a {kind}"))),
        _ => return None,
    })
}
