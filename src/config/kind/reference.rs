//! Names that stand for something defined elsewhere.

use super::{Kind, Shape};
use crate::config::reader::{At, Node};
use serde_json::json;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refers {
    Listener,
    Upstream,
    Auth,
}

impl Refers {
    /// What to write so that `name` stands for one.
    pub(crate) fn definition(self, name: &str) -> String {
        match self {
            Self::Listener => format!("define it: a `[[listeners]]` with `name = \"{name}\"`"),
            Self::Upstream if name.contains([':', '/']) => {
                format!("write an endpoint with its scheme: `\"ws://{name}\"`")
            }
            Self::Upstream => format!("define it: `[upstreams.{name}]`"),
            Self::Auth => format!("define it: `[auth.{name}]`"),
        }
    }

    /// What messages call it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Upstream => "upstream",
            Self::Auth => "authentication method",
        }
    }
}

/// The name of something defined elsewhere. It is noted as it is read, so that a name that stands
/// for nothing is found even where the rest of its table is wrong.
pub(crate) fn refers_to(to: Refers) -> Reference {
    Reference(to)
}

/// See [`refers_to`].
pub(crate) struct Reference(Refers);

impl Kind for Reference {
    type Out = At<String>;

    fn read(&self, node: &Node<'_>) -> Option<At<String>> {
        let value = node.text(&self.shape().text)?;
        let place = node.place();
        let name = At { value, place };
        node.source().log.refer(self.0, name.clone());
        Some(name)
    }

    fn shape(&self) -> Shape {
        let text = format!("the name of an {}", self.0.noun()).replace("an listener", "a listener");
        Shape::new(text, json!({ "type": "string", "minLength": 1 }))
    }
}
