//! `host[:port]` as it stands in `Host`, in an absolute target and in an Origin (RFC 3986 §3.2).
//!
//! Stricter than the grammar: names are letters, digits, `-`, `_` and `.`, so that no two spellings
//! of a host remain once case and the trailing dot are gone. No user information.

use super::{Origin, Scheme};
use std::fmt;
use std::net::Ipv6Addr;
use thiserror::Error;

/// A host and the port that was written with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    /// Lower case, without a trailing dot; IPv6 in brackets and in its shortest form.
    pub host: String,
    /// `None` where none was written.
    pub port: Option<u16>,
}

/// Why a text is no authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthorityError {
    /// Empty, too long, an empty label, a character that no host name has, user information.
    #[error("the host is malformed")]
    Host,
    /// Not a number of 16 bits.
    #[error("the port is malformed")]
    Port,
}

impl Authority {
    /// Reads `host`, `host:port`, `[v6]`, `[v6]:port`. An empty port is none (RFC 3986 §3.2.3).
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let (host, digits) = split_port(text)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => ipv6(rest)?,
            None => name(host)?,
        };
        let port = digits.map(port).transpose()?;
        Ok(Self { host, port })
    }

    /// The Origin of a page that this host itself serves by `scheme`.
    pub fn origin(&self, scheme: Scheme) -> Origin {
        Origin::Tuple {
            scheme,
            host: self.host.clone(),
            port: self.port.unwrap_or_else(|| scheme.default_port()),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Parts at the colon that is not inside brackets.
fn split_port(text: &str) -> Result<(&str, Option<&str>), AuthorityError> {
    let host_end = if text.starts_with('[') {
        text.find(']').ok_or(AuthorityError::Host)? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(host_end);
    match rest.strip_prefix(':') {
        Some("") => Ok((host, None)),
        Some(digits) => Ok((host, Some(digits))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(AuthorityError::Host),
    }
}

fn port(digits: &str) -> Result<u16, AuthorityError> {
    // `parse` alone would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AuthorityError::Port);
    }
    digits.parse().map_err(|_| AuthorityError::Port)
}

/// What follows the opening bracket.
fn ipv6(rest: &str) -> Result<String, AuthorityError> {
    let address: Ipv6Addr = rest
        .strip_suffix(']')
        .and_then(|inner| inner.parse().ok())
        .ok_or(AuthorityError::Host)?;
    Ok(format!("[{address}]"))
}

fn name(host: &str) -> Result<String, AuthorityError> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_name = host.len() <= NAME_LEN_MAX && host.split('.').all(is_label);
    if !is_name {
        return Err(AuthorityError::Host);
    }
    Ok(host.to_ascii_lowercase())
}

fn is_label(label: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !label.is_empty() && label.bytes().all(is_letter)
}

/// RFC 1035 §2.3.4, without the trailing dot.
const NAME_LEN_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_are_normalised() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.com.", "example.com", None),
            ("example.com:8080", "example.com", Some(8080)),
            ("example.com.:", "example.com", None),
            ("my_app-1", "my_app-1", None),
            ("10.0.0.1:0", "10.0.0.1", Some(0)),
            ("[::1]", "[::1]", None),
            ("[0:0:0:0:0:0:0:1]:65535", "[::1]", Some(65535)),
            ("[FE80::A]", "[fe80::a]", None),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
        ] {
            let authority = Authority::parse(text).unwrap();
            assert_eq!(
                (authority.host.as_str(), authority.port),
                (host, port),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = format!("{}.example", "a.".repeat(130));
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a b",
            "a/b",
            "a\\b",
            "a?b",
            "a#b",
            "a,b",
            "a@b",
            "user@a",
            "a%2eb",
            "bücher.example",
            "[]",
            "::1",
            "[::1",
            "[::1]x",
            "[::1%eth0]",
            "[1.2.3.4]",
            "x[::1]",
            "[[::1]]",
            "a]",
            ":80",
            "a\tb",
            long.as_str(),
        ] {
            assert_eq!(Authority::parse(text), Err(AuthorityError::Host), "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "a:65536",
            "a:+80",
            "a:-1",
            "a:8o",
            "a:80:80",
            "[::1]: 80",
            "a:999999999999999999999",
        ] {
            assert_eq!(Authority::parse(text), Err(AuthorityError::Port), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_reads_the_same_again(text in "(\\[?[a-fA-F0-9:.]{0,12}\\]?|[aB.-]{0,6}|\\PC{0,6})(:[0-9+ ]{0,6})?") {
            if let Ok(authority) = Authority::parse(&text) {
                prop_assert_eq!(Authority::parse(&authority.to_string()), Ok(authority));
            }
        }
    }
}
