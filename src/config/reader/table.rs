//! Tables: keys asked for by name, and complaints about the keys that nobody asked for.

use super::{Node, Place, Problem};
use crate::config::kind::Kind;
use crate::config::problem::{Log, nearest};
use std::cell::RefCell;
use toml::Spanned;
use toml::de::DeValue;

impl<'a> Node<'a> {
    /// The entries of a table in the order of the file, those of the table beneath last.
    pub(crate) fn entries(&self) -> Option<Vec<Self>> {
        let table = self.value.as_table()?;
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut nodes: Vec<Self> = entries
            .into_iter()
            .filter_map(|(key, _)| self.get(key.get_ref()))
            .collect();
        let beneath = self.beneath.as_ref().and_then(|node| node.entries());
        let is_new = |entry: &Self| entry.key.is_some_and(|key| !table.contains_key(key));
        nodes.extend(beneath.into_iter().flatten().filter(is_new));
        Some(nodes)
    }

    /// The value under `name`, here or beneath.
    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        let beneath = self.beneath.as_ref().and_then(|node| node.get(name));
        match self.own(name) {
            Some((key, value)) => Some(self.child(value).under(key.get_ref()).over(beneath)),
            None => beneath,
        }
    }

    /// Where the key `name` stands in this very table.
    pub(crate) fn place_of_key(&self, name: &str) -> Option<Place> {
        self.own(name).map(|(key, _)| self.place_of(key.span()))
    }

    fn own(
        &self,
        name: &str,
    ) -> Option<(
        &'a Spanned<toml::de::DeString<'a>>,
        &'a Spanned<DeValue<'a>>,
    )> {
        self.value.as_table()?.get_key_value(name)
    }
}

/// A table that is being read. What was asked for is known; the rest is unknown.
pub(crate) struct Table<'a> {
    node: Node<'a>,
    heading: &'static str,
    asked: RefCell<Vec<&'static str>>,
    missing: RefCell<Vec<(&'static str, String)>>,
}

impl<'a> Table<'a> {
    /// `heading` is how messages call it.
    pub(crate) fn new(node: Node<'a>, heading: &'static str) -> Option<Self> {
        if !node.value.is_table() {
            return node.expected("a table");
        }
        Some(Self {
            node,
            heading,
            asked: RefCell::default(),
            missing: RefCell::default(),
        })
    }

    /// The key that the table stands under.
    pub(crate) fn name(&self) -> &'a str {
        self.node.key.unwrap_or_default()
    }

    /// Where what is wrong with it is reported.
    pub(crate) fn log(&self) -> &'a Log {
        self.node.source.log
    }

    /// Reports `problem` of the table as a whole.
    pub(crate) fn report(&self, problem: Problem) {
        self.node.report(problem);
    }

    /// A key that must be there.
    pub(crate) fn required<K: Kind>(&self, key: &'static str, kind: &K) -> Option<K::Out> {
        if let Some(node) = self.ask(key) {
            return kind.read(&node);
        }
        if !self.node.is_partial {
            let help = format!("add `{key}`: {}", kind.shape().text);
            self.missing.borrow_mut().push((key, help));
        }
        None
    }

    /// A required key on which the others depend: where it is missing, they cannot be judged.
    pub(crate) fn required_first<K: Kind>(&self, key: &'static str, kind: &K) -> Option<K::Out> {
        let value = self.required(key, kind);
        for (key, help) in self.missing.take() {
            self.report_missing(key, help);
        }
        value
    }

    /// A key that may be left out.
    pub(crate) fn optional<K: Kind>(&self, key: &'static str, kind: &K) -> Option<Option<K::Out>> {
        match self.ask(key) {
            Some(node) => kind.read(&node).map(Some),
            None => Some(None),
        }
    }

    /// A key that stands for `default`, a TOML value, when it is left out.
    pub(crate) fn or<K: Kind>(
        &self,
        key: &'static str,
        kind: &K,
        default: &'static str,
    ) -> Option<K::Out> {
        if let Some(node) = self.ask(key) {
            return kind.read(&node);
        }
        match DeValue::parse(default) {
            Ok(value) => kind.read(&self.node.stand_in(value.get_ref())),
            Err(error) => self.node.refuse(Problem::new(error.message())),
        }
    }

    /// Reports `problem` at the key that it is about, wherever that is written.
    pub(crate) fn blame(&self, key: &str, problem: Problem) {
        match self.node.get(key) {
            Some(node) => node.report(problem),
            None => self.node.report(problem),
        }
    }

    /// Reports the keys that nobody asked for, and those that are missing: unless an unknown one
    /// was probably meant for it.
    pub(crate) fn finish(&self) {
        let asked = self.asked.borrow();
        let unknown = self.unknown();
        for (key, place) in &unknown {
            let problem = Problem::new(format!("unknown key `{key}` in {}", self.heading()));
            let problem = problem.at(place).suggest(key, &asked, "known keys");
            self.node.source.log.add(problem);
        }
        for (key, help) in self.missing.take() {
            let is_meant = |(unknown, _): &(&str, Place)| nearest(unknown, &asked) == Some(key);
            if !unknown.iter().any(is_meant) {
                self.report_missing(key, help);
            }
        }
    }

    fn report_missing(&self, key: &str, help: String) {
        let problem = Problem::new(format!("`{key}` is missing in {}", self.heading()));
        self.node.report(problem.help(help).absence());
    }

    /// Unknown keys of this very table; the one beneath is read by itself.
    fn unknown(&self) -> Vec<(&'a str, Place)> {
        let asked = self.asked.borrow();
        let entries = self.node.entries().unwrap_or_default();
        let keys = entries.iter().filter_map(|entry| entry.key);
        keys.filter(|key| !asked.contains(key))
            .filter_map(|key| Some((key, self.node.place_of_key(key)?)))
            .collect()
    }

    fn heading(&self) -> String {
        self.heading
            .replace(".NAME]", &format!(".{}]", self.name()))
    }

    fn ask(&self, key: &'static str) -> Option<Node<'a>> {
        self.asked.borrow_mut().push(key);
        self.node.get(key)
    }
}
