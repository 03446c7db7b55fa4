//! Tables: keys asked for by name, and complaints about the keys that nobody asked for.

use super::{Node, Place, Problem};
use crate::config::kind::Kind;
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
}

impl<'a> Table<'a> {
    /// `heading` is how messages call it.
    pub(crate) fn new(node: Node<'a>, heading: &'static str) -> Option<Self> {
        if !node.value.is_table() {
            return node.expected("a table");
        }
        let asked = RefCell::default();
        Some(Self {
            node,
            heading,
            asked,
        })
    }

    /// The key that the table stands under.
    pub(crate) fn name(&self) -> &'a str {
        self.node.key.unwrap_or_default()
    }

    /// A key that must be there.
    pub(crate) fn required<K: Kind>(&self, key: &'static str, kind: &K) -> Option<K::Out> {
        if let Some(node) = self.ask(key) {
            return kind.read(&node);
        }
        if !self.node.is_partial {
            let title = format!("`{key}` is missing in {}", self.heading);
            let help = format!("add `{key}`: {}", kind.shape().text);
            self.node.report(Problem::new(title).help(help).absence());
        }
        None
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

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(&self) {
        let asked = self.asked.borrow();
        for entry in self.node.entries().unwrap_or_default() {
            let Some(key) = entry.key.filter(|key| !asked.contains(key)) else {
                continue;
            };
            let Some(place) = self.node.place_of_key(key) else {
                continue; // stands in the table beneath, which is read by itself
            };
            let problem = Problem::new(format!("unknown key `{key}` in {}", self.heading))
                .at(&place)
                .suggest(key, &asked, "known keys");
            self.node.source.log.add(problem);
        }
    }

    fn ask(&self, key: &'static str) -> Option<Node<'a>> {
        self.asked.borrow_mut().push(key);
        self.node.get(key)
    }
}
