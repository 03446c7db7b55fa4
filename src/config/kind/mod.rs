//! Kinds of values: how each is read, described to people and to editors.
//!
//! A kind is a small value that sections combine: `or_off(duration("100ms"))`,
//! `one_or_list(host())`. Whatever it accepts it also describes, so that the reference and the
//! schema cannot say anything else.

mod file;
mod list;
mod number;
mod rate;
mod reference;
mod table;
mod text;

pub(super) use file::{existing_file, plainly, secret};
pub(super) use list::{at, filled, list, one_or_list, salvage};
pub(super) use number::{count, duration, or_off, size};
pub(super) use rate::{byte_rate, limits, made, rate};
pub(super) use reference::{Refers, refers_to};
pub(super) use table::{defaults_of, layered, map, named, table};
pub(super) use text::{Choice, Parsed, boolean, choice, name, parsed, text};

use super::reader::Node;
use super::section::Outline;
use serde_json::{Value, json};

/// A way to write a value.
pub(super) trait Kind {
    /// What is read.
    type Out;

    /// The value of `node`, or `None` once what is wrong with it has been reported.
    fn read(&self, node: &Node<'_>) -> Option<Self::Out>;

    /// How it is described.
    fn shape(&self) -> Shape;
}

/// A kind as people and editors are told of it.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// For people, Markdown.
    pub(super) text: String,
    /// For editors, JSON Schema.
    pub(super) schema: Value,
    /// The tables that stand in it.
    pub(super) sections: Vec<Outline>,
}

impl Shape {
    pub(super) fn new(text: impl Into<String>, schema: Value) -> Self {
        Self {
            text: text.into(),
            schema,
            sections: Vec::new(),
        }
    }

    /// A string that matches `pattern`, or takes its value from the environment.
    /// An empty pattern matches everything.
    pub(super) fn matching(text: impl Into<String>, pattern: &str) -> Self {
        if pattern.is_empty() {
            return Self::new(text, json!({ "type": "string" }));
        }
        Self::new(
            text,
            json!({ "type": "string", "pattern": format!("{pattern}|{INTERPOLATED}") }),
        )
    }

    /// Any of the two.
    pub(super) fn or(mut self, other: Self) -> Self {
        self.text = format!("{}, or {}", self.text, other.text);
        self.schema = json!({ "anyOf": [self.schema, other.schema] });
        self.sections.extend(other.sections);
        self
    }
}

/// What a string with a variable in it looks like, to editors.
pub(super) const INTERPOLATED: &str = r"\$\{";
