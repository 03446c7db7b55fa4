//! Sections: each key declared once.
//!
//! [`section!`] turns one declaration into the struct that is read, the code that reads it, the
//! keys that are known, the reference (`docs/configuration.md`) and the schema. To add a key, add
//! its line: doc comment, name, type, kind, and whether it may be left out.

use super::kind::{Kind, Shape};
use super::reader::Table;
use serde_json::{Map, Value, json};
use std::marker::PhantomData;

/// A table with a fixed set of keys.
pub(super) trait Section: Sized {
    /// How the table is called in messages and in the reference.
    const HEADING: &'static str;
    /// What it is for; Markdown, a line each.
    const DOC: &'static [&'static str];
    /// A piece of TOML that shows it.
    const EXAMPLE: &'static str;

    /// Its keys, in the order of the reference.
    fn keys() -> Vec<Key>;

    /// Reads all keys, reporting everything that is wrong with any of them.
    fn read(table: &Table<'_>) -> Option<Self>;

    /// Its JSON Schema, where that is more than its keys.
    fn schema() -> Option<Value> {
        None
    }
}

/// One key as the reference and the schema tell of it.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) doc: &'static [&'static str],
    pub(super) presence: Presence,
    pub(super) shape: Shape,
}

/// Whether a key may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
    /// TOML text of what it stands for when left out.
    Default(&'static str),
}

/// How a key of type `T` is written; ties the type of a field to its kind.
pub(super) struct Declared<T>(Presence, Shape, PhantomData<T>);

impl<T> Declared<T> {
    pub(super) fn required(kind: impl Kind<Out = T>) -> Self {
        Self(Presence::Required, kind.shape(), PhantomData)
    }

    pub(super) fn or(kind: impl Kind<Out = T>, default: &'static str) -> Self {
        Self(Presence::Default(default), kind.shape(), PhantomData)
    }
}

impl<T> Declared<Option<T>> {
    pub(super) fn optional(kind: impl Kind<Out = T>) -> Self {
        Self(Presence::Optional, kind.shape(), PhantomData)
    }
}

/// A section as the reference and the schema tell of it.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    pub(super) heading: &'static str,
    pub(super) doc: &'static [&'static str],
    pub(super) example: &'static str,
    pub(super) keys: Vec<Key>,
    schema: Option<Value>,
}

impl Outline {
    pub(super) fn of<S: Section>() -> Self {
        Self {
            heading: S::HEADING,
            doc: S::DOC,
            example: S::EXAMPLE,
            keys: S::keys(),
            schema: S::schema(),
        }
    }

    /// The JSON Schema of the table.
    pub(super) fn schema(&self) -> Value {
        if let Some(schema) = &self.schema {
            return schema.clone();
        }
        let properties: Map<String, Value> = self
            .keys
            .iter()
            .map(|key| (key.name.to_owned(), key.schema()))
            .collect();
        let required = |key: &&Key| key.presence == Presence::Required;
        let required: Vec<&str> = self
            .keys
            .iter()
            .filter(required)
            .map(|key| key.name)
            .collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }
}

impl Key {
    pub(super) fn new<T>(
        name: &'static str,
        doc: &'static [&'static str],
        Declared(presence, shape, _): Declared<T>,
    ) -> Self {
        Self {
            name,
            doc,
            presence,
            shape,
        }
    }

    fn schema(&self) -> Value {
        let mut schema = self.shape.schema.clone();
        schema["description"] = json!(joined(self.doc));
        if let Presence::Default(default) = self.presence
            && let Ok(table) = format!("x = {default}").parse::<toml::Table>()
            && let Ok(default) = serde_json::to_value(&table["x"])
        {
            schema["default"] = default;
        }
        schema
    }
}

/// The lines of a doc comment as one text.
pub(super) fn joined(doc: &[&str]) -> String {
    let lines: Vec<&str> = doc
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n").trim().to_owned()
}

/// Declares a section.
///
/// ```text
/// section! {
///     /// What the table is for.
///     pub struct Server at "[server]" {
///         /// What the key means.
///         pub drain_timeout: Duration = duration("1s"), or("30s");
///     }
///     example "…"
/// }
/// ```
///
/// Behind `=` stands the kind that reads the value, then `required`, `optional` (the type is an
/// `Option`) or `or` with the default in TOML. `named name` behind the heading adds a field `name`
/// that takes the key under which the table stands.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $(#[derive($($derive:ident),+)])?
        $vis:vis struct $section:ident at $heading:literal $(named $named:ident)? {
            $(
                $(#[doc = $key_doc:literal])+
                $key_vis:vis $key:ident: $type:ty = $kind:expr, $presence:ident $(($default:tt))?;
            )*
        }
        $(example $example:literal)?
    ) => {
        $(#[doc = $doc])+
        $(#[derive($($derive),+)])?
        $vis struct $section {
            $(
                /// The key that the table stands under.
                pub $named: String,
            )?
            $(
                $(#[doc = $key_doc])+
                $key_vis $key: $type,
            )*
        }

        impl $crate::config::section::Section for $section {
            const HEADING: &'static str = $heading;
            const DOC: &'static [&'static str] = &[$($doc),+];
            const EXAMPLE: &'static str = concat!("" $(, $example)?);

            fn keys() -> Vec<$crate::config::section::Key> {
                use $crate::config::section::{Declared, Key};
                vec![$(
                    Key::new(
                        stringify!($key),
                        &[$($key_doc),+],
                        Declared::<$type>::$presence($kind $(, stringify!($default))?),
                    ),
                )*]
            }

            fn read(table: &$crate::config::reader::Table<'_>) -> Option<Self> {
                let read = ($(
                    table.$presence(stringify!($key), &$kind $(, stringify!($default))?),
                )*);
                table.finish();
                let ($($key,)*) = read;
                Some(Self {
                    $($named: table.name().to_owned(),)?
                    $($key: $key?,)*
                })
            }
        }
    };
}
pub(super) use section;
