//! URLs that the gateway itself asks: key sets, services.

use super::Scheme;
use super::host::parse_authority;
use super::kind::{Kind, Parsed, Shape, parsed};
use super::problem::Problem;
use super::reader::Node;
use std::fmt;

/// An `http://` or `https://` URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// Whether it is asked over TLS.
    pub scheme: Scheme,
    /// Lower-case name, or an IP literal (IPv6 in brackets).
    pub host: String,
    /// Explicit or default port.
    pub port: u16,
    /// The path, and the query if there is one; at least `/`.
    pub path_and_query: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = match self.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path_and_query)
    }
}

/// A kind: a [`Url`].
pub(super) fn url() -> UrlKind {
    UrlKind
}

/// See [`url`].
pub(super) struct UrlKind;

impl Kind for UrlKind {
    type Out = Url;

    fn read(&self, node: &Node<'_>) -> Option<Url> {
        if node.written().contains('@') {
            node.hide_strings(&[]); // a password, which does not belong here
        }
        written().read(node)
    }

    fn shape(&self) -> Shape {
        written().shape()
    }
}

fn written() -> Parsed<Url> {
    parsed(
        "a URL such as `\"https://id.example.com/keys\"`",
        "^https?://",
        parse,
    )
}

/// Whether `text` is meant for a URL, right or wrong.
pub(super) fn is_url(text: &str) -> bool {
    text.contains("://")
}

pub(super) fn parse(text: &str) -> Result<Url, Problem> {
    let (scheme, port, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, 80, rest),
        Some(("https", rest)) => (Scheme::Https, 443, rest),
        _ => return Err(not_url(text).help("write `https://` or `http://`, host and path")),
    };
    let (authority, behind) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    if authority.contains('@') {
        return Err(Problem::new("this URL has a user and a password")
            .help("leave them out: they would be sent nowhere"));
    }
    if behind.contains('#') {
        return Err(not_url(text).label("what stands behind `#` is never sent"));
    }
    if !behind.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            not_url(text).label("write what is not ASCII, and blanks, as `%` and two digits")
        );
    }
    let (host, explicit) = parse_authority(authority)?;
    let slash = if behind.starts_with('/') { "" } else { "/" };
    Ok(Url {
        scheme,
        host,
        port: explicit.unwrap_or(port),
        path_and_query: format!("{slash}{behind}"),
    })
}

fn not_url(text: &str) -> Problem {
    Problem::new(format!("`{text}` is not a URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_they_are_shown() {
        for (text, shown) in [
            ("https://id.example.com/keys", "https://id.example.com/keys"),
            ("https://ID.example.com:443", "https://id.example.com/"),
            (
                "http://127.0.0.1:4180/check?a=%20",
                "http://127.0.0.1:4180/check?a=%20",
            ),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
            ("http://a?b=c/d", "http://a/?b=c/d"),
            ("https://a:80/", "https://a:80/"),
        ] {
            let read = parse(text).ok().map(|url| url.to_string());
            assert_eq!(read.as_deref(), Some(shown), "{text}");
        }
        for wrong in [
            "",
            "id.example.com/keys",
            "ftp://a/",
            "ws://a/",
            "https://",
            "https:///keys",
            "https://u:p@a/",
            "https://a/#b",
            "https://a/ b",
            "https://a/é",
            "https://a:0/",
            "https://*.a/",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
