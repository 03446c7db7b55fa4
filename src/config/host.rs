//! Host names, alone and with a port, as `host`, origins and endpoints write them.

use super::HostPattern;
use super::kind::{Parsed, parsed};
use super::problem::Problem;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A kind: an entry of `host`.
pub(super) fn host() -> Parsed<HostPattern> {
    parsed(
        "a host such as `\"chat.example.com\"` or `\"*.example.com\"`",
        ".",
        parse_pattern,
    )
}

fn parse_pattern(text: &str) -> Result<HostPattern, Problem> {
    if text == "*" {
        return Err(not_host(text).help("leave `host` out to serve any host"));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        return Err(not_host(text)
            .label(format!("`{scheme}://` is not part of a host"))
            .help(format!("write `\"{host}\"`")));
    }
    if let Some((host, _)) = text.split_once('/') {
        return Err(not_host(text)
            .label("a path is not part of a host")
            .help(format!("write `\"{host}\"`, and the path as `path`")));
    }
    if let (host, Some(port)) = split_port(text)? {
        return Err(not_host(text)
            .label(format!("`:{port}` is not part of a host"))
            .help(format!(
                "write `\"{host}\"`: a route serves its hosts on every port of its listeners"
            )));
    }
    match text.strip_prefix("*.") {
        Some(suffix) => parse_suffix(text, suffix).map(HostPattern::Wildcard),
        None => parse(text).map(HostPattern::Exact),
    }
}

/// What follows `*.` in `text`.
pub(super) fn parse_suffix(text: &str, suffix: &str) -> Result<String, Problem> {
    let parsed = parse(suffix)?;
    if is_address(&parsed) {
        return Err(not_host(text).label("an address has no labels"));
    }
    Ok(parsed)
}

/// A name in lower case, or an address; IPv6 in brackets and in its shortest form.
pub(super) fn parse(text: &str) -> Result<String, Problem> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').map(str::parse::<Ipv6Addr>);
        return match address {
            Some(Ok(address)) => Ok(format!("[{address}]")),
            _ => Err(not_host(text).label("not an IPv6 address")),
        };
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Err(not_host(text).help(format!(
            "write an IPv6 address in brackets: `\"[{address}]\"`"
        )));
    }
    if !text.is_ascii() {
        return Err(not_host(text)
            .label("not ASCII")
            .help("write the name as it goes over the wire, in its ASCII form: `xn--…`"));
    }
    parse_name(&text.to_ascii_lowercase())
}

fn parse_name(name: &str) -> Result<String, Problem> {
    if let Some(bare) = name.strip_suffix('.') {
        return Err(not_host(name).help(format!("write `\"{bare}\"`: a dot at the end is ignored")));
    }
    if name.contains('*') {
        return Err(not_host(name)
            .help("`*` stands for one label and only at the front: `\"*.example.com\"`"));
    }
    if name.is_empty() || name.len() > 253 || !name.split('.').all(is_label) {
        return Err(
            not_host(name).help("a name is labels of letters, digits, `-` and `_`, joined by dots")
        );
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    if is_numeric && name.parse::<Ipv4Addr>().is_err() {
        return Err(not_host(name).label("not an IPv4 address"));
    }
    Ok(name.to_owned())
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether a parsed host is an address.
pub(super) fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok()
}

/// A host and the port behind it, if any.
pub(super) fn parse_authority(text: &str) -> Result<(String, Option<u16>), Problem> {
    if let Some((_, bare)) = text.split_once("://") {
        return Err(not_host(text).help(format!("write it without a scheme: `\"{bare}\"`")));
    }
    let (host, port) = split_port(text)?;
    Ok((parse(host)?, port))
}

/// Splits `:port` off, not yet looking at the host.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), Problem> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Ok((text, None));
    };
    if host.contains(':') && !host.ends_with(']') {
        return Ok((text, None)); // an IPv6 address, with or without brackets
    }
    match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok((host, Some(number))),
        _ => {
            Err(Problem::new(format!("`{port}` is not a port"))
                .help("write a port from 1 to 65535"))
        }
    }
}

fn not_host(text: &str) -> Problem {
    Problem::new(format!("`{text}` is not a host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let exact = |host: &str| Some(HostPattern::Exact(host.to_owned()));
        let wildcard = |host: &str| Some(HostPattern::Wildcard(host.to_owned()));
        let check = |text: &str, expected| assert_eq!(parse_pattern(text).ok(), expected, "{text}");
        check("chat.example.com", exact("chat.example.com"));
        check("Chat.EXAMPLE.com", exact("chat.example.com"));
        check("localhost", exact("localhost"));
        check("my_service", exact("my_service"));
        check("xn--bcher-kva.example", exact("xn--bcher-kva.example"));
        check("10.0.0.1", exact("10.0.0.1"));
        check("[::1]", exact("[::1]"));
        check("[2001:DB8:0::1]", exact("[2001:db8::1]"));
        check("*.example.com", wildcard("example.com"));
        for wrong in [
            "",
            "*",
            "a.*.b",
            "*a.b",
            "*.*.b",
            "*.10.0.0.1",
            "a:80",
            "[::1]:80",
            "::1",
            "a/b",
            "ws://a",
            "a b",
            "a..b",
            ".a",
            "a.",
            "-a",
            "a-",
            "bücher.example",
            "1.2.3.400",
            "1.2.3",
            "[a]",
            "[::1",
            "a@b",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn authorities() {
        let check = |text: &str, expected: Option<(&str, Option<u16>)>| {
            let parsed = parse_authority(text).ok();
            assert_eq!(
                parsed,
                expected.map(|(host, port)| (host.to_owned(), port)),
                "{text}"
            );
        };
        check("a.example:8080", Some(("a.example", Some(8080))));
        check("a.example", Some(("a.example", None)));
        check("[::1]:80", Some(("[::1]", Some(80))));
        check("[::1]", Some(("[::1]", None)));
        check("10.0.0.1:1", Some(("10.0.0.1", Some(1))));
        for wrong in ["a:", "a:0", "a:65536", "a:x", ":80", "::1", "::1:80", ""] {
            check(wrong, None);
        }
    }
}
