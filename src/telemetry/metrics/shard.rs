//! What one worker has counted, or what all of them have, and what was looked up beside it.

use super::families::Family;
use super::histogram::Histogram;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

/// The value of a label: either kind is bounded by the configuration or by the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Label {
    /// One of the code's own words.
    Word(&'static str),
    /// A name of the configuration.
    Name(Arc<str>),
}

/// Most that a family has.
pub(super) const LABELS_MAX: usize = 4;

/// In the order of the family; what it does not have is the empty word.
pub(super) type Labels = [Label; LABELS_MAX];

/// What a series has come to.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
    Histogram(Histogram),
}

/// Series by the family's name and labels.
#[derive(Debug, Default)]
pub(super) struct Shard {
    series: HashMap<(&'static str, Labels), Value>,
}

impl Shard {
    /// One more.
    pub(super) fn count<const N: usize>(&mut self, family: &Family, labels: [Label; N]) {
        self.add(family, labels, Value::Whole(1));
    }

    /// One less, of a gauge.
    pub(super) fn uncount<const N: usize>(&mut self, family: &Family, labels: [Label; N]) {
        let series = self.series.get_mut(&(family.name, padded(labels)));
        if let Some(Value::Whole(count)) = series {
            *count = count.saturating_sub(1);
        }
    }

    /// One more time.
    pub(super) fn observe<const N: usize>(
        &mut self,
        family: &Family,
        labels: [Label; N],
        time: Duration,
    ) {
        let series = self.series.entry((family.name, padded(labels)));
        let empty = || Value::Histogram(Histogram::new(family.bounds));
        if let Value::Histogram(histogram) = series.or_insert_with(empty) {
            histogram.observe(time);
        }
    }

    /// So much more.
    pub(super) fn add<const N: usize>(&mut self, family: &Family, labels: [Label; N], more: Value) {
        match self.series.entry((family.name, padded(labels))) {
            Entry::Occupied(mut series) => series.get_mut().add(&more),
            Entry::Vacant(series) => {
                series.insert(more);
            }
        }
    }

    /// Adds what another has.
    pub(super) fn merge(&mut self, other: &Self) {
        for ((name, labels), value) in &other.series {
            match self.series.entry((name, labels.clone())) {
                Entry::Occupied(mut series) => series.get_mut().add(value),
                Entry::Vacant(series) => {
                    series.insert(value.clone());
                }
            }
        }
    }

    /// The series of a family, in the order of their labels.
    pub(super) fn of(&self, family: &Family) -> Vec<(&Labels, &Value)> {
        let series = self.series.iter();
        let mut found: Vec<_> = series
            .filter(|((name, _), _)| *name == family.name)
            .map(|((_, labels), value)| (labels, value))
            .collect();
        found.sort_by(|one, other| texts(one.0).cmp(texts(other.0)));
        found
    }
}

impl Value {
    fn add(&mut self, more: &Self) {
        match (self, more) {
            (Self::Whole(value), Self::Whole(more)) => *value += more,
            (Self::Real(value), Self::Real(more)) => *value += more,
            (Self::Histogram(value), Self::Histogram(more)) => value.merge(more),
            // A family has values of one kind.
            _ => debug_assert!(false, "values of two kinds"),
        }
    }
}

impl Label {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Name(name) => name,
        }
    }
}

impl From<&'static str> for Label {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<&Arc<str>> for Label {
    fn from(name: &Arc<str>) -> Self {
        Self::Name(name.clone())
    }
}

impl From<Option<&Arc<str>>> for Label {
    fn from(name: Option<&Arc<str>>) -> Self {
        name.map_or(Self::Word(""), Self::from)
    }
}

fn padded<const N: usize>(labels: [Label; N]) -> Labels {
    const { assert!(N <= LABELS_MAX) };
    let mut labels = labels.into_iter();
    std::array::from_fn(|_| labels.next().unwrap_or(Label::Word("")))
}

fn texts(labels: &Labels) -> impl Iterator<Item = &str> {
    labels.iter().map(Label::text)
}
