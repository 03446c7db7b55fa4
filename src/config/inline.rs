//! `upstream` of a route: a name, or an endpoint that makes an upstream of its own.

use super::Upstream;
use super::endpoint::{endpoint, is_endpoint};
use super::kind::{Kind, Refers, Shape, refers_to};
use super::reader::{Node, Table};
use super::section::Section;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What a route names as its `upstream`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Serves {
    /// One of `[upstreams]`.
    Named(String),
    /// An endpoint, with the defaults of an upstream.
    Inline(Box<Upstream>),
}

/// A kind: the `upstream` of a route.
pub(super) fn serves() -> ServesKind {
    ServesKind
}

/// See [`serves`].
pub(super) struct ServesKind;

impl Kind for ServesKind {
    type Out = Serves;

    fn read(&self, node: &Node<'_>) -> Option<Serves> {
        let written = node.text(&self.shape().text)?;
        if is_endpoint(&written) {
            let upstream = inline(node, &written)?;
            return Some(Serves::Inline(Box::new(upstream)));
        }
        let name = refers_to(Refers::Upstream).read(node)?;
        Some(Serves::Named(name.value))
    }

    fn shape(&self) -> Shape {
        let mut shape = refers_to(Refers::Upstream).shape();
        shape.text = "the name of an upstream, or an endpoint".to_owned();
        shape
    }
}

/// The upstream that `{ endpoints = [written] }` would be.
fn inline(node: &Node<'_>, written: &str) -> Option<Upstream> {
    endpoint().read(node)?;
    let span = node.place().span;
    let mut endpoints = DeArray::new();
    endpoints.push(Spanned::new(span.clone(), node.value().clone()));
    let mut table = DeTable::new();
    table.insert(
        Spanned::new(span.clone(), "endpoints".into()),
        Spanned::new(span, DeValue::Array(endpoints)),
    );
    let table = DeValue::Table(table);
    let node = node.stand_in(&table).under(written);
    Upstream::read(&Table::new(node, Upstream::HEADING)?)
}
