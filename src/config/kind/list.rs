//! Lists, and values that remember their place.

use super::{Kind, Shape};
use crate::config::problem::Problem;
use crate::config::reader::{At, Node};
use serde_json::json;
use toml::de::DeValue;

/// A list, possibly empty.
pub(crate) fn list<K: Kind>(kind: K) -> List<K> {
    List(kind)
}

/// See [`list`].
pub(crate) struct List<K>(K);

impl<K: Kind> Kind for List<K> {
    type Out = Vec<K::Out>;

    fn read(&self, node: &Node<'_>) -> Option<Vec<K::Out>> {
        let Some(items) = node.items() else {
            return node.expected("a list");
        };
        // All are read before the first that is wrong counts.
        let read: Vec<Option<K::Out>> = items.iter().map(|item| self.0.read(item)).collect();
        read.into_iter().collect()
    }

    fn shape(&self) -> Shape {
        list_shape(&self.0)
    }
}

fn list_shape(kind: &impl Kind) -> Shape {
    let mut shape = kind.shape();
    shape.text = format!("a list; each entry is {}", shape.text);
    shape.schema = json!({ "type": "array", "items": shape.schema });
    shape
}

/// A list with at least one entry.
pub(crate) fn filled<K: Kind>(kind: K) -> Filled<K> {
    Filled(kind)
}

/// See [`filled`].
pub(crate) struct Filled<K>(K);

impl<K: Kind> Kind for Filled<K> {
    type Out = Vec<K::Out>;

    fn read(&self, node: &Node<'_>) -> Option<Vec<K::Out>> {
        let read = List(&self.0).read(node)?;
        if read.is_empty() {
            let name = node.key().unwrap_or("this list");
            let problem = Problem::new(format!("`{name}` is empty"))
                .help(format!("name at least one: {}", self.0.shape().text));
            return node.refuse(problem);
        }
        Some(read)
    }

    fn shape(&self) -> Shape {
        let mut shape = list_shape(&self.0);
        shape.schema["minItems"] = json!(1);
        shape
    }
}

/// A value, or a list of at least one.
pub(crate) fn one_or_list<K: Kind>(kind: K) -> OneOrList<K> {
    OneOrList(kind)
}

/// See [`one_or_list`].
pub(crate) struct OneOrList<K>(K);

impl<K: Kind> Kind for OneOrList<K> {
    type Out = Vec<K::Out>;

    fn read(&self, node: &Node<'_>) -> Option<Vec<K::Out>> {
        match node.value() {
            DeValue::Array(_) => Filled(&self.0).read(node),
            _ => self.0.read(node).map(|value| vec![value]),
        }
    }

    fn shape(&self) -> Shape {
        let mut shape = self.0.shape();
        let list = json!({ "type": "array", "items": shape.schema, "minItems": 1 });
        shape.text = format!("{}, or a list of them", shape.text);
        shape.schema = json!({ "anyOf": [shape.schema, list] });
        shape
    }
}

/// A value with its place.
pub(crate) fn at<K: Kind>(kind: K) -> Placed<K> {
    Placed(kind)
}

/// See [`at`].
pub(crate) struct Placed<K>(K);

impl<K: Kind> Kind for Placed<K> {
    type Out = At<K::Out>;

    fn read(&self, node: &Node<'_>) -> Option<At<K::Out>> {
        let value = self.0.read(node)?;
        let place = node.place();
        Some(At { value, place })
    }

    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

/// A value without which the rest is still worth reading: `None` once its problems are reported.
pub(crate) fn salvage<K: Kind>(kind: K) -> Salvage<K> {
    Salvage(kind)
}

/// See [`salvage`].
pub(crate) struct Salvage<K>(K);

impl<K: Kind> Kind for Salvage<K> {
    type Out = Option<K::Out>;

    fn read(&self, node: &Node<'_>) -> Option<Option<K::Out>> {
        Some(self.0.read(node))
    }

    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

impl<K: Kind> Kind for &K {
    type Out = K::Out;

    fn read(&self, node: &Node<'_>) -> Option<K::Out> {
        (**self).read(node)
    }

    fn shape(&self) -> Shape {
        (**self).shape()
    }
}
