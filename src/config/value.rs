//! Values that sections share: patterns, rates and secrets.

use std::fmt;
use std::time::Duration;

/// So much in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At least one, at most 10⁹ of what is counted or 2⁴⁰ bytes.
    pub amount: u64,
    /// A second, a minute or an hour.
    pub period: Duration,
}

impl Rate {
    /// How much that is in a second, at least one.
    pub fn in_a_second(self) -> u64 {
        (self.amount / self.period.as_secs().max(1)).max(1)
    }
}

/// Of a URL or an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, and `ws`.
    Http,
    /// `https`, and `wss`.
    Https,
}

/// A string that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` out of every `Debug` output.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that compares or hashes it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Which hosts a route serves. Names are lower case, ASCII, without a trailing dot and without a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// `chat.example.com`, `10.0.0.1` or `[::1]`.
    Exact(String),
    /// `*.example.com`: exactly one label before the given suffix (`example.com`).
    Wildcard(String),
    /// No `host` key.
    Any,
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// Which paths a route serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathPattern {
    /// `/chat`: this path alone.
    Exact(String),
    /// `/chat/*`: `/chat` and everything below it. Without a trailing slash; `/*` is the empty string.
    Prefix(String),
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(prefix) => write!(f, "{prefix}/*"),
        }
    }
}

/// One entry of `origins`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OriginPattern {
    /// `"*"`
    Any,
    /// `"null"`
    Null,
    /// `"https://app.example.com:8443"`; the default port of the scheme where none was written.
    Exact {
        /// Scheme of the page.
        scheme: Scheme,
        /// Lower-case ASCII host.
        host: String,
        /// Explicit or default port.
        port: u16,
    },
    /// `"https://*.example.com"`: exactly one label before the suffix.
    Wildcard {
        /// Scheme of the page.
        scheme: Scheme,
        /// What follows `*.`.
        suffix: String,
        /// Explicit or default port.
        port: u16,
    },
}
