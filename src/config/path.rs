//! Paths: what `path` matches, and the prefixes that are taken off and put before.

use super::PathPattern;
use super::kind::{Parsed, parsed};
use super::problem::Problem;

/// A kind: an entry of `path`.
pub(super) fn path() -> Parsed<PathPattern> {
    parsed(
        "a path such as `\"/chat\"` or `\"/chat/*\"`",
        "^/",
        parse_pattern,
    )
}

/// A kind: `strip_prefix` and `add_prefix`.
pub(super) fn prefix() -> Parsed<String> {
    parsed("a path such as `\"/chat\"`", "^/.", parse_prefix)
}

fn parse_pattern(text: &str) -> Result<PathPattern, Problem> {
    if let Some(prefix) = text.strip_suffix("/*") {
        if !prefix.is_empty() {
            check(text, prefix)?;
        }
        return Ok(PathPattern::Prefix(prefix.to_owned()));
    }
    check(text, text)?;
    Ok(PathPattern::Exact(text.to_owned()))
}

fn parse_prefix(text: &str) -> Result<String, Problem> {
    if text == "/" {
        return Err(not_path(text).help("leave the key out: every path begins with `/`"));
    }
    let bare = text.strip_suffix("/*").or_else(|| text.strip_suffix('/'));
    if let Some(bare) = bare.filter(|bare| bare.starts_with('/')) {
        return Err(not_path(text).help(format!(
            "write `\"{bare}\"`: whole segments are meant anyway"
        )));
    }
    if !text.starts_with('/') {
        let bare = text.trim_end_matches(['/', '*']);
        return Err(not_path(text).help(format!("write `\"/{bare}\"`")));
    }
    check(text, text)?;
    Ok(text.to_owned())
}

/// Whether a request could have `path`; `text` is what was written. Requests with the forms that
/// are refused here are refused by the gateway, so that nothing would ever match.
fn check(text: &str, path: &str) -> Result<(), Problem> {
    if !path.starts_with('/') {
        let problem = not_path(text).label("should begin with `/`");
        return Err(match path.split_once("://") {
            Some(_) => problem.help("write the host as `host`"),
            None => problem.help(format!("write `\"/{text}\"`")),
        });
    }
    if path.contains('*') {
        return Err(not_path(text)
            .help("`/*` may only stand at the end: `\"/chat/*\"` is `/chat` and all below it"));
    }
    if path.contains("//") || text.ends_with("//*") {
        return Err(not_path(text).label("an empty segment"));
    }
    if path
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err(not_path(text).label("`.` and `..` never reach a route"));
    }
    if let Some(char) = path.chars().find(|char| "?#;\\".contains(*char)) {
        return Err(not_path(text).label(format!("`{char}` is not part of a path that is matched")));
    }
    if path.chars().any(|char| !char.is_ascii_graphic()) {
        return Err(not_path(text)
            .help("write blanks and letters that are not ASCII as they go over the wire: `%20`"));
    }
    check_escapes(text, path)
}

fn check_escapes(text: &str, path: &str) -> Result<(), Problem> {
    for (at, _) in path.match_indices('%') {
        let digits = path.get(at + 1..at + 3).unwrap_or_default();
        let byte = u8::from_str_radix(digits, 16).ok();
        let byte = byte.filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte {
            None => return Err(not_path(text).help("write `%` itself as `%25`")),
            Some(0 | b'/' | b'\\' | b'.') => {
                return Err(not_path(text).label(format!("`%{digits}` never reaches a route")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn not_path(text: &str) -> Problem {
    Problem::new(format!("`{text}` is not a path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let exact = |path: &str| Some(PathPattern::Exact(path.to_owned()));
        let prefix = |path: &str| Some(PathPattern::Prefix(path.to_owned()));
        let check = |text: &str, expected| assert_eq!(parse_pattern(text).ok(), expected, "{text}");
        check("/", exact("/"));
        check("/chat", exact("/chat"));
        check("/chat/", exact("/chat/"));
        check("/a%20b", exact("/a%20b"));
        check("/*", prefix(""));
        check("/chat/*", prefix("/chat"));
        check("/a/b.c/*", prefix("/a/b.c"));
        for wrong in [
            "", "chat", "*", "/chat*", "/*/a", "/a/*/*", "//", "//*", "/a//b", "/a/../b", "/./",
            "/a?b", "/a#b", "/a;b", "/a b", "/ä", "/a%2fb", "/a%5Cb", "/%2e", "/%00", "/%", "/%+1",
            "/a\\b", "ws://a/b",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn prefixes() {
        assert_eq!(parse_prefix("/chat").ok(), Some("/chat".to_owned()));
        for wrong in ["", "/", "/chat/", "/chat/*", "chat", "/a//b"] {
            assert_eq!(parse_prefix(wrong).ok(), None, "{wrong}");
        }
    }
}
