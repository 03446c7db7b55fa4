//! The table of routes, and the first choice in it: exact host, else wildcard, else any.
//!
//! A host that is matched never falls back to a less specific one, so that what a host does not
//! serve is not served by a catch-all. Lookup allocates nothing.

use super::paths::Paths;
use super::subprotocols::{Choice, Clash};
use crate::config::{HostPattern, PathPattern};
use std::collections::HashMap;
use thiserror::Error;

/// Finds a `T` for each request.
#[derive(Debug, Clone)]
pub struct Table<T> {
    exact: HashMap<String, Paths<T>>,
    /// By what follows the one label that may differ.
    wildcard: HashMap<String, Paths<T>>,
    any: Option<Paths<T>>,
}

/// Takes routes until the [`Table`] is whole.
#[derive(Debug, Clone)]
pub struct Builder<T> {
    table: Table<T>,
}

/// Why there is no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoRoute {
    /// No pattern has this host.
    #[error("no route for this host")]
    Host,
    /// The host has no such path.
    #[error("no route for this path")]
    Path,
    /// All routes of this path list subprotocols, and the client offered none of them.
    #[error("no subprotocol in common")]
    Subprotocol,
}

/// Two routes of one host and path that no handshake could tell apart.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an earlier route of the same host and path serves {clash} too")]
pub struct Conflict<T> {
    /// What both serve.
    pub clash: Clash,
    /// The route that came first.
    pub earlier: T,
}

impl<T> Table<T> {
    /// A table without routes, to be filled.
    pub fn builder() -> Builder<T> {
        let table = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            any: None,
        };
        Builder { table }
    }

    /// The route of a handshake. `host` is normalised as in a pattern; `path` is as the client sent
    /// it; `offered` are its subprotocols in its order.
    pub fn find(&self, host: &str, path: &str, offered: &[String]) -> Result<&T, NoRoute> {
        self.choice(host, path)?
            .find(offered)
            .ok_or(NoRoute::Subprotocol)
    }

    /// The route of a request that is no handshake: of those that differ in subprotocols only, the
    /// one without, else the first that `serves` such requests, else the first.
    pub fn find_plain(
        &self,
        host: &str,
        path: &str,
        serves: impl Fn(&T) -> bool,
    ) -> Result<&T, NoRoute> {
        let choice = self.choice(host, path)?;
        choice.find_plain(serves).ok_or(NoRoute::Path)
    }

    fn choice(&self, host: &str, path: &str) -> Result<&Choice<T>, NoRoute> {
        let paths = self.paths(host).ok_or(NoRoute::Host)?;
        paths.find(path).ok_or(NoRoute::Path)
    }

    fn paths(&self, host: &str) -> Option<&Paths<T>> {
        self.exact
            .get(host)
            .or_else(|| self.wildcard.get(suffix(host)?))
            .or(self.any.as_ref())
    }
}

impl<T: Clone> Builder<T> {
    /// Adds `route` for one host and one path. An empty list of subprotocols is any.
    pub fn add(
        &mut self,
        host: &HostPattern,
        path: &PathPattern,
        subprotocols: &[String],
        route: T,
    ) -> Result<(), Conflict<T>> {
        let paths = match host {
            HostPattern::Exact(name) => self.table.exact.entry(name.clone()).or_default(),
            HostPattern::Wildcard(name) => self.table.wildcard.entry(name.clone()).or_default(),
            HostPattern::Any => self.table.any.get_or_insert_default(),
        };
        paths
            .at(path)
            .add(subprotocols, route)
            .map_err(|(clash, earlier)| Conflict {
                clash,
                earlier: earlier.clone(),
            })
    }

    /// The table as it is to serve.
    pub fn build(self) -> Table<T> {
        self.table
    }
}

