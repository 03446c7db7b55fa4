//! The proxies: which there are, how each is configured, started and ended.

use crate::Arguments;
use crate::clock::pause;
use crate::load::Door;
use crate::processes::{pinned, tree};
use crate::rig::{Failure, certificate};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const TRIES: u32 = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Files of a proxy that are no sessions.
const OTHER_FILES: u64 = 600;

/// A proxy as it is configured here.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    file: &'static str,
    template: &'static str,
    /// Where the template leaves room for a variant.
    more: &'static str,
    arguments: &'static [&'static str],
    version: &'static str,
    /// What most people have, and therefore part of what takes long.
    pub(crate) is_common: bool,
}

/// Where its program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// That of this build, or the one of the command line.
    Own,
    /// Somewhere on `PATH`.
    Installed(&'static str),
    /// On the command line, or the proxy takes no part.
    Named(&'static str),
}

/// That of this project.
pub(crate) const OWN: &str = "wsgate";

const WSGATE: Kind = Kind {
    name: OWN,
    program: Program::Own,
    file: "wsgate.toml",
    template: include_str!("config/wsgate.toml"),
    more: "workers = 1",
    arguments: &["run", "wsgate.toml"],
    version: "--version",
    is_common: true,
};

const HAPROXY: Kind = Kind {
    name: "HAProxy",
    program: Program::Installed("haproxy"),
    file: "haproxy.cfg",
    template: include_str!("config/haproxy.cfg"),
    more: "",
    arguments: &["-db", "-f", "haproxy.cfg"],
    version: "-v",
    is_common: true,
};

const NGINX: Kind = Kind {
    name: "nginx",
    program: Program::Installed("nginx"),
    file: "nginx.conf",
    template: include_str!("config/nginx.conf"),
    more: "",
    arguments: &["-e", "stderr", "-p", ".", "-c", "nginx.conf"],
    version: "-v",
    is_common: true,
};

/// All of them, in the order of the tables.
pub(crate) const ALL: [Kind; 8] = [
    WSGATE,
    HAPROXY,
    Kind {
        name: "HAProxy, splice",
        more: "option splice-auto",
        is_common: false,
        ..HAPROXY
    },
    NGINX,
    Kind {
        name: "nginx, 32k",
        more: "proxy_buffer_size 32k; proxy_buffers 8 32k; proxy_busy_buffers_size 64k;",
        is_common: false,
        ..NGINX
    },
    Kind {
        name: "Caddy",
        program: Program::Installed("caddy"),
        file: "Caddyfile",
        template: include_str!("config/Caddyfile"),
        more: "",
        arguments: &["run", "--adapter", "caddyfile", "--config", "Caddyfile"],
        version: "version",
        is_common: false,
    },
    Kind {
        name: "sozu",
        program: Program::Named("sozu"),
        file: "sozu.toml",
        template: include_str!("config/sozu.toml"),
        more: "",
        arguments: &["start", "--config", "sozu.toml"],
        version: "--version",
        is_common: false,
    },
    Kind {
        name: "Envoy",
        program: Program::Named("envoy"),
        file: "envoy.yaml",
        template: include_str!("config/envoy.yaml"),
        more: "",
        arguments: &[
            "-c",
            "envoy.yaml",
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "-l",
            "error",
        ],
        version: "--version",
        is_common: false,
    },
];

/// What a second worker brings is seen beside one that may run on the same cores.
pub(crate) const WORKERS: [Kind; 2] = [
    Kind {
        name: ONE_WORKER,
        ..WSGATE
    },
    Kind {
        name: TWO_WORKERS,
        more: "workers = 2",
        ..WSGATE
    },
];
pub(crate) const ONE_WORKER: &str = "1 worker";
pub(crate) const TWO_WORKERS: &str = "2 workers";

/// What stands behind each proxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Servers {
    pub(crate) echo: SocketAddr,
    /// That of the hostile sessions: paths below `/hostile/` lead there.
    pub(crate) hostile: SocketAddr,
}

impl Kind {
    /// Where its program is, if it is here.
    pub(crate) fn find(&self, arguments: &Arguments) -> Option<PathBuf> {
        let name = match self.program {
            Program::Own => return Some(arguments.wsgate.clone()),
            Program::Named(name) => return arguments.named(name),
            Program::Installed(name) => name,
        };
        let path = std::env::var_os("PATH")?;
        // Debian has them where the PATH of an ordinary user does not lead.
        let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        std::env::split_paths(&path)
            .chain(more)
            .map(|folder| folder.join(name))
            .find(|program| program.is_file())
    }

