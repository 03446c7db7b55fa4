//! The top level of a configuration file.

use super::admin::{AdminKeys, HealthKeys};
use super::kind::{Kind, at, defaults_of, layered, list, named, salvage, table, text};
use super::listener::ListenerKeys;
use super::problem::Problem;
use super::reader::{At, Node};
use super::route::{OWN_KEYS, RouteKeys};
use super::section::section;
use super::{AuthMethod, Log, Server, Upstream};

section! {
    /// What stands at the top level.
    pub(super) struct Root at "the file" {
        /// Other files to read: paths, or patterns whose last part has `*` and `?` in it, which
        /// are read in the order of their names. They may hold `[[routes]]`, `[upstreams]` and
        /// `[auth]`, nothing else.
        pub(super) include: Vec<At<String>> = list(at(text("a path or a pattern"))), or([]);
        /// What holds for the whole process.
        pub(super) server: Option<Server> = salvage(table()), or({});
        /// Probes for load balancers and containers.
        pub(super) health: Option<Option<HealthKeys>> = salvage(table()), optional;
        /// Metrics and probes for those who run the gateway.
        pub(super) admin: Option<Option<AdminKeys>> = salvage(table()), optional;
        /// What is logged, and how it looks.
        pub(super) log: Option<Log> = salvage(table()), or({});
        /// Where clients arrive; at least one.
        pub(super) listeners: Vec<Option<At<ListenerKeys>>> = list(salvage(at(table()))), or([]);
        /// Servers that do the same work, by name.
        pub(super) upstreams: Vec<(At<String>, Option<Upstream>)> = named(salvage(table())), or({});
        /// Ways to prove who one is, by name.
        pub(super) auth: Vec<(At<String>, Option<AuthMethod>)> = named(salvage(table())), or({});
        /// What routes say where they say nothing themselves: any key of `[[routes]]` but `name`,
        /// `host`, `path` and `subprotocols`, tables key by key.
        pub(super) route_defaults: Option<()> = salvage(defaults_of::<RouteKeys>(OWN_KEYS)), or({});
        /// Which handshakes go where; at least one, unless every listener redirects.
        pub(super) routes: Vec<Option<At<RouteKeys>>> = list(salvage(at(layered()))), or([]);
    }
}

/// What may stand in an included file.
const INCLUDABLE: [&str; 3] = ["upstreams", "auth", "routes"];

impl Root {
    /// Reads the main file.
    pub(super) fn of_main(node: &Node<'_>) -> Option<Self> {
        table().read(node)
    }

    /// Reads an included file.
    pub(super) fn of_included(node: &Node<'_>) -> Option<Self> {
        for key in <Self as super::section::Section>::keys() {
            let place = node.place_of_key(key.name);
            if let Some(place) = place.filter(|_| !INCLUDABLE.contains(&key.name)) {
                let title = format!("`{}` has no place in an included file", key.name);
                let help = "included files hold `[[routes]]`, `[upstreams]` and `[auth]`; move this to the main file";
                node.source()
                    .log
                    .add(Problem::new(title).help(help).at(&place));
            }
        }
        table().read(node)
    }

    /// Adds what an included file holds.
    pub(super) fn append(&mut self, included: Self) {
        self.upstreams.extend(included.upstreams);
        self.auth.extend(included.auth);
        self.routes.extend(included.routes);
    }
}
