//! The gateway as a process of its own, with a route for each kind of credential.

use crate::Arguments;
use crate::launch::launch;
use crate::rig::{Failure, certificate, usage};
use crate::token::Issuer;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Child;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// The one user of the password file.
pub(crate) const USER: &str = "ann";
/// Hers.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Running; killed when it is dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) issuer: Issuer,
    _folder: TempDir,
}

impl Gateway {
    pub(crate) async fn start(
        arguments: &Arguments,
        upstream: SocketAddr,
    ) -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        let certificate = certificate::write(folder.path())?;
        let issuer = Issuer::new(folder.path())?;
        let hash = bcrypt::hash(PASSWORD, arguments.bcrypt_cost)?;
        fs::write(folder.path().join("users"), format!("{USER}:{hash}\n"))?;
        let toml = configuration(upstream);
        fs::write(folder.path().join("wsgate.toml"), toml)?;
        let (child, [plain, secure]) = launch(&arguments.binary, folder.path()).await?;
        Ok(Self {
            child,
            plain,
            secure,
            certificate,
            issuer,
            _folder: folder,
        })
    }

    /// Time on a core, so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        usage::cpu(self.id()?)
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        usage::memory(self.id()?)
    }

    fn id(&self) -> Result<u32, Failure> {
        Ok(self.child.id().ok_or("the gateway has ended")?)
    }
}

/// Behind the last slash of a path the server would read a wish.
fn configuration(upstream: SocketAddr) -> String {
    format!(
        r#"
[log]
format = "json"
access = false
[[listeners]]
name = "plain"
address = "127.0.0.1:0"
[[listeners]]
name = "secure"
address = "127.0.0.1:0"
tls.certificates = [{{ cert = "server.pem", key = "server.key" }}]
[auth.people]
kind = "jwt"
algorithms = ["ES256"]
key = {{ file = "issuer.pem" }}
issuer = "https://id.example.com/"
audience = "chat"
[auth.users]
kind = "basic"
htpasswd = "users"
[route_defaults]
upstream = "ws://{upstream}"
[[routes]]
path = "/open/"
[[routes]]
path = "/token/"
auth = ["people"]
[[routes]]
path = "/password/"
auth = ["users"]
"#
    )
}
