//! `origins`: whose pages may connect.

use super::host;
use super::kind::{Parsed, parsed};
use super::problem::Problem;
use super::{OriginPattern, Scheme};

/// A kind: an entry of `origins`.
pub(super) fn origin() -> Parsed<OriginPattern> {
    parsed(
        "an origin such as `\"https://app.example.com\"`, `\"https://*.example.com\"`, `\"*\"` or `\"null\"`",
        r"^(\*|null|https?://)",
        parse,
    )
}

fn parse(text: &str) -> Result<OriginPattern, Problem> {
    match text {
        "*" => return Ok(OriginPattern::Any),
        "null" => return Ok(OriginPattern::Null),
        _ => {}
    }
    let (scheme, rest) = scheme(text)?;
    if let Some((authority, behind)) = rest.split_once(['/', '?', '#']) {
        let label = match behind {
            "" => "a slash at the end is not part of an origin",
            _ => "a path is not part of an origin",
        };
        let bare = &text[..text.len() - rest.len() + authority.len()];
        return Err(not_origin(text)
            .label(label)
            .help(format!("write `\"{bare}\"`")));
    }
    if rest.contains('@') {
        return Err(not_origin(text).label("a user is not part of an origin"));
    }
    with_host(text, scheme, rest)
}

fn scheme(text: &str) -> Result<(Scheme, &str), Problem> {
    match text.split_once("://") {
        Some(("https", rest)) => Ok((Scheme::Https, rest)),
        Some(("http", rest)) => Ok((Scheme::Http, rest)),
        Some(("wss", rest)) => Err(page_scheme(text, "https", rest)),
        Some(("ws", rest)) => Err(page_scheme(text, "http", rest)),
        Some((other, _)) => Err(not_origin(text)
            .label(format!("`{other}` is not a scheme of web pages"))
            .help("write `https://` or `http://`")),
        None => Err(not_origin(text)
            .label("no scheme")
            .help(format!("write `\"https://{text}\"`"))),
    }
}

fn page_scheme(text: &str, scheme: &str, rest: &str) -> Problem {
    not_origin(text)
        .label("an origin is where the page comes from, not where it connects to")
        .help(format!("write `\"{scheme}://{rest}\"`"))
}

fn with_host(text: &str, scheme: Scheme, authority: &str) -> Result<OriginPattern, Problem> {
    let default_port = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    if let Some(suffix) = authority.strip_prefix("*.") {
        let (suffix, port) = host::split_port(suffix)?;
        return Ok(OriginPattern::Wildcard {
            scheme,
            suffix: host::parse_suffix(text, suffix)?,
            port: port.unwrap_or(default_port),
        });
    }
    let (host, port) = host::parse_authority(authority)?;
    Ok(OriginPattern::Exact {
        scheme,
        host,
        port: port.unwrap_or(default_port),
    })
}

fn not_origin(text: &str) -> Problem {
    Problem::new(format!("`{text}` is not an origin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let exact = |scheme, host: &str, port| {
            let host = host.to_owned();
            Some(OriginPattern::Exact { scheme, host, port })
        };
        let wildcard = |scheme, suffix: &str, port| {
            let suffix = suffix.to_owned();
            Some(OriginPattern::Wildcard {
                scheme,
                suffix,
                port,
            })
        };
        let check = |text: &str, expected| assert_eq!(parse(text).ok(), expected, "{text}");
        check("*", Some(OriginPattern::Any));
        check("null", Some(OriginPattern::Null));
        check("https://a.b", exact(Scheme::Https, "a.b", 443));
        check("https://A.b:8443", exact(Scheme::Https, "a.b", 8443));
        check(
            "http://localhost:3000",
            exact(Scheme::Http, "localhost", 3000),
        );
        check("http://[::1]:80", exact(Scheme::Http, "[::1]", 80));
        check("https://*.b", wildcard(Scheme::Https, "b", 443));
        check("http://*.b.c:81", wildcard(Scheme::Http, "b.c", 81));
        for wrong in [
            "",
            "a.b",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://a:0",
            "https://u@a",
            "wss://a",
            "ftp://a",
            "https://*",
            "https://a.*",
            "https://*.1.2.3.4",
            "Null",
            "https://ä.b",
        ] {
            check(wrong, None);
        }
    }
}
