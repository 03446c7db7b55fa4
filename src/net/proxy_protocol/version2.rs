//! Version 2: a binary header with addresses and extensions (type, length, value).

use super::checksum::crc32c;
use super::header::{Endpoints, Progress, Proxied, ProxyError};
use std::net::{IpAddr, SocketAddr};

/// Bytes behind the fixed part at most: addresses and extensions.
pub(super) const LEN_MAX: usize = 4096;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;
/// Bytes of the addresses of a unix socket.
const UNIX_LEN: usize = 216;

/// The extension with a checksum of the whole header.
const CHECKSUM: u8 = 0x03;
const CHECKSUM_LEN: usize = 4;
/// The extension that tells of TLS, and the bit in its first byte that says there was some.
const TLS: u8 = 0x20;
const CLIENT_TLS: u8 = 0x01;

/// Reads the header at the start of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let start = bytes.len().min(SIGNATURE.len());
    if bytes[..start] != SIGNATURE[..start] {
        return Err(ProxyError::Absent);
    }
    let Some((fixed, _)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Progress::Part { least: Some(FIXED) });
    };
    let [.., command, family, high, low] = *fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > LEN_MAX {
        return Err(ProxyError::TooLong);
    }
    if command != LOCAL && command != PROXY {
        return Err(ProxyError::Unknown);
    }
    let len_all = FIXED + len;
    let Some(header) = bytes.get(..len_all) else {
        return Ok(Progress::Part {
            least: Some(len_all),
        });
    };
    let proxied = match command {
        LOCAL => Proxied {
            endpoints: None,
            is_local: true,
            is_tls: false,
        },
        _ => proxied(family, header)?,
    };
    Ok(Progress::Whole {
        len: len_all,
        proxied,
    })
}

fn proxied(family: u8, header: &[u8]) -> Result<Proxied, ProxyError> {
    let rest = &header[FIXED..];
    let (endpoints, extensions) = match family {
        TCP4 => addresses::<4, 12>(rest)?,
        TCP6 => addresses::<16, 36>(rest)?,
        UNIX => (None, rest.get(UNIX_LEN..).ok_or(ProxyError::TooShort)?),
        // What follows is of a length that nobody knows.
        UNSPECIFIED => (None, &[][..]),
        _ => return Err(ProxyError::Unknown),
    };
    Ok(Proxied {
        endpoints,
        is_local: false,
        is_tls: was_tls(header, header.len() - extensions.len())?,
    })
}

/// Two addresses of `N` bytes and two ports: `ALL` bytes.
fn addresses<const N: usize, const ALL: usize>(
    rest: &[u8],
) -> Result<(Option<Endpoints>, &[u8]), ProxyError>
where
    IpAddr: From<[u8; N]>,
{
    let (fixed, extensions) = rest
        .split_first_chunk::<ALL>()
        .ok_or(ProxyError::TooShort)?;
    let address = |at: usize, port: usize| {
        let mut ip = [0; N];
        ip.copy_from_slice(&fixed[at..at + N]);
        let port = u16::from_be_bytes([fixed[port], fixed[port + 1]]);
        SocketAddr::new(IpAddr::from(ip), port)
    };
    let endpoints = Endpoints::of(address(0, 2 * N), address(N, 2 * N + 2));
    Ok((Some(endpoints), extensions))
}

/// Whether the extensions, from `at` to the end of `header`, say that the client spoke TLS. A
/// checksum is verified; all others are of no interest.
fn was_tls(header: &[u8], mut at: usize) -> Result<bool, ProxyError> {
    let mut is_tls = false;
    while at < header.len() {
        let [kind, high, low, rest @ ..] = &header[at..] else {
            return Err(ProxyError::TooShort);
        };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let value = rest.get(..len).ok_or(ProxyError::TooShort)?;
        at = header.len() - rest.len();
        match *kind {
            TLS => is_tls |= value.first().is_some_and(|flags| flags & CLIENT_TLS != 0),
            CHECKSUM => verify(header, at, value)?,
            _ => {}
        }
        at += len;
    }
    Ok(is_tls)
}

/// Whether `value`, which stands at `at`, is the checksum of `header` with zeros in its place.
fn verify(header: &[u8], at: usize, value: &[u8]) -> Result<(), ProxyError> {
    let expected = <[u8; CHECKSUM_LEN]>::try_from(value).map_err(|_| ProxyError::Checksum)?;
    let (before, behind) = (&header[..at], &header[at + CHECKSUM_LEN..]);
    match crc32c([before, &[0; CHECKSUM_LEN], behind]).to_be_bytes() == expected {
        true => Ok(()),
        false => Err(ProxyError::Checksum),
    }
}

