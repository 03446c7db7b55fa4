//! Endpoints: the servers of an upstream.

use super::host;
use super::kind::{Kind, Parsed, Shape, count, parsed, table};
use super::listener::unix_path;
use super::problem::Problem;
use super::reader::Node;
use super::section::section;
use std::path::PathBuf;
use toml::de::DeValue;

/// One entry of `endpoints`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where it is.
    pub address: EndpointAddress,
    /// Share relative to the others, at least 1.
    pub weight: u32,
}

/// The written address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// `ws://host:port` or `wss://host:port`.
    Tcp {
        /// `wss`
        tls: bool,
        /// Lower-case name, or an IP literal (IPv6 without brackets).
        host: String,
        /// Explicit or default port.
        port: u16,
    },
    /// `unix:/run/chat.sock`
    Unix(PathBuf),
    /// `builtin:echo`: answers inside the gateway.
    Echo,
}

section! {
    /// An endpoint with a weight.
    struct EndpointKeys at "an entry of `endpoints`" {
        /// Its URL, as it would be written without a weight.
        url: EndpointAddress = address(), required;
        /// Its share of the sessions relative to the others, whose weight is 1 where none is
        /// given.
        weight: u32 = count(1..=65_535), or(1);
    }
}

/// A kind: an entry of `endpoints`.
pub(super) fn endpoint() -> EndpointKind {
    EndpointKind
}

/// See [`endpoint`].
pub(super) struct EndpointKind;

impl Kind for EndpointKind {
    type Out = Endpoint;

    fn read(&self, node: &Node<'_>) -> Option<Endpoint> {
        if node.written().contains('@') {
            node.hide_strings(&[]); // a password, which does not belong here
        }
        let mut endpoint = match node.value() {
            DeValue::Table(_) => {
                let EndpointKeys { url, weight } = table().read(node)?;
                Endpoint {
                    address: url,
                    weight,
                }
            }
            _ => Endpoint {
                address: address().read(node)?,
                weight: 1,
            },
        };
        if let EndpointAddress::Unix(path) = &mut endpoint.address {
            *path = node.source().file.folder().join(&*path);
        }
        Some(endpoint)
    }

    fn shape(&self) -> Shape {
        let mut table = table::<EndpointKeys>().shape();
        table.text = "`{ url, weight }`".to_owned();
        address().shape().or(table)
    }
}

fn address() -> Parsed<EndpointAddress> {
    parsed(
        "`\"ws://HOST:PORT\"`, `\"wss://HOST:PORT\"`, `\"unix:PATH\"` or `\"builtin:echo\"`",
        "^(wss?://|unix:|builtin:echo$)",
        parse,
    )
}

/// Whether `text`, as the `upstream` of a route, is an endpoint rather than a name.
pub(super) fn is_endpoint(text: &str) -> bool {
    text.contains("://") || text.starts_with("unix:") || text.starts_with("builtin:")
}

fn parse(text: &str) -> Result<EndpointAddress, Problem> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_path(path).map(EndpointAddress::Unix);
    }
    if let Some(name) = text.strip_prefix("builtin:") {
        return match name {
            "echo" => Ok(EndpointAddress::Echo),
            _ => Err(Problem::new(format!("nothing built in is called `{name}`"))
                .help("write `\"builtin:echo\"`")),
        };
    }
    match text.split_once("://") {
        Some(("ws", rest)) => tcp(text, false, rest),
        Some(("wss", rest)) => tcp(text, true, rest),
        Some(("http", rest)) => Err(not_endpoint(text).help(format!("write `\"ws://{rest}\"`"))),
        Some(("https", rest)) => Err(not_endpoint(text).help(format!("write `\"wss://{rest}\"`"))),
        Some((scheme, _)) => Err(not_endpoint(text)
            .label(format!("unknown scheme `{scheme}`"))
            .help("write `ws://` or `wss://`")),
        None => Err(not_endpoint(text).label("no scheme").help(format!(
            "write `\"ws://{text}\"`, or `wss://` where the endpoint speaks TLS"
        ))),
    }
}

fn tcp(text: &str, tls: bool, rest: &str) -> Result<EndpointAddress, Problem> {
    let (authority, behind) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if !behind.is_empty() {
        let bare = &text[..text.len() - behind.len()];
        let problem = not_endpoint(text).label("an endpoint has no path");
        return Err(match behind {
            "/" => problem.help(format!("write `\"{bare}\"`")),
            _ => problem.help(format!(
                "write `\"{bare}\"`, and the path as `add_prefix` of the route"
            )),
        });
    }
    if authority.contains('@') {
        return Err(Problem::new("an endpoint has no user and password"));
    }
    let (host, port) = host::parse_authority(authority)?;
    Ok(EndpointAddress::Tcp {
        tls,
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.unwrap_or(if tls { 443 } else { 80 }),
    })
}

fn not_endpoint(text: &str) -> Problem {
    Problem::new(format!("`{text}` is not an endpoint"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let tcp = |tls, host: &str, port| {
            let host = host.to_owned();
            Some(EndpointAddress::Tcp { tls, host, port })
        };
        let check = |text: &str, expected| assert_eq!(parse(text).ok(), expected, "{text}");
        check("ws://10.0.0.1:8080", tcp(false, "10.0.0.1", 8080));
        check("ws://Chat.internal", tcp(false, "chat.internal", 80));
        check("wss://chat_1", tcp(true, "chat_1", 443));
        check("ws://[::1]:9000", tcp(false, "::1", 9000));
        check("builtin:echo", Some(EndpointAddress::Echo));
        check(
            "unix:/run/a.sock",
            Some(EndpointAddress::Unix("/run/a.sock".into())),
        );
        for wrong in [
            "",
            "chat",
            "localhost:80",
            "http://a",
            "https://a",
            "ftp://a",
            "ws://",
            "ws://a/",
            "ws://a/b",
            "ws://a?b",
            "ws://u:p@a",
            "ws://a:0",
            "ws://a:99999",
            "ws://::1",
            "unix:",
            "builtin:",
            "builtin:time",
            "ws://*.a",
        ] {
            check(wrong, None);
        }
    }
}
