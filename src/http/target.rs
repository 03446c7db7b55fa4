//! Where a request goes: host, port, path and query out of its head (RFC 9112 §3).

use super::path::check_path;
use super::{Authority, AuthorityError, PathError};
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use thiserror::Error;

/// Host and path of a request, checked. The path is what the client sent, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Lower case, without port and trailing dot; IPv6 in brackets.
    pub host: String,
    /// As written; `None` where none was.
    pub port: Option<u16>,
    /// Starts with `/`; has no second reading.
    pub path: String,
    /// What follows `?`, as it came.
    pub query: Option<String>,
}

/// Why a request goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
    /// HTTP/1.1 demands one (RFC 9112 §3.2).
    #[error("there is no Host")]
    NoHost,
    /// Two lines, even equal ones.
    #[error("there is more than one Host")]
    SeveralHosts,
    /// Its value is no `host[:port]`.
    #[error("malformed Host")]
    Host(#[source] AuthorityError),
    /// That of an absolute target.
    #[error("malformed authority in the target")]
    Authority(#[source] AuthorityError),
    /// An absolute target that names another host or port than Host.
    #[error("the target and Host differ")]
    HostDiffers,
    /// A path that the gateway does not take.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Target {
    /// Reads target and Host of `parts`.
    pub fn of(parts: &Parts) -> Result<Self, TargetError> {
        let named = sole_host(&parts.headers)?;
        check_absolute(&parts.uri, &named)?;
        let path = parts.uri.path();
        check_path(path)?;
        Ok(Self {
            host: named.host,
            port: named.port,
            path: path.to_owned(),
            query: parts.uri.query().map(str::to_owned),
        })
    }

    /// Host with the port that the client wrote.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The same by https at `port`, as a `Location`. It leads to no other host than the one that was
    /// asked for.
    pub fn by_https(&self, port: u16) -> Result<HeaderValue, TargetError> {
        let port = match port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        let mut location = format!("https://{}{port}{}", self.host, self.path);
        if let Some(query) = &self.query {
            location.push('?');
            location.push_str(query);
        }
        // What a request line may hold, a header may.
        HeaderValue::try_from(location).map_err(|_| TargetError::Path(PathError::Control))
    }

    /// Host and port as a pair.
    pub fn named(&self) -> Authority {
        Authority {
            host: self.host.clone(),
            port: self.port,
        }
    }
}

fn sole_host(headers: &HeaderMap) -> Result<Authority, TargetError> {
    let mut lines = headers.get_all(HOST).into_iter();
    let line = lines.next().ok_or(TargetError::NoHost)?;
    if lines.next().is_some() {
        return Err(TargetError::SeveralHosts);
    }
    let text = line
        .to_str()
        .map_err(|_| TargetError::Host(AuthorityError::Host))?;
    Authority::parse(text).map_err(TargetError::Host)
}

/// An absolute target must name the host that Host names; one of both being believed by each of two
/// servers is how a request gets past the rules of another host.
fn check_absolute(uri: &Uri, named: &Authority) -> Result<(), TargetError> {
    let Some(authority) = uri.authority() else {
        return Ok(());
    };
    let authority = Authority::parse(authority.as_str()).map_err(TargetError::Authority)?;
    let default = uri.scheme_str().and_then(default_port);
    let is_same =
        authority.host == named.host && authority.port.or(default) == named.port.or(default);
    if is_same {
        Ok(())
    } else {
        Err(TargetError::HostDiffers)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Origin, Scheme};
    use http::Request;

    fn parts(target: &str, hosts: &[&str]) -> Parts {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn target_and_host_are_taken_apart() {
        for (target, host, expected) in [
            ("/", "a.example", ("a.example", None, "/", None)),
            (
                "/chat?x=%2F..",
                "A.Example.:8080",
                ("a.example", Some(8080), "/chat", Some("x=%2F..")),
            ),
            (
                "/a;v=1/b?",
                "[::1]:80",
                ("[::1]", Some(80), "/a;v=1/b", Some("")),
            ),
            (
                "http://a.example/x?y",
                "a.example",
                ("a.example", None, "/x", Some("y")),
            ),
            (
                "http://a.example",
                "a.example",
                ("a.example", None, "/", None),
            ),
            (
                "http://A.example:80/x",
                "a.example.",
                ("a.example", None, "/x", None),
            ),
            (
                "wss://a.example/x",
                "a.example:443",
                ("a.example", Some(443), "/x", None),
            ),
        ] {
            let found = Target::of(&parts(target, &[host])).unwrap();
            let (host, port, path, query) = expected;
            assert_eq!((found.host.as_str(), found.port), (host, port), "{target}");
            assert_eq!(
                (found.path.as_str(), found.query.as_deref()),
                (path, query),
                "{target}"
            );
        }
    }

    #[test]
    fn doubtful_targets_are_refused() {
        use TargetError::*;
        let host = AuthorityError::Host;
        for (target, hosts, expected) in [
            ("/", &[][..], NoHost),
            ("http://a.example/", &[], NoHost),
            ("/", &["a.example", "a.example"], SeveralHosts),
            ("/", &["a.example", "b.example"], SeveralHosts),
            ("/", &[""], Host(host)),
            ("/", &["a.example/x"], Host(host)),
            ("/", &["user@a.example"], Host(host)),
            ("/", &["a.example, b.example"], Host(host)),
            ("/", &["a.example:http"], Host(AuthorityError::Port)),
            ("http://b.example/", &["a.example"], HostDiffers),
            ("http://a.example:81/", &["a.example"], HostDiffers),
            ("https://a.example/", &["a.example:80"], HostDiffers),
            ("http://user@a.example/", &["a.example"], Authority(host)),
            ("*", &["a.example"], Path(PathError::NotAbsolute)),
            (
                "a.example:443",
                &["a.example:443"],
                Path(PathError::NotAbsolute),
            ),
            ("/a/../b", &["a.example"], Path(PathError::DotSegment)),
            (
                "http://a.example//b",
                &["a.example"],
                Path(PathError::EmptySegment),
            ),
        ] {
            assert_eq!(
                Target::of(&parts(target, hosts)),
                Err(expected),
                "{target} {hosts:?}"
            );
        }
    }

    #[test]
    fn https_is_the_same_host_path_and_query_at_its_port() {
        for (target, host, port, expected) in [
            ("/", "a.example", 443, "https://a.example/"),
            (
                "/a/b?x=//c",
                "A.example.:80",
                443,
                "https://a.example/a/b?x=//c",
            ),
            ("/a?", "a.example:8080", 8443, "https://a.example:8443/a?"),
            (
                "http://[::1]:80/@b.example",
                "[::1]:80",
                443,
                "https://[::1]/@b.example",
            ),
        ] {
            let target = Target::of(&parts(target, &[host])).unwrap();
            assert_eq!(target.by_https(port).unwrap(), expected);
        }
    }

    #[test]
    fn own_origin_has_the_port_of_the_scheme() {
        let target = Target::of(&parts("/", &["a.example"])).unwrap();
        assert_eq!(
            Ok(target.named().origin(Scheme::Https)),
            Origin::parse("https://a.example")
        );
        let target = Target::of(&parts("/", &["a.example:8443"])).unwrap();
        assert_eq!(
            Ok(target.named().origin(Scheme::Https)),
            Origin::parse("https://a.example:8443")
        );
        assert_eq!(target.authority(), "a.example:8443");
    }
}