/// The header that tells `endpoints`.
pub(super) fn encode(endpoints: Option<Endpoints>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some(Endpoints {
        source,
        destination,
    }) = endpoints
    else {
        header.extend_from_slice(&[LOCAL, UNSPECIFIED, 0, 0]);
        return header;
    };
    let (family, len) = if source.is_ipv4() {
        (TCP4, 12)
    } else {
        (TCP6, 36)
    };
    header.extend_from_slice(&[PROXY, family, 0, len]);
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => header.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => header.extend_from_slice(&ip.octets()),
        }
    }
    for address in [source, destination] {
        header.extend_from_slice(&address.port().to_be_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        let len = u16::try_from(rest.len()).unwrap();
        header.extend_from_slice(&[command, family]);
        header.extend_from_slice(&len.to_be_bytes());
        header.extend_from_slice(rest);
        header
    }

    const IPV4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];

    fn told(bytes: &[u8]) -> Proxied {
        let Ok(Progress::Whole { len, proxied }) = decode(bytes) else {
            panic!("{bytes:?}");
        };
        assert_eq!(len, bytes.len());
        proxied
    }

    #[test]
    fn addresses_are_read_and_written() {
        let expected = Endpoints::of(
            "192.0.2.7:4711".parse().unwrap(),
            "198.51.100.1:443".parse().unwrap(),
        );
        let bytes = header(PROXY, TCP4, &IPV4);
        assert_eq!(told(&bytes).endpoints, Some(expected));
        assert_eq!(encode(Some(expected)), bytes);
    }

    #[test]
    fn who_speaks_for_itself_is_the_client() {
        for bytes in [
            header(LOCAL, UNSPECIFIED, &[]),
            header(LOCAL, TCP4, &IPV4),
            header(LOCAL, 0x77, b"anything"),
        ] {
            let told = told(&bytes);
            assert_eq!((told.endpoints, told.is_local), (None, true));
        }
        assert_eq!(encode(None), header(LOCAL, UNSPECIFIED, &[]));
    }

    #[test]
    fn a_client_without_an_address_is_not_the_sender() {
        for bytes in [
            header(PROXY, UNSPECIFIED, b"anything"),
            header(PROXY, UNIX, &[0; UNIX_LEN]),
        ] {
            let told = told(&bytes);
            assert_eq!((told.endpoints, told.is_local), (None, false));
        }
    }

    #[test]
    fn a_checksum_is_verified_wherever_it_stands() {
        let name = [0x05, 0, 3, b'i', b'd', b'1'];
        let sum = [CHECKSUM, 0, 4, 0, 0, 0, 0];
        for (extensions, at) in [
            (sum.to_vec(), 0),
            ([&sum[..], &name].concat(), 0),
            ([&name[..], &sum].concat(), name.len()),
        ] {
            let mut bytes = header(PROXY, TCP4, &[&IPV4, &extensions[..]].concat());
            let at = FIXED + IPV4.len() + at + 3;
            let right = crc32c([&bytes, b"", b""]);
            bytes[at..at + 4].copy_from_slice(&right.to_be_bytes());
            assert!(told(&bytes).endpoints.is_some());
            // Not even one bit may differ, in the addresses least of all.
            for (broken, bit) in [(FIXED, 1), (at, 0x80), (at + 3, 1), (bytes.len() - 1, 4)] {
                let mut bytes = bytes.clone();
                bytes[broken] ^= bit;
                let error = decode(&bytes).unwrap_err();
                assert!(matches!(error, ProxyError::Checksum), "{error:?}");
            }
        }
    }

    #[test]
    fn an_extension_tells_of_tls() {
        for (extensions, expected) in [
            (&[][..], false),
            (&[TLS, 0, 5, 1, 0, 0, 0, 0], true),
            (&[TLS, 0, 5, 0, 0, 0, 0, 0], false),
            (&[TLS, 0, 0], false),
            (&[0x04, 0, 1, 9, TLS, 0, 5, 5, 0, 0, 0, 0], true),
            // The name that the sender gave the connection, and one of an unknown kind.
            (&[0x05, 0, 2, b'i', b'd', 0xe7, 0, 0], false),
        ] {
            let bytes = header(PROXY, TCP4, &[&IPV4, extensions].concat());
            assert_eq!(told(&bytes).is_tls, expected, "{extensions:?}");
        }
    }

    #[test]
    fn headers_that_break_the_rules_are_refused() {
        let mut long = header(PROXY, TCP4, &IPV4);
        long[14..16].copy_from_slice(&4097_u16.to_be_bytes());
        for (bytes, expected) in [
            (b"\r\n\r\nGET".to_vec(), "Absent"),
            (header(0x11, TCP4, &IPV4), "Unknown"),
            (header(0x2f, TCP4, &IPV4), "Unknown"),
            (header(PROXY, 0x12, &IPV4), "Unknown"),
            (header(PROXY, 0x41, &IPV4), "Unknown"),
            (header(PROXY, TCP4, &IPV4[..11]), "TooShort"),
            (header(PROXY, TCP6, &[0; 35]), "TooShort"),
            (header(PROXY, UNIX, &[0; 215]), "TooShort"),
            (
                header(PROXY, TCP4, &[&IPV4[..], &[4, 0]].concat()),
                "TooShort",
            ),
            (
                header(PROXY, TCP4, &[&IPV4[..], &[4, 0xff, 0xff, 0]].concat()),
                "TooShort",
            ),
            (
                header(PROXY, TCP4, &[&IPV4[..], &[CHECKSUM, 0, 0]].concat()),
                "Checksum",
            ),
            (
                header(
                    PROXY,
                    TCP4,
                    &[&IPV4[..], &[CHECKSUM, 0, 5, 0, 0, 0, 0, 0]].concat(),
                ),
                "Checksum",
            ),
            (long, "TooLong"),
        ] {
            let error = decode(&bytes).unwrap_err();
            assert_eq!(format!("{error:?}"), expected, "{bytes:?}");
        }
    }
}
