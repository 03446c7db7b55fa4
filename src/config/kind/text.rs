//! Strings: free, chosen from a few, or with a grammar of their own; and booleans.

use super::{INTERPOLATED, Kind, Shape};
use crate::config::problem::Problem;
use crate::config::reader::Node;
use serde_json::json;
use toml::de::DeValue;

/// Any string but the empty one; `what` describes it.
pub(crate) fn text(what: &'static str) -> Parsed<String> {
    parsed(what, ".", |text| Ok(text.to_owned()))
}

/// A name for logs: any string without control characters.
pub(crate) fn name() -> Parsed<String> {
    parsed("a name", ".", |text| {
        if text.chars().any(char::is_control) || text.trim() != text {
            return Err(
                Problem::new(format!("`{}` is not a name", text.escape_debug()))
                    .help("write it without control characters, and without blanks at either end"),
            );
        }
        Ok(text.to_owned())
    })
}

/// A string that `parse` understands. `what` describes it, `pattern` is its rough outline for
/// editors, and never narrower; where that is empty, so may the string be.
pub(crate) fn parsed<T>(
    what: &'static str,
    pattern: &'static str,
    parse: fn(&str) -> Result<T, Problem>,
) -> Parsed<T> {
    Parsed {
        what,
        pattern,
        parse,
    }
}

/// See [`parsed`].
pub(crate) struct Parsed<T> {
    what: &'static str,
    pattern: &'static str,
    pub(super) parse: fn(&str) -> Result<T, Problem>,
}

impl<T> Kind for Parsed<T> {
    type Out = T;

    fn read(&self, node: &Node<'_>) -> Option<T> {
        let text = node.text(self.what)?;
        if text.is_empty() && !self.pattern.is_empty() {
            let problem = Problem::new("this string is empty");
            return node.refuse(problem.help(format!("write {}", self.what)));
        }
        match (self.parse)(&text) {
            Ok(value) => Some(value),
            Err(problem) => node.refuse(problem),
        }
    }

    fn shape(&self) -> Shape {
        Shape::matching(self.what, self.pattern)
    }
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(words: &'static [(&'static str, T)]) -> Choice<T> {
    Choice(words)
}

/// See [`choice`].
pub(crate) struct Choice<T: 'static>(&'static [(&'static str, T)]);

impl<T: Copy> Kind for Choice<T> {
    type Out = T;

    fn read(&self, node: &Node<'_>) -> Option<T> {
        let written = node.text(&self.shape().text)?;
        if let Some((_, value)) = self.0.iter().find(|(word, _)| *word == written) {
            return Some(*value);
        }
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        let problem = Problem::new(match node.key() {
            Some(key) => format!("`{written}` is not a choice of `{key}`"),
            None => format!("`{written}` is not a choice here"),
        });
        node.refuse(problem.suggest(&written, &words, "choices"))
    }

    fn shape(&self) -> Shape {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        let listed: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
        Shape::new(
            listed.join(", "),
            json!({ "anyOf": [
                { "enum": words },
                { "type": "string", "pattern": INTERPOLATED },
            ]}),
        )
    }
}

/// `true` or `false`.
pub(crate) fn boolean() -> Boolean {
    Boolean
}

/// See [`boolean`].
pub(crate) struct Boolean;

impl Kind for Boolean {
    type Out = bool;

    fn read(&self, node: &Node<'_>) -> Option<bool> {
        const WHAT: &str = "`true` or `false`";
        match node.value() {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(_) if node.is_interpolated() => match node.text(WHAT)?.as_str() {
                "true" => Some(true),
                "false" => Some(false),
                other => {
                    let title = format!("`{other}` is neither `true` nor `false`");
                    node.refuse(Problem::new(title))
                }
            },
            _ => node.expected(WHAT),
        }
    }

    fn shape(&self) -> Shape {
        Shape::new(
            "`true` or `false`",
            json!({ "anyOf": [
                { "type": "boolean" },
                { "type": "string", "pattern": INTERPOLATED },
            ]}),
        )
    }
}
