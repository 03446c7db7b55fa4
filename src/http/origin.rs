//! Origins as browsers send them (RFC 6454 §6.1), compared as scheme, host and port.

use super::{Authority, AuthorityError};
use http::HeaderMap;
use http::header::ORIGIN;
use std::fmt;
use thiserror::Error;

/// How a page or a connection is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, and `ws`.
    Http,
    /// `https`, and `wss`.
    Https,
}

/// Whose page opened a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `null`: sandboxed frames, files, what must not be told.
    Null,
    /// A page on the web.
    Tuple {
        /// Scheme of the page.
        scheme: Scheme,
        /// As in [`Authority::host`].
        host: String,
        /// As written, or the default of the scheme.
        port: u16,
    },
    /// Of a scheme that is not the web's, such as `chrome-extension://…` or `capacitor://localhost`;
    /// lower case.
    Other(String),
}

/// Why the Origin of a request cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    /// Two lines, even equal ones.
    #[error("there is more than one Origin")]
    Several,
    /// Neither `null` nor `scheme://host[:port]`.
    #[error("malformed Origin")]
    Malformed,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// 80 or 443.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Origin {
    /// Reads the serialised form. Case, a trailing dot and an explicit default port do not count.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Malformed)?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return other(scheme, rest),
        };
        let Authority { host, port } = Authority::parse(rest)?;
        let port = port.unwrap_or_else(|| scheme.default_port());
        Ok(Self::Tuple { scheme, host, port })
    }

    /// The Origin that a request carries, if any.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, OriginError> {
        let mut lines = headers.get_all(ORIGIN).into_iter();
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        if lines.next().is_some() {
            return Err(OriginError::Several);
        }
        let text = line.to_str().map_err(|_| OriginError::Malformed)?;
        Self::parse(text).map(Some)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Tuple { scheme, host, port } if *port == scheme.default_port() => {
                write!(f, "{scheme}://{host}")
            }
            Self::Tuple { scheme, host, port } => write!(f, "{scheme}://{host}:{port}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<AuthorityError> for OriginError {
    fn from(_: AuthorityError) -> Self {
        Self::Malformed
    }
}

/// Origins of extensions and apps: never named in a list, but `"*"` admits them.
fn other(scheme: &str, rest: &str) -> Result<Origin, OriginError> {
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let is_rest = rest
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'\\' | b'?' | b'#' | b','));
    if is_scheme && is_rest {
        Ok(Origin::Other(
            format!("{scheme}://{rest}").to_ascii_lowercase(),
        ))
    } else {
        Err(OriginError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_origin_are_equal() {
        for (text, normal) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.COM", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("https://app.example.com.", "https://app.example.com"),
            ("http://app.example.com:443", "http://app.example.com:443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[0::1]:80", "http://[::1]"),
            (
                "https://xn--bcher-kva.example",
                "https://xn--bcher-kva.example",
            ),
            ("null", "null"),
            ("chrome-extension://ABCdef", "chrome-extension://abcdef"),
            ("file://", "file://"),
        ] {
            let origin = Origin::parse(text).unwrap();
            assert_eq!(origin.to_string(), normal);
            assert_eq!(Origin::parse(normal), Ok(origin));
        }
    }

    #[test]
    fn different_origins_differ() {
        let own = Origin::parse("https://good.example").unwrap();
        for text in [
            "http://good.example",
            "https://good.example:8443",
            "https://good.example.evil.com",
            "https://evilgood.example",
            "https://www.good.example",
            "null",
        ] {
            assert_ne!(Origin::parse(text).unwrap(), own, "{text}");
        }
    }

    #[test]
    fn what_is_no_origin_is_malformed() {
        for text in [
            "",
            "NULL",
            " null",
            "null, null",
            "good.example",
            "https:good.example",
            "https://",
            "https:///",
            "https://good.example/",
            "https://good.example/x",
            "https://user@good.example",
            "https://a b",
            "https://good.example https://evil.example",
            "https://good.example,https://evil.example",
            "https://bücher.example",
            "https://good.example:x",
            "https://*.example",
            "://x",
            "1x://y",
            "a b://c",
        ] {
            assert_eq!(Origin::parse(text), Err(OriginError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_request_has_at_most_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(Origin::of(&headers), Ok(None));
        headers.append(ORIGIN, "null".parse().unwrap());
        assert_eq!(Origin::of(&headers), Ok(Some(Origin::Null)));
        headers.append(ORIGIN, "null".parse().unwrap());
        assert_eq!(Origin::of(&headers), Err(OriginError::Several));
    }

    proptest! {
        #[test]
        fn what_was_read_reads_the_same_again(text in "(https?|HTTP|file|\\PC{0,4})(://|:/|)[aB.:\\[\\]@0-9/ ]{0,12}") {
            if let Ok(origin) = Origin::parse(&text) {
                prop_assert_eq!(Origin::parse(&origin.to_string()), Ok(origin));
            }
        }
    }
}
