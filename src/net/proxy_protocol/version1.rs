//! Version 1: one line of text.

use super::header::{Endpoints, Progress, Proxied, ProxyError};
use std::net::{IpAddr, SocketAddr};

/// Bytes of a line at most, its end included.
const LEN_MAX: usize = 107;
const START: &[u8] = b"PROXY ";

/// Reads the line at the start of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let start = bytes.len().min(START.len());
    if bytes[..start] != START[..start] {
        return Err(ProxyError::Absent);
    }
    let within = &bytes[..bytes.len().min(LEN_MAX)];
    match within.iter().position(|&byte| byte == b'\r') {
        Some(end) if within.get(end + 1) == Some(&b'\n') => Ok(Progress::Whole {
            len: end + 2,
            proxied: line(&within[START.len()..end])?,
        }),
        // Its line feed is still to come.
        Some(end) if end + 1 == within.len() && end + 1 < LEN_MAX => {
            Ok(Progress::Part { least: None })
        }
        None if within.len() < LEN_MAX => Ok(Progress::Part { least: None }),
        _ => Err(ProxyError::Line),
    }
}

fn line(text: &[u8]) -> Result<Proxied, ProxyError> {
    let text = std::str::from_utf8(text).map_err(|_| ProxyError::Line)?;
    let mut words = text.split(' ');
    let endpoints = match words.next() {
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(endpoints(words, IpAddr::is_ipv4)?),
        Some("TCP6") => Some(endpoints(words, IpAddr::is_ipv6)?),
        _ => return Err(ProxyError::Unknown),
    };
    Ok(Proxied {
        endpoints,
        is_local: false,
        is_tls: false,
    })
}

fn endpoints<'a>(
    words: impl Iterator<Item = &'a str>,
    is_family: fn(&IpAddr) -> bool,
) -> Result<Endpoints, ProxyError> {
    let words: Vec<&str> = words.collect();
    let [source, destination, source_port, destination_port] = words[..] else {
        return Err(ProxyError::Line);
    };
    let address = |ip: &str, port: &str| {
        let ip: IpAddr = ip.parse().ok().filter(is_family)?;
        Some(SocketAddr::new(ip, self::port(port)?))
    };
    match (
        address(source, source_port),
        address(destination, destination_port),
    ) {
        (Some(source), Some(destination)) => Ok(Endpoints::of(source, destination)),
        _ => Err(ProxyError::Line),
    }
}

/// Decimal, without a sign or zeros before it.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && is_short)
}

/// The line that tells `endpoints`.
pub(super) fn encode(endpoints: Option<Endpoints>) -> Vec<u8> {
    let Some(Endpoints {
        source,
        destination,
    }) = endpoints
    else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_both_ends() {
        for (line, source, destination) in [
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
                "192.0.2.7:4711",
                "198.51.100.1:443",
            ),
            (
                "PROXY TCP6 2001:db8::7 ::1 0 65535\r\n",
                "[2001:db8::7]:0",
                "[::1]:65535",
            ),
        ] {
            let expected = Endpoints::of(source.parse().unwrap(), destination.parse().unwrap());
            let Ok(Progress::Whole { len, proxied }) = decode(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!((len, proxied.endpoints), (line.len(), Some(expected)));
            assert_eq!(encode(Some(expected)), line.as_bytes());
        }
    }

    #[test]
    fn an_unknown_client_is_nobody_else() {
        for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ff::1 what ever\r\n"] {
            let Ok(Progress::Whole { proxied, .. }) = decode(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(proxied.endpoints, None);
        }
        assert_eq!(encode(None), b"PROXY UNKNOWN\r\n");
    }

    #[test]
    fn lines_that_break_the_rules_are_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        for line in [
            "GET / HTTP/1.1\r\n",
            "PROXY\tTCP4",
            "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 1\r\n",
            "PROXY TCP4  192.0.2.7 198.51.100.1 4711 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 +4711 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\n",
            "PROXY TCP4 192.0.2.07 198.51.100.1 4711 443\r\n",
            "PROXY TCP4 ::1 ::1 4711 443\r\n",
            "PROXY TCP6 192.0.2.7 198.51.100.1 4711 443\r\n",
            "PROXY UDP4 192.0.2.7 198.51.100.1 4711 443\r\n",
            "PROXY \r\n",
            long.as_str(),
        ] {
            assert!(decode(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
