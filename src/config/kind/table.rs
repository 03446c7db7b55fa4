//! Tables: one section, several by name, and those that share their defaults.

use super::{Kind, Shape};
use crate::config::problem::Problem;
use crate::config::reader::{At, Node, Table};
use crate::config::section::{Outline, Section};
use serde_json::json;
use std::marker::PhantomData;
use toml::de::DeValue;

/// A table that is a section of its own.
pub(crate) fn table<S: Section>() -> Keys<S> {
    Keys(PhantomData)
}

/// See [`table`].
pub(crate) struct Keys<S>(PhantomData<S>);

impl<S: Section> Kind for Keys<S> {
    type Out = S;

    fn read(&self, node: &Node<'_>) -> Option<S> {
        S::read(&Table::new(node.clone(), S::HEADING)?)
    }

    fn shape(&self) -> Shape {
        let outline = Outline::of::<S>();
        let names: Vec<&str> = outline.keys.iter().map(|key| key.name).collect();
        let text = match names.len() {
            1..=3 if S::schema().is_none() => format!("`{{ {} }}`", names.join(", ")),
            _ => "a table".to_owned(),
        };
        let mut shape = Shape::new(text, outline.schema());
        shape.sections.push(outline);
        shape
    }
}

/// Routes: sections that `[route_defaults]` stands beneath.
pub(crate) fn layered<S: Section>() -> Layered<S> {
    Layered(table())
}

/// See [`layered`].
pub(crate) struct Layered<S>(Keys<S>);

impl<S: Section> Kind for Layered<S> {
    type Out = S;

    fn read(&self, node: &Node<'_>) -> Option<S> {
        let defaults = node.source().route_defaults.clone();
        self.0.read(&node.clone().over(defaults))
    }

    fn shape(&self) -> Shape {
        let mut shape = self.0.shape();
        // What is required may stand beneath.
        if let Some(schema) = shape.schema.as_object_mut() {
            schema.remove("required");
        }
        shape
    }
}

/// `[route_defaults]`: the keys of `S` but those in `own`, none of them required. It is read for
/// its problems only; the values are taken from beneath each [`layered`] table.
pub(crate) fn defaults_of<S: Section>(own: &'static [&'static str]) -> DefaultsOf<S> {
    DefaultsOf(own, PhantomData)
}

/// See [`defaults_of`].
pub(crate) struct DefaultsOf<S>(&'static [&'static str], PhantomData<S>);

impl<S: Section> Kind for DefaultsOf<S> {
    type Out = ();

    fn read(&self, node: &Node<'_>) -> Option<()> {
        S::read(&Table::new(node.clone().partial(), "`[route_defaults]`")?);
        for key in self.0 {
            if let Some(place) = node.place_of_key(key) {
                let title = format!("`{key}` is each route's own");
                let problem = Problem::new(title).help(format!("write it in {}", S::HEADING));
                node.source().log.add(problem.at(&place));
            }
        }
        Some(())
    }

    fn shape(&self) -> Shape {
        let mut schema = Outline::of::<S>().schema();
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("required");
        }
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.retain(|key, _| !self.0.contains(&key.as_str()));
        }
        Shape::new("a table", schema)
    }
}

/// A table with what `kind` says under names of the user's choice. In the order of the file.
pub(crate) fn named<K: Kind>(kind: K) -> Map<K> {
    Map {
        what: "name",
        is_key: is_name,
        kind,
    }
}

/// A table with what `kind` says under any keys, which messages call `what`.
pub(crate) fn map<K: Kind>(what: &'static str, kind: K) -> Map<K> {
    let is_key = |_: &str| true;
    Map { what, is_key, kind }
}

/// See [`named`] and [`map`].
pub(crate) struct Map<K> {
    what: &'static str,
    is_key: fn(&str) -> bool,
    kind: K,
}

/// Names are parts of identities and of log lines.
fn is_name(name: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "-_.@".contains(char);
    !name.is_empty() && name.chars().all(is_part)
}

impl<K: Kind> Kind for Map<K> {
    type Out = Vec<(At<String>, K::Out)>;

    fn read(&self, node: &Node<'_>) -> Option<Self::Out> {
        let DeValue::Table(_) = node.value() else {
            return node.expected("a table");
        };
        let read = node.entries()?.into_iter().map(|entry| {
            let value = entry.key().unwrap_or_default().to_owned();
            let place = node.place_of_key(&value);
            let place = place.unwrap_or_else(|| entry.place());
            if !(self.is_key)(&value) {
                let title = format!("`{}` is not a {}", value.escape_debug(), self.what);
                let problem = Problem::new(title).help("write letters, digits, `-`, `_`, `.`, `@`");
                node.source().log.add(problem.at(&place));
            }
            Some((At { value, place }, self.kind.read(&entry)?))
        });
        // All are read before the first that is wrong counts.
        read.collect::<Vec<_>>().into_iter().collect()
    }

    fn shape(&self) -> Shape {
        let mut shape = self.kind.shape();
        shape.text = format!("a table: under each {}, {}", self.what, shape.text);
        shape.schema = json!({ "type": "object", "additionalProperties": shape.schema });
        shape
    }
}
