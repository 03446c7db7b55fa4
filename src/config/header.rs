//! Header names and values, tokens, and `request_headers` and `response_headers`.

use super::kind::{Kind, Parsed, Shape, at, list, map, parsed, salvage};
use super::problem::Problem;
use super::reader::{At, Node};
use super::section::section;
use http::{HeaderName, HeaderValue};

/// `request_headers`, `response_headers`. Names are lower case and valid, values are valid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// Replaced or added.
    pub set: Vec<(String, String)>,
    /// Taken out.
    pub remove: Vec<String>,
}

section! {
    /// Edits of the handshake's headers. Those that carry the handshake itself (`Host`,
    /// `Connection`, `Upgrade`, `Sec-WebSocket-*`, `Content-Length` and their like) belong to the
    /// gateway and cannot be edited.
    struct EditKeys at "`request_headers` and `response_headers`" {
        /// Headers to add, in place of any of the same name.
        set: Vec<(At<String>, Option<String>)> = map("header name", salvage(header_value())), or({});
        /// Headers to take out.
        remove: Vec<Option<At<String>>> = list(salvage(at(header_name()))), or([]);
    }
    example r#"[[routes]]
upstream = "ws://10.0.0.1:8080"
request_headers = { set = { X-Env = "prod" }, remove = ["X-Debug"] }
"#
}

/// A kind: a table of [`EditKeys`].
pub(super) fn header_edits() -> Edits {
    Edits
}

/// See [`header_edits`].
pub(super) struct Edits;

impl Kind for Edits {
    type Out = HeaderEdits;

    fn read(&self, node: &Node<'_>) -> Option<HeaderEdits> {
        let keys = super::kind::table::<EditKeys>().read(node)?;
        let mut edits = HeaderEdits::default();
        let mut seen: Vec<At<String>> = Vec::new();
        for (written, value) in keys.set {
            match parse_owned_name(&written.value) {
                Ok(name) => {
                    let place = written.place;
                    let name = At { value: name, place };
                    check_set(&name, &seen, node);
                    edits
                        .set
                        .extend(value.map(|value| (name.value.clone(), value)));
                    seen.push(name);
                }
                Err(problem) => node.source().log.add(problem.at(&written.place)),
            }
        }
        for removed in keys.remove.into_iter().flatten() {
            check_removed(&removed, &seen, node);
            edits.remove.push(removed.value);
        }
        Some(edits)
    }

    fn shape(&self) -> Shape {
        super::kind::table::<EditKeys>().shape()
    }
}

/// Names are compared without regard to case, so TOML lets them through twice.
fn check_set(name: &At<String>, seen: &[At<String>], node: &Node<'_>) {
    if let Some(first) = seen.iter().find(|other| other.value == name.value) {
        let problem = Problem::new(format!("`{}` is set twice", name.value));
        let problem = problem.see(&first.place, "first set here");
        node.source().log.add(problem.at(&name.place));
    }
}

fn check_removed(name: &At<String>, set: &[At<String>], node: &Node<'_>) {
    if let Some(set) = set.iter().find(|set| set.value == name.value) {
        let problem = Problem::new(format!("`{}` is both set and removed", name.value));
        let problem = problem.see(&set.place, "set here");
        let problem = problem.help("leave it out here: setting replaces what was there");
        node.source().log.add(problem.at(&name.place));
    }
}

/// A kind: the name of a header that the gateway leaves to others, in lower case.
pub(super) fn header_name() -> Parsed<String> {
    parsed("a header name", NAME, parse_owned_name)
}

const NAME: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// A name of a header, in lower case.
pub(super) fn parse_name(text: &str) -> Result<String, Problem> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(_) => Err(Problem::new(format!("`{text}` is not a header name"))
            .help("a name is letters, digits and `-`, such as `\"X-Env\"`")),
    }
}

fn parse_owned_name(text: &str) -> Result<String, Problem> {
    const OWNED: [&str; 11] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = parse_name(text)?;
    if name.starts_with("sec-websocket-") || OWNED.contains(&name.as_str()) {
        let problem = Problem::new(format!("`{text}` belongs to the gateway"));
        return Err(match name.as_str() {
            "host" => problem.help("`host_header` of the upstream decides what it sees"),
            _ => problem.label("carries the handshake itself"),
        });
    }
    Ok(name)
}

fn header_value() -> Parsed<String> {
    parsed("a header value", "", |text| {
        match HeaderValue::from_str(text) {
            Ok(value) if value.to_str().is_ok() && text.trim() == text => Ok(text.to_owned()),
            _ => Err(Problem::new("this is not a header value")
                .help("a value is visible ASCII, without blanks at either end")),
        }
    })
}

/// A kind: a subprotocol, an RFC 9110 token.
pub(super) fn token() -> Parsed<String> {
    parsed("a subprotocol such as `\"chat.v1\"`", NAME, |text| {
        if is_token(text) {
            return Ok(text.to_owned());
        }
        let problem = Problem::new(format!("`{text}` is not a subprotocol"));
        Err(if text.contains([',', ' ']) {
            problem.help("write several as a list: `[\"chat.v2\", \"chat.v1\"]`")
        } else {
            problem.help("letters, digits and any of ! # $ % & ' * + - . ^ _ ` | ~")
        })
    })
}

/// Whether `text` is a token as of RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}
