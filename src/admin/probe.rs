//! Asking a running gateway from outside how it is, as a container's health check does.
//!
//! One short request by hand; what is answered is looked at for its status alone, and never shown.

use crate::config::{BindAddress, Settings};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Does it work?
    Health,
    /// Does it take new clients?
    Readiness,
}

/// Why the answer is no.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing is configured that would answer.
    #[error("the configuration has neither `[health]` nor `[admin]`: nobody answers probes")]
    Nowhere,
    /// The system chooses the port when the gateway starts.
    #[error("the port of `{0}` is chosen when the gateway starts, so that nobody else knows it")]
    AnyPort(BindAddress),
    /// Nobody is there, or the connection broke.
    #[error("no answer from `{address}`")]
    Lost {
        /// Where it was asked for.
        address: BindAddress,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// It did not come in time.
    #[error("no answer from `{address}` within {PATIENCE:?}")]
    TooSlow {
        /// Where it was asked for.
        address: BindAddress,
    },
    /// What came is no answer of a gateway.
    #[error("`{address}` answers something that is not HTTP")]
    NotHttp {
        /// Where it was asked for.
        address: BindAddress,
    },
    /// The gateway says no.
    #[error("`{address}` answers {probe} with {status}")]
    No {
        /// Where it was asked for.
        address: BindAddress,
        /// What was asked.
        probe: Probe,
        /// The answer.
        status: u16,
    },
}

/// How long everything together may take: less than the limit that a health check usually has, so that
/// the reason is told.
const PATIENCE: Duration = Duration::from_millis(2500);

/// `HTTP/1.1 200`
const STATUS_LINE: usize = 12;

/// Where a gateway with these settings is to be asked, from the same machine.
pub fn way_to(settings: &Settings) -> Result<BindAddress, ProbeError> {
    let health = settings.health.as_ref().map(|health| &health.address);
    let admin = settings.admin.as_ref().map(|admin| &admin.address);
    match health.or(admin).ok_or(ProbeError::Nowhere)? {
        BindAddress::Tcp(address) if address.port() == 0 => {
            Err(ProbeError::AnyPort(BindAddress::Tcp(*address)))
        }
        BindAddress::Tcp(address) => Ok(BindAddress::Tcp(SocketAddr::new(
            near(address.ip()),
            address.port(),
        ))),
        BindAddress::Unix(path) => Ok(BindAddress::Unix(path.clone())),
    }
}

/// Asks. Ends within two and a half seconds.
///
/// # Errors
/// Whenever the answer is not a plain yes.
pub async fn ask(address: BindAddress, probe: Probe) -> Result<(), ProbeError> {
    let Ok(answered) = timeout(PATIENCE, status(&address, probe)).await else {
        return Err(ProbeError::TooSlow { address });
    };
    match answered {
        Ok(Some(200)) => Ok(()),
        Ok(Some(status)) => Err(ProbeError::No {
            address,
            probe,
            status,
        }),
        Ok(None) => Err(ProbeError::NotHttp { address }),
        Err(cause) => Err(ProbeError::Lost { address, cause }),
    }
}

/// An address that stands for all of them is reached on this machine by its own.
fn near(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

async fn status(address: &BindAddress, probe: Probe) -> io::Result<Option<u16>> {
    match address {
        BindAddress::Tcp(address) => exchange(TcpStream::connect(address).await?, probe).await,
        BindAddress::Unix(path) => exchange(UnixStream::connect(path).await?, probe).await,
    }
}

/// `None`: what came is no status line.
async fn exchange<S>(mut stream: S, probe: Probe) -> io::Result<Option<u16>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!("GET {probe} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = [0; STATUS_LINE];
    stream.read_exact(&mut line).await?;
    let status = line.strip_prefix(b"HTTP/1.1 ").map(str::from_utf8);
    Ok(status.and_then(|status| status.ok()?.parse().ok()))
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Health => "/healthz",
            Self::Readiness => "/readyz",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn way(sections: &str) -> Result<BindAddress, ProbeError> {
        let toml = format!(
            "{sections}\n[[listeners]]\naddress = \"127.0.0.1:8080\"\n[[routes]]\nupstream = \"ws://localhost:9\"\n"
        );
        let settings = crate::config::parse(&toml, Path::new("/etc/wsgate/wsgate.toml"));
        way_to(&settings.unwrap_or_else(|problems| panic!("{}", problems.render(false))))
    }

    #[test]
    fn the_probe_goes_where_it_is_answered() {
        let tcp = |text: &str| BindAddress::Tcp(text.parse().unwrap());
        for (sections, expected) in [
            ("health.address = \"0.0.0.0:9181\"", tcp("127.0.0.1:9181")),
            ("health.address = \"[::]:9181\"", tcp("[::1]:9181")),
            ("health.address = \"192.0.2.7:9181\"", tcp("192.0.2.7:9181")),
            ("admin.address = \"127.0.0.1:9180\"", tcp("127.0.0.1:9180")),
            (
                "admin.address = \"127.0.0.1:9180\"\nhealth.address = \"127.0.0.1:9181\"",
                tcp("127.0.0.1:9181"),
            ),
            (
                "health.address = \"unix:health.sock\"",
                BindAddress::Unix(PathBuf::from("/etc/wsgate/health.sock")),
            ),
        ] {
            assert_eq!(way(sections).unwrap(), expected, "{sections}");
        }
        assert!(matches!(way(""), Err(ProbeError::Nowhere)));
        let any = way("health.address = \"127.0.0.1:0\"");
        assert!(matches!(any, Err(ProbeError::AnyPort(_))));
    }

    #[tokio::test]
    async fn an_answer_counts_by_its_status() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some(503)),
            ("SSH-2.0-OpenSSH_10.0\r\n", None),
            ("HTTP/1.1 abc\r\n\r\n", None),
        ] {
            let (near, mut far) = tokio::io::duplex(1024);
            far.write_all(answer.as_bytes()).await.unwrap();
            let status = exchange(near, Probe::Health).await.unwrap();
            assert_eq!(status, expected, "{answer}");
        }
        let (near, far) = tokio::io::duplex(1024);
        drop(far);
        assert!(exchange(near, Probe::Health).await.is_err());
    }
}