/// What follows the first label; `None` for a host of one label.
fn suffix(host: &str) -> Option<&str> {
    host.split_once('.')
        .filter(|(label, _)| !label.is_empty())
        .map(|(_, suffix)| suffix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `host path tokens`, where a host or a path may be a pattern and tokens are separated by commas.
    type Row = (&'static str, &'static str, &'static str);

    fn host(text: &str) -> HostPattern {
        match text.strip_prefix("*.") {
            Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
            None if text == "*" => HostPattern::Any,
            None => HostPattern::Exact(text.to_owned()),
        }
    }

    fn path(text: &str) -> PathPattern {
        match text.strip_suffix("/*") {
            Some(prefix) => PathPattern::Prefix(prefix.to_owned()),
            None => PathPattern::Exact(text.to_owned()),
        }
    }

    fn tokens(text: &str) -> Vec<String> {
        let tokens = text.split(',').filter(|token| !token.is_empty());
        tokens.map(str::to_owned).collect()
    }

    fn table(rows: &[Row]) -> Table<usize> {
        let mut builder = Table::builder();
        for (index, (on, at, list)) in rows.iter().enumerate() {
            let added = builder.add(&host(on), &path(at), &tokens(list), index);
            added.unwrap();
        }
        builder.build()
    }

    #[test]
    fn hosts_go_from_exact_to_any_and_never_back() {
        let table = table(&[
            ("a.example", "/*", ""),
            ("*.example", "/*", ""),
            ("b.example", "/b", ""),
            ("*", "/*", ""),
            ("[::1]", "/*", ""),
        ]);
        for (host, path, expected) in [
            ("a.example", "/x", Ok(0)),
            ("c.example", "/x", Ok(1)),
            ("b.example", "/b", Ok(2)),
            ("b.example", "/x", Err(NoRoute::Path)),
            ("a.b.example", "/x", Ok(3)),
            ("example", "/x", Ok(3)),
            (".example", "/x", Ok(3)),
            ("other", "/x", Ok(3)),
            ("[::1]", "/x", Ok(4)),
        ] {
            assert_eq!(
                table.find(host, path, &[]).copied(),
                expected,
                "{host} {path}"
            );
            assert_eq!(
                table.find_plain(host, path, |_| true).copied(),
                expected,
                "{host} {path}"
            );
        }
    }

    #[test]
    fn no_host_without_a_pattern() {
        let table = table(&[("a.example", "/*", ""), ("*.b.example", "/*", "")]);
        for host in ["b.example", "x.a.example", "x.y.b.example", ""] {
            assert_eq!(table.find(host, "/", &[]), Err(NoRoute::Host), "{host}");
        }
    }

    #[test]
    fn paths_go_from_exact_to_the_longest_prefix() {
        let table = table(&[
            ("*", "/chat", ""),
            ("*", "/chat/*", ""),
            ("*", "/chat/room/*", ""),
            ("*", "/chat/room/1", ""),
            ("*", "/", ""),
            ("*", "/slash/", ""),
            ("*", "/caf%C3%A9", ""),
        ]);
        for (path, expected) in [
            ("/chat", Ok(0)),
            ("/chat;v=1", Ok(0)),
            ("/ch%61t", Ok(0)),
            ("/chat/", Ok(1)),
            ("/chat/x", Ok(1)),
            ("/chat;v=1/x;y", Ok(1)),
            ("/chat/room", Ok(2)),
            ("/chat/room;a/2/3", Ok(2)),
            ("/chat/room/1", Ok(3)),
            ("/chat/room/1;x", Ok(3)),
            ("/chat/room/1/", Ok(2)),
            ("/chat/rooms", Ok(1)),
            ("/", Ok(4)),
            ("/;x", Ok(4)),
            ("/slash/", Ok(5)),
            ("/slash", Err(NoRoute::Path)),
            ("/slash/x", Err(NoRoute::Path)),
            ("/chatter", Err(NoRoute::Path)),
            ("/Chat", Err(NoRoute::Path)),
            ("/caf%c3%a9", Ok(6)),
            ("/café", Ok(6)),
        ] {
            assert_eq!(table.find("a", path, &[]).copied(), expected, "{path}");
        }
    }

    #[test]
    fn the_first_token_that_a_route_lists_decides() {
        let table = table(&[
            ("*", "/x", "v2,v1"),
            ("*", "/x", "mqtt"),
            ("*", "/x", ""),
            ("*", "/y", "v2"),
            ("*", "/y", "mqtt"),
            ("*", "/*", ""),
        ]);
        for (path, offered, expected) in [
            ("/x", "v1", Ok(0)),
            ("/x", "v1,mqtt", Ok(0)),
            ("/x", "mqtt,v1", Ok(1)),
            ("/x", "other,mqtt", Ok(1)),
            ("/x", "other", Ok(2)),
            ("/x", "", Ok(2)),
            ("/x", "V1", Ok(2)),
            ("/y", "v2", Ok(3)),
            // No fall back to a shorter prefix either.
            ("/y", "other", Err(NoRoute::Subprotocol)),
            ("/y", "", Err(NoRoute::Subprotocol)),
        ] {
            assert_eq!(
                table.find("a", path, &tokens(offered)).copied(),
                expected,
                "{path} {offered}"
            );
        }
        assert_eq!(table.find_plain("a", "/x", |_| true), Ok(&2));
        assert_eq!(table.find_plain("a", "/y", |_| true), Ok(&3));
        assert_eq!(table.find_plain("a", "/x", |_| false), Ok(&2));
        assert_eq!(table.find_plain("a", "/y", |_| false), Ok(&3));
        assert_eq!(table.find_plain("a", "/y", |route| *route > 3), Ok(&4));
    }

    #[test]
    fn routes_that_cannot_be_told_apart_conflict() {
        let open = Clash::Open;
        let v1 = Clash::Subprotocol("v1".to_owned());
        for (first, second, expected) in [
            (("a", "/x", ""), ("a", "/x", ""), Some(&open)),
            (("*", "/*", ""), ("*", "/*", ""), Some(&open)),
            (("a", "/x", "v1"), ("a", "/x", "v2,v1"), Some(&v1)),
            (
                ("a", "/caf%c3%a9", ""),
                ("a", "/caf%C3%A9", ""),
                Some(&open),
            ),
            (("a", "/x", ""), ("a", "/x", "v1"), None),
            (("a", "/x", "v1"), ("a", "/x", "V1"), None),
            (("a", "/x", ""), ("a", "/x/*", ""), None),
            (("a", "/x", ""), ("a", "/x/", ""), None),
            (("a", "/x", ""), ("*.a", "/x", ""), None),
            (("a", "/x", ""), ("*", "/x", ""), None),
        ] {
            let mut builder = Table::builder();
            let mut add =
                |(on, at, list): Row, name| builder.add(&host(on), &path(at), &tokens(list), name);
            assert_eq!(add(first, "first"), Ok(()));
            let conflict = expected.map(|clash| Conflict {
                clash: clash.clone(),
                earlier: "first",
            });
            assert_eq!(
                add(second, "second").err(),
                conflict,
                "{first:?} {second:?}"
            );
        }
    }

    /// How specific a pattern is for a request; `None` where it does not match.
    fn naive_host(pattern: &str, host: &str) -> Option<usize> {
        if pattern == "*" {
            return Some(0);
        }
        if let Some(suffix) = pattern.strip_prefix('*') {
            let label = host.strip_suffix(suffix)?;
            return (!label.is_empty() && !label.contains('.')).then_some(1);
        }
        (pattern == host).then_some(2)
    }

    fn naive_path(pattern: &str, path: &str) -> Option<usize> {
        match pattern.strip_suffix("/*") {
            Some(prefix) => {
                let rest = path.strip_prefix(prefix)?;
                (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
            }
            None => (pattern == path).then_some(usize::MAX),
        }
    }

    /// Keeps the rows that are as specific as the most specific.
    fn most<'a>(
        rows: &[(usize, &'a Row)],
        rank: impl Fn(&Row) -> Option<usize>,
    ) -> Vec<(usize, &'a Row)> {
        let best = rows.iter().filter_map(|(_, row)| rank(row)).max();
        let is_best = |row: &Row| best.is_some() && rank(row) == best;
        rows.iter()
            .copied()
            .filter(|(_, row)| is_best(row))
            .collect()
    }

    /// Looks at every row.
    fn naive(rows: &[Row], host: &str, path: &str, offered: &[String]) -> Result<usize, NoRoute> {
        let rows: Vec<(usize, &Row)> = rows.iter().enumerate().collect();
        let rows = most(&rows, |row| naive_host(row.0, host));
        if rows.is_empty() {
            return Err(NoRoute::Host);
        }
        let rows = most(&rows, |row| naive_path(row.1, path));
        if rows.is_empty() {
            return Err(NoRoute::Path);
        }
        let lists = |row: &Row, token: &String| tokens(row.2).contains(token);
        offered
            .iter()
            .find_map(|token| rows.iter().find(|(_, row)| lists(row, token)))
            .or_else(|| rows.iter().find(|(_, row)| row.2.is_empty()))
            .map(|(index, _)| *index)
            .ok_or(NoRoute::Subprotocol)
    }

    fn row() -> impl Strategy<Value = Row> {
        use proptest::sample::select;
        let hosts = vec!["a.x", "b.x", "x", "*.x", "*.a.x", "*"];
        let paths = vec!["/", "/a", "/a/", "/a/b", "/*", "/a/*", "/a/b/*", "/ab/*"];
        let tokens = vec!["", "p", "q", "p,q", "r"];
        (select(hosts), select(paths), select(tokens))
    }

    fn request() -> impl Strategy<Value = Row> {
        use proptest::sample::select;
        let hosts = vec!["a.x", "b.x", "c.x", "x", "b.a.x", "c.b.a.x", "y"];
        let paths = vec![
            "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/c", "/ab", "/ab/c", "/abc", "/b",
        ];
        let offered = vec!["", "p", "q", "q,p", "s,r", "s"];
        (select(hosts), select(paths), select(offered))
    }

    proptest! {
        #[test]
        fn the_table_finds_what_a_look_at_every_row_finds(
            rows in proptest::collection::vec(row(), 0..20),
            requests in proptest::collection::vec(request(), 1..20),
        ) {
            let mut builder = Table::builder();
            let mut kept = Vec::new();
            for row in rows {
                let added = builder.add(&host(row.0), &path(row.1), &tokens(row.2), kept.len());
                if added.is_ok() {
                    kept.push(row);
                }
            }
            let table = builder.build();
            for (host, path, offered) in requests {
                let offered = tokens(offered);
                let found = table.find(host, path, &offered).copied();
                prop_assert_eq!(found, naive(&kept, host, path, &offered), "{} {}", host, path);
            }
        }
    }
}
