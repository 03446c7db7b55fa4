//! The gateway as a process of its own, with TLS and passwords; what it uses of the machine.

use crate::Arguments;
use crate::launch::launch;
use crate::rig::{Failure, certificate, usage};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;

const STOP_WITHIN: Duration = Duration::from_secs(60);

/// Running; killed when it is dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) certificate: CertificateDer<'static>,
    _folder: TempDir,
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Resident, in bytes.
    pub(crate) memory: u64,
}

/// The user that the talking sessions are; the others are `user-0` and so on.
pub(crate) const LIVE_USER: &str = "live";
/// Everybody's. The gateway remembers by name and password: nobody profits from another's.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

impl Gateway {
    pub(crate) async fn start(arguments: &Arguments, server: SocketAddr) -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        let certificate = certificate::write(folder.path())?;
        fs::write(folder.path().join("users"), passwords(arguments)?)?;
        let toml = configuration(&arguments.server, server);
        fs::write(folder.path().join("wsgate.toml"), toml)?;
        let (child, [address]) = launch(&arguments.binary, folder.path()).await?;
        Ok(Self {
            address,
            child,
            certificate,
            _folder: folder,
        })
    }

    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        let pid = self.child.id().ok_or("the gateway has ended")?;
        Ok(Usage {
            cpu: usage::cpu(pid)?,
            memory: usage::memory(pid)?,
        })
    }

    /// Ends it in order.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        let pid = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));
        kill_process(pid.ok_or("the gateway has ended")?, Signal::TERM)?;
        let status = timeout(STOP_WITHIN, self.child.wait()).await??;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the gateway ended with {status}").into())
        }
    }
}

fn configuration(server: &str, upstream: SocketAddr) -> String {
    format!(
        r#"
[server]
{server}
[log]
format = "json"
access = false
[[listeners]]
address = "127.0.0.1:0"
tls.certificates = [{{ cert = "server.pem", key = "server.key" }}]
[auth.people]
kind = "basic"
htpasswd = "users"
[[routes]]
auth = ["people"]
upstream = "ws://{upstream}"
"#
    )
}

/// Lines of a password file, with one hash for all.
fn passwords(arguments: &Arguments) -> Result<String, Failure> {
    let hash = bcrypt::hash(PASSWORD, arguments.bcrypt_cost)?;
    let names = (0..arguments.users).map(|number| format!("user-{number}"));
    Ok(names
        .chain([LIVE_USER.to_owned()])
        .map(|name| format!("{name}:{hash}\n"))
        .collect())
}
