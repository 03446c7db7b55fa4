//! Files that a configuration names, and secrets that may be kept in one.

use super::{Kind, Shape};
use crate::config::Secret;
use crate::config::problem::Problem;
use crate::config::reader::Node;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use toml::de::DeValue;

/// A file that exists and can be read; a relative path is relative to the configuration file.
pub(crate) fn existing_file(what: &'static str) -> ExistingFile {
    ExistingFile(what)
}

/// See [`existing_file`].
pub(crate) struct ExistingFile(&'static str);

impl Kind for ExistingFile {
    type Out = PathBuf;

    fn read(&self, node: &Node<'_>) -> Option<PathBuf> {
        let written = node.text("a path")?;
        let path = node.source().file.folder().join(&written);
        match fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(facts) if facts.is_file() => Some(path),
            Ok(_) => node.refuse(Problem::new(format!("`{}` is not a file", path.display()))),
            Err(error) => {
                let title = format!("can't read `{}`: {}", path.display(), plainly(&error));
                node.refuse(Problem::new(title).label(format!("should be {}", self.0)))
            }
        }
    }

    fn shape(&self) -> Shape {
        Shape::new(
            format!("path of {}", self.0),
            json!({ "type": "string", "minLength": 1 }),
        )
    }
}

/// The text of an I/O error without its number.
pub(crate) fn plainly(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

/// A string, or `{ file = "path" }` whose first line it is. Never quoted in a problem.
pub(crate) fn secret() -> SecretText {
    SecretText
}

/// See [`secret`].
pub(crate) struct SecretText;

impl Kind for SecretText {
    type Out = Secret;

    fn read(&self, node: &Node<'_>) -> Option<Secret> {
        const WHAT: &str = "a string or `{ file = \"path\" }`";
        node.hide_strings(&["file"]);
        let text = match node.value() {
            DeValue::String(_) => node.text(WHAT)?,
            DeValue::Table(_) => from_file(node)?,
            _ => return node.expected(WHAT),
        };
        if text.is_empty() {
            return node.refuse(Problem::new("this secret is empty"));
        }
        Some(Secret::new(text))
    }

    fn shape(&self) -> Shape {
        let string = Shape::new("a string", json!({ "type": "string", "minLength": 1 }));
        string.or(Shape::new(
            "`{ file = \"path\" }`, which reads the first line of a file",
            json!({
                "type": "object",
                "properties": { "file": { "type": "string" } },
                "required": ["file"],
                "additionalProperties": false,
            }),
        ))
    }
}

fn from_file(node: &Node<'_>) -> Option<String> {
    let table = crate::config::reader::Table::new(node.clone(), "a secret")?;
    let path = table.required("file", &existing_file("a secret"));
    table.finish();
    match fs::read_to_string(path?) {
        Ok(text) => Some(text.lines().next().unwrap_or_default().trim().to_owned()),
        Err(error) => node.refuse(Problem::new(format!(
            "can't read this: {}",
            plainly(&error)
        ))),
    }
}
