//! TOML with places: what sections are read from.
//!
//! Serde stops at the first mistake, so the spanned tree is walked by hand: a [`Node`] is a value
//! with its place, a [`Table`] one whose keys are asked for by name. Both report what is wrong to
//! the log of their [`Source`] and go on.

mod file;
mod interpolate;
mod syntax;
mod table;

pub(super) use file::{At, File, Place};
pub(super) use interpolate::Variables;
pub(super) use syntax::{Broken, parse, report};
pub(super) use table::Table;

use super::problem::{Log, Problem};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// What all values of one file share.
pub(super) struct Source<'a> {
    pub(super) file: Arc<File>,
    pub(super) log: &'a Log,
    pub(super) variables: &'a Variables,
    /// `[route_defaults]` of the main file.
    pub(super) route_defaults: Option<Node<'a>>,
}

/// A value in its place.
#[derive(Clone)]
pub(super) struct Node<'a> {
    value: &'a DeValue<'a>,
    span: Range<usize>,
    source: &'a Source<'a>,
    /// The key that it stands under; `None` in a list.
    key: Option<&'a str>,
    /// Asked where this one, a table, has no answer.
    beneath: Option<Box<Self>>,
    /// Whether required keys may be missing, as they come from elsewhere.
    is_partial: bool,
}

impl<'a> Node<'a> {
    pub(super) fn new(value: &'a Spanned<DeValue<'a>>, source: &'a Source<'a>) -> Self {
        Self {
            value: value.get_ref(),
            span: value.span(),
            source,
            key: None,
            beneath: None,
            is_partial: false,
        }
    }

    /// A value that stands for one that was left out, in the place of this one.
    pub(super) fn stand_in<'b>(&'b self, value: &'b DeValue<'b>) -> Node<'b>
    where
        'a: 'b,
    {
        Node {
            value,
            span: self.span.clone(),
            source: self.source,
            key: None,
            beneath: None,
            is_partial: false,
        }
    }

    /// The same value under `key`.
    pub(super) fn under(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// The same table with what `defaults` says where this one is silent, at every level.
    pub(super) fn over(mut self, defaults: Option<Self>) -> Self {
        let is_table = self.value.is_table();
        self.beneath = defaults
            .filter(|node| is_table && node.value.is_table())
            .map(Box::new);
        self
    }

    /// The same table, in which required keys may be missing.
    pub(super) fn partial(mut self) -> Self {
        self.is_partial = true;
        self
    }

    pub(super) fn source(&self) -> &'a Source<'a> {
        self.source
    }

    pub(super) fn key(&self) -> Option<&'a str> {
        self.key
    }

    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value
    }

    pub(super) fn place(&self) -> Place {
        self.place_of(self.span.clone())
    }

    fn place_of(&self, span: Range<usize>) -> Place {
        let file = Arc::clone(&self.source.file);
        Place { file, span }
    }

    /// Reports `problem` here.
    pub(super) fn report(&self, problem: Problem) {
        self.source.log.add(problem.at(&self.place()));
    }

    /// Reports `problem` here and has no value.
    pub(super) fn refuse<T>(&self, problem: Problem) -> Option<T> {
        self.report(problem);
        None
    }

    /// Reports that something else was expected here.
    pub(super) fn expected<T>(&self, what: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let name = self.key.map(|key| format!("`{key}` ")).unwrap_or_default();
        let title = format!("{name}should be {what}, not {found}");
        let problem = Problem::new(title);
        self.refuse(match self.rewritten(what) {
            Some(help) => problem.help(help),
            None => problem,
        })
    }

    /// What was probably meant by a value of the wrong type.
    fn rewritten(&self, what: &str) -> Option<String> {
        let written = self.written();
        match self.value {
            DeValue::String(text) if what.contains("number") && text.parse::<u64>().is_ok() => {
                Some(format!("write it without quotes: `{text}`"))
            }
            DeValue::Integer(_) if what.contains("duration") => {
                Some(format!("write a unit: `\"{written}s\"`"))
            }
            DeValue::String(_) if what == "a list" => Some(format!("write `[{written}]`")),
            DeValue::Table(_) if what == "a list" && written.starts_with('[') => {
                Some(format!("write `[{written}]`"))
            }
            _ => None,
        }
    }

    /// The string with its `${NAME}` filled in.
    pub(super) fn text(&self, what: &str) -> Option<String> {
        let DeValue::String(text) = self.value else {
            return self.expected(what);
        };
        match interpolate::fill_in(text, self.source.variables) {
            Ok(text) => Some(text),
            Err(failure) => {
                let place = self.place_of(self.find(failure.part));
                self.source.log.add(failure.problem.at(&place));
                None
            }
        }
    }

    /// Whether it is a string that takes its value from the environment.
    pub(super) fn is_interpolated(&self) -> bool {
        matches!(self.value, DeValue::String(text) if text.contains("${"))
    }

    /// The entries of a list.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let items = self.value.as_array()?;
        Some(items.iter().map(|item| self.child(item)).collect())
    }

    fn child(&self, value: &'a Spanned<DeValue<'a>>) -> Self {
        let mut child = Self::new(value, self.source);
        child.is_partial = self.is_partial;
        child
    }

    /// As it stands in the file.
    pub(super) fn written(&self) -> &str {
        &self.source.file.text[self.span.clone()]
    }

    /// Keeps every string in here out of quoted lines, but those under the keys in `but`.
    pub(super) fn hide_strings(&self, but: &[&str]) {
        if let DeValue::String(_) = self.value {
            self.source.log.hide(self.place());
        }
        for item in self.items().unwrap_or_default() {
            item.hide_strings(but);
        }
        for entry in self.entries().unwrap_or_default() {
            if !entry.key.is_some_and(|key| but.contains(&key)) {
                entry.hide_strings(but);
            }
        }
    }

    /// Where `part` stands in the written value; all of it where escapes hide it.
    fn find(&self, part: &str) -> Range<usize> {
        match self.written().find(part) {
            Some(at) => self.span.start + at..self.span.start + at + part.len(),
            None => self.span.clone(),
        }
    }
}
