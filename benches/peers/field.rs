//! Who takes part, running: the servers and, before them, the proxies.

use crate::Arguments;
use crate::processes::{aside, pinned};
use crate::proxies::{ALL, Kind, Program, Proxy, Servers, WORKERS};
use crate::results::Version;
use crate::rig::Failure;
use crate::rig::server::Server;
use crate::workload::Field;
use std::net::SocketAddr;

/// Clients that go straight to the servers.
pub(crate) const NO_PROXY: &str = "no proxy";

pub(crate) struct Course {
    pinned: Pair,
    proxies: Vec<Proxy>,
    /// Where everything may run on all cores.
    loose: Option<(Pair, Vec<Proxy>)>,
    pub(crate) versions: Vec<Version>,
    /// Proxies that this machine does not have.
    pub(crate) missing: Vec<String>,
}

/// The server that echoes, and that of the hostile sessions.
struct Pair {
    echo: Server,
    hostile: Server,
}

/// Whom a measurement is of.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) name: &'static str,
    pub(crate) proxy: Option<&'a Proxy>,
    servers: &'a Pair,
    /// Everything may run on all cores.
    pub(crate) is_loose: bool,
}

impl Course {
    /// Starts all that have a part in one of `fields`.
    pub(crate) fn start(arguments: &Arguments, fields: &[Field]) -> Result<Self, Failure> {
        let servers = Pair::start(&[arguments.load_core])?;
        let mut course = Self {
            proxies: Vec::new(),
            loose: None,
            versions: Vec::new(),
            missing: Vec::new(),
            pinned: servers,
        };
        for kind in ALL {
            course.add(arguments, kind)?;
        }
        if fields.contains(&Field::Workers) {
            let cores = arguments.cores();
            let pair = Pair::start(&cores)?;
            let start = |kind| start(arguments, kind, &pair, &cores);
            let proxies: Vec<Proxy> = WORKERS.into_iter().map(start).collect::<Result<_, _>>()?;
            proxies.iter().try_for_each(Proxy::rest)?;
            course.loose = Some((pair, proxies));
        }
        Ok(course)
    }

    fn add(&mut self, arguments: &Arguments, kind: Kind) -> Result<(), Failure> {
        let Some(program) = kind.find(arguments) else {
            // Of those that nobody named nobody need know.
            if let Program::Installed(_) = kind.program {
                self.missing.push(kind.name.to_owned());
            }
            return Ok(());
        };
        self.versions.push(Version {
            name: kind.name.to_owned(),
            version: kind.version(&program)?,
        });
        let core = [arguments.proxy_core];
        let proxy = start(arguments, kind, &self.pinned, &core)?;
        // Each is awake in its turn only.
        proxy.rest()?;
        self.proxies.push(proxy);
        Ok(())
    }

    /// Whoever takes part in a field.
    pub(crate) fn of(&self, field: Field) -> Vec<Target<'_>> {
        let (servers, proxies, is_loose) = match (&self.loose, field) {
            (Some((servers, proxies)), Field::Workers) => (servers, proxies, true),
            _ => (&self.pinned, &self.proxies, false),
        };
        let is_few = matches!(field, Field::Few | Field::FewAndNone);
        let targets = proxies
            .iter()
            .filter(|proxy| !is_few || proxy.kind.is_common)
            .map(|proxy| Target {
                name: proxy.kind.name,
                proxy: Some(proxy),
                servers,
                is_loose,
            });
        let none = (field == Field::FewAndNone).then_some(Target {
            name: NO_PROXY,
            proxy: None,
            servers,
            is_loose,
        });
        targets.chain(none).collect()
    }

    /// The same proxy once more, fresh.
    pub(crate) fn again(&self, arguments: &Arguments, kind: Kind) -> Result<Proxy, Failure> {
        start(arguments, kind, &self.pinned, &[arguments.proxy_core])
    }
}

fn start(
    arguments: &Arguments,
    kind: Kind,
    servers: &Pair,
    cores: &[usize],
) -> Result<Proxy, Failure> {
    let program = kind.find(arguments).ok_or("it was there a moment ago")?;
    Proxy::start(kind, &program, servers.addresses(), cores)
}

impl Pair {
    fn start(cores: &[usize]) -> Result<Self, Failure> {
        Ok(Self {
            echo: pinned(cores, Server::start)?,
            hostile: pinned(cores, || Server::start_as(aside()?))?,
        })
    }

    fn addresses(&self) -> Servers {
        Servers {
            echo: self.echo.address,
            hostile: self.hostile.address,
        }
    }
}

impl<'a> Target<'a> {
    /// The same, but by way of another proxy.
    pub(crate) fn by(self, proxy: &'a Proxy) -> Self {
        Self {
            proxy: Some(proxy),
            ..self
        }
    }

    pub(crate) fn address(self, over_tls: bool) -> SocketAddr {
        let proxy = self.proxy.map(|proxy| proxy.address(over_tls));
        proxy.unwrap_or(self.servers.echo.address)
    }

    pub(crate) fn hostile_address(self, over_tls: bool) -> SocketAddr {
        let proxy = self.proxy.map(|proxy| proxy.address(over_tls));
        proxy.unwrap_or(self.servers.hostile.address)
    }

    pub(crate) fn server(self) -> &'a Server {
        &self.servers.echo
    }

    /// None without a proxy.
    pub(crate) fn processes(self) -> Result<Vec<u32>, Failure> {
        self.proxy.map_or_else(|| Ok(Vec::new()), Proxy::processes)
    }
}
