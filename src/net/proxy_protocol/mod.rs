//! PROXY protocol, versions 1 and 2: who is really at the other end, told by the load balancer in
//! front before anything else (haproxy.org, "The PROXY protocol", 2020).
//!
//! The header is taken off the socket to its last byte and not one more, whatever comes behind it.

mod checksum;
pub mod fuzzing;
mod header;
mod version1;
mod version2;

pub use header::{Endpoints, Proxied, ProxyError, Version};

use super::Socket;
use header::{Progress, decode};
use std::io;
use tokio::io::AsyncReadExt;

/// Room for a header without much beside the addresses.
const USUAL: usize = 256;

impl Proxied {
    /// Takes the header off `socket`. There is no deadline in here. Not cancel-safe: what was read of
    /// the header is gone.
    ///
    /// # Errors
    /// If there is no header, or one that breaks the rules; the socket is of no use then.
    pub async fn read_from(socket: &mut Socket) -> Result<Self, ProxyError> {
        let mut header = vec![0; USUAL];
        let mut taken = 0;
        loop {
            let seen = taken + socket.peek(&mut header[taken..]).await?;
            if seen == taken {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            // Only what surely belongs to the header is taken: peeking at it again would not wait.
            let (end, proxied) = match decode(&header[..seen])? {
                Progress::Whole { len, proxied } => (len, Some(proxied)),
                Progress::Part { least } => (seen.min(least.unwrap_or(seen)), None),
            };
            socket.read_exact(&mut header[taken..end]).await?;
            taken = end;
            if let Some(proxied) = proxied {
                return Ok(proxied);
            }
            if taken == header.len() {
                header.resize(2 * taken, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::attached;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream, UnixStream};

    const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";

    async fn pair() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (accepted, _) = accepted.unwrap();
        (client.unwrap(), attached(accepted.into_std().unwrap()))
    }

    #[tokio::test]
    async fn not_a_byte_behind_the_header_is_taken() {
        let endpoints = Endpoints::of(
            "[2001:db8::1]:4711".parse().unwrap(),
            "[2001:db8::2]:443".parse().unwrap(),
        );
        for header in [
            V1.to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            Version::V2.encode(Some(endpoints)),
            Version::V2.encode(None),
        ] {
            let (mut client, mut socket) = pair().await;
            client.write_all(&header).await.unwrap();
            client.write_all(b"\r\nGET").await.unwrap();
            Proxied::read_from(&mut socket).await.unwrap();
            let mut behind = [0; 5];
            socket.read_exact(&mut behind).await.unwrap();
            assert_eq!(&behind, b"\r\nGET");
        }
    }

    #[tokio::test]
    async fn a_header_may_come_in_pieces_of_any_size() {
        let endpoints = Endpoints::of(
            "192.0.2.7:1".parse().unwrap(),
            "192.0.2.8:2".parse().unwrap(),
        );
        let mut long = Version::V2.encode(Some(endpoints));
        // Something that nobody needs, longer than the first buffer.
        long.extend_from_slice(&[0x04, 0x02, 0x00]);
        long.extend_from_slice(&[0; 0x200]);
        let len = u16::try_from(long.len() - 16).unwrap();
        long[14..16].copy_from_slice(&len.to_be_bytes());
        for header in [V1.to_vec(), long] {
            for size in [1, 2, 7, 16, 100] {
                let (mut client, mut socket) = pair().await;
                let pieces = async {
                    for piece in header.chunks(size) {
                        client.write_all(piece).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                };
                let (proxied, ()) = tokio::join!(Proxied::read_from(&mut socket), pieces);
                let source = proxied.unwrap().endpoints.unwrap().source;
                assert_eq!(source.ip().to_string(), "192.0.2.7", "{size}");
            }
        }
    }

    #[tokio::test]
    async fn a_unix_socket_has_headers_too() {
        let (mut client, socket) = UnixStream::pair().unwrap();
        let mut socket = attached(socket.into_std().unwrap());
        client.write_all(V1).await.unwrap();
        let proxied = Proxied::read_from(&mut socket).await.unwrap();
        assert_eq!(proxied.endpoints.unwrap().source.port(), 4711);
    }

    #[tokio::test]
    async fn an_end_inside_the_header_is_an_error() {
        let (mut client, mut socket) = pair().await;
        client.write_all(&V1[..20]).await.unwrap();
        drop(client);
        let error = Proxied::read_from(&mut socket).await.unwrap_err();
        assert!(matches!(error, ProxyError::Lost(_)), "{error}");
    }

    proptest! {
        #[test]
        fn a_verdict_stays_whatever_follows(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            start in proptest::sample::select(vec![
                &b""[..],
                b"PROXY ",
                b"PROXY TCP4 192.0.2.7 198.51.100.1 47",
                b"PROXY TCP6 2001:db8::7 ::1 47",
                b"PROXY UNKNOWN ",
                b"\r\n\r\n\0\r\nQUIT\n",
                b"\r\n\r\n\0\r\nQUIT\n\x20\0\0",
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0",
                b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0",
            ]),
        ) {
            fuzzing::proxy_header(&[start, &bytes].concat());
        }

        #[test]
        fn a_header_is_the_same_with_anything_behind_it(
            source in any::<std::net::SocketAddr>(),
            destination in any::<std::net::SocketAddr>(),
            behind in proptest::collection::vec(any::<u8>(), 0..50),
            version in prop_oneof![Just(Version::V1), Just(Version::V2)],
        ) {
            let endpoints = Endpoints::of(source, destination);
            let header = version.encode(Some(endpoints));
            let bytes = [&header[..], &behind].concat();
            let Ok(Progress::Whole { len, proxied }) = decode(&bytes) else {
                panic!("{bytes:?}");
            };
            prop_assert_eq!(len, header.len());
            prop_assert_eq!(proxied.endpoints.unwrap(), endpoints);
            for end in 0..header.len() {
                let part = decode(&bytes[..end]);
                prop_assert!(matches!(part, Ok(Progress::Part { .. })), "{} {:?}", end, part);
            }
        }
    }
}