    /// The first line of what it says of itself.
    pub(crate) fn version(&self, program: &Path) -> Result<String, Failure> {
        let said = Command::new(program).arg(self.version).output()?;
        // nginx says it on standard error.
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().find(|line| !line.trim().is_empty());
        let line = line.unwrap_or_default().trim();
        // nginx begins with its name, Envoy with where it is on this machine.
        let line = line.split("version: ").last().unwrap_or(line);
        Ok(line.split(" - http").next().unwrap_or(line).to_owned())
    }
}

/// Running; ended when it is dropped.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    child: Child,
    plain: SocketAddr,
    tls: SocketAddr,
    certificate: Vec<u8>,
    folder: TempDir,
}

impl Proxy {
    /// Starts it on `cores` before the servers, and waits until a client comes through both ways.
    pub(crate) fn start(
        kind: Kind,
        program: &Path,
        servers: Servers,
        cores: &[usize],
    ) -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        let certificate = certificate::write(folder.path())?.to_vec();
        let [plain, tls] = free_ports()?;
        let text = kind.configuration(plain, tls, servers)?;
        fs::write(folder.path().join(kind.file), text)?;
        // HAProxy wants both in one file.
        let both = ["server.pem", "server.key"].map(|name| fs::read(folder.path().join(name)));
        let [pem, key] = both;
        fs::write(folder.path().join("both.pem"), [pem?, key?].concat())?;
        let said = File::create(folder.path().join("said"))?;
        let mut command = Command::new(program);
        command
            .args(kind.arguments)
            .current_dir(folder.path())
            .env("GOMAXPROCS", "1")
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        let mut proxy = Self {
            kind,
            child: pinned(cores, || Ok(command.spawn()?))?,
            plain,
            tls,
            certificate,
            folder,
        };
        proxy.ready()?;
        Ok(proxy)
    }

    fn ready(&mut self) -> Result<(), Failure> {
        let mut last = None;
        for _ in 0..TRIES {
            if self.child.try_wait()?.is_some() {
                break;
            }
            let open = |over_tls| self.door(over_tls)?.open("/");
            match open(false).and_then(|_| open(true)) {
                Ok(_) => return Ok(()),
                Err(failure) => last = Some(failure),
            }
            pause(BETWEEN_TRIES);
        }
        let said = fs::read_to_string(self.folder.path().join("said"))?;
        Err(format!("{} did not start ({last:?}): {said}", self.kind.name).into())
    }

    fn door(&self, over_tls: bool) -> Result<Door, Failure> {
        Door::new(self.address(over_tls), self.certificate(over_tls), false)
    }

    pub(crate) fn address(&self, over_tls: bool) -> SocketAddr {
        if over_tls { self.tls } else { self.plain }
    }

    /// What its clients trust, where they come over TLS.
    pub(crate) fn certificate(&self, over_tls: bool) -> Option<&[u8]> {
        over_tls.then_some(&*self.certificate)
    }

    pub(crate) fn processes(&self) -> Result<Vec<u32>, Failure> {
        tree(self.child.id())
    }
}

impl Proxy {
    /// Takes it off the core until [`Self::wake`]: some turn round and round after what a hostile session
    /// has done to them, and it is others whom that would cost.
    pub(crate) fn rest(&self) -> Result<(), Failure> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn wake(&self) -> Result<(), Failure> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        for pid in self.processes()? {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            kill_process(pid.ok_or("no process")?, signal)?;
        }
        Ok(())
    }
}

impl Drop for Proxy {
    /// In order, so that none leaves a worker behind.
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        // Who rests does not hear of its end.
        let _ = self.wake();
        // Whether it has ended before is the same to us.
        let _ = kill_process(pid, Signal::TERM);
        for _ in 0..TRIES {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            pause(BETWEEN_TRIES);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Kind {
    fn configuration(
        &self,
        plain: SocketAddr,
        tls: SocketAddr,
        servers: Servers,
    ) -> Result<String, Failure> {
        let text = self
            .template
            .replace("@PLAIN@", &plain.port().to_string())
            .replace("@TLS@", &tls.port().to_string())
            .replace("@BACKEND@", &servers.echo.port().to_string())
            .replace("@HOSTILE@", &servers.hostile.port().to_string())
            .replace("@SESSIONS@", &max_sessions()?.to_string())
            .replace("@FILES@", &(2 * max_sessions()?).to_string())
            .replace("@MORE@", self.more);
        Ok(text)
    }
}

/// As many as a proxy can have: two files for each.
pub(crate) fn max_sessions() -> Result<u64, Failure> {
    let files = wsgate::net::raise_open_files()?.soft;
    Ok(files.min(1 << 20).saturating_sub(OTHER_FILES) / 2)
}

/// Nobody else is likely to take them before the proxy does.
fn free_ports() -> Result<[SocketAddr; 2], Failure> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let [one, other] = [TcpListener::bind(any)?, TcpListener::bind(any)?];
    Ok([one.local_addr()?, other.local_addr()?])
}
