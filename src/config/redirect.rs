//! `redirect_https`: whether plain requests are sent on to https, and to which port.

use super::kind::{Kind, Shape, boolean, count};
use super::reader::Node;
use serde_json::json;
use std::ops::RangeInclusive;
use toml::de::DeValue;

/// `false`, `true` (the port of https), or a port.
pub(super) fn redirect() -> Redirect {
    Redirect
}

/// See [`redirect`].
pub(super) struct Redirect;

const PORT: RangeInclusive<u64> = 1..=65_535;
const HTTPS: u16 = 443;
const WHAT: &str = "`true`, `false` or a port";

impl Kind for Redirect {
    type Out = Option<u16>;

    fn read(&self, node: &Node<'_>) -> Option<Option<u16>> {
        let is_port = match node.value() {
            DeValue::Boolean(_) => false,
            DeValue::Integer(_) => true,
            DeValue::String(_) if node.is_interpolated() => {
                !["true", "false"].contains(&node.text(WHAT)?.as_str())
            }
            _ => return node.expected(WHAT),
        };
        match is_port {
            true => count(PORT).read(node).map(Some),
            false => Some(boolean().read(node)?.then_some(HTTPS)),
        }
    }

    fn shape(&self) -> Shape {
        let yes_or_no = Shape::new("`true`, `false`", json!({ "type": "boolean" }));
        let mut port = count::<u16>(PORT).shape();
        port.text = "a port".to_owned();
        yes_or_no.or(port)
    }
}
