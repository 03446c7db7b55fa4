//! The second choice: among the paths of one host, the exact one, else the longest prefix.

use super::segment::{compare, decoded, segments};
use super::subprotocols::Choice;
use crate::config::PathPattern;

/// Path patterns as a tree of segments.
#[derive(Debug, Clone)]
pub(super) struct Paths<T> {
    /// Routes of this path alone.
    exact: Option<Choice<T>>,
    /// Routes of this path and all below it.
    prefix: Option<Choice<T>>,
    /// Sorted by decoded segment.
    below: Vec<(Box<[u8]>, Self)>,
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self {
            exact: None,
            prefix: None,
            below: Vec::new(),
        }
    }
}

impl<T> Paths<T> {
    /// The routes of `pattern`, to add to.
    pub(super) fn at(&mut self, pattern: &PathPattern) -> &mut Choice<T> {
        match pattern {
            PathPattern::Exact(path) => self.node(path).exact.get_or_insert_default(),
            PathPattern::Prefix(path) => self.node(path).prefix.get_or_insert_default(),
        }
    }

    /// The routes of the one pattern that serves `path`.
    pub(super) fn find(&self, path: &str) -> Option<&Choice<T>> {
        let mut node = self;
        let mut longest = node.prefix.as_ref();
        for segment in segments(path) {
            let Some(next) = node.next(segment) else {
                return longest;
            };
            node = next;
            longest = node.prefix.as_ref().or(longest);
        }
        node.exact.as_ref().or(longest)
    }

    fn next(&self, segment: &str) -> Option<&Self> {
        let place = self.place(segment).ok()?;
        self.below.get(place).map(|(_, node)| node)
    }

    fn place(&self, segment: &str) -> Result<usize, usize> {
        self.below
            .binary_search_by(|(known, _)| compare(known, segment))
    }

    fn node(&mut self, path: &str) -> &mut Self {
        segments(path).fold(self, |node, segment| {
            let place = node.place(segment).unwrap_or_else(|place| {
                let segment = decoded(segment).collect();
                node.below.insert(place, (segment, Self::default()));
                place
            });
            &mut node.below[place].1
        })
    }
}
