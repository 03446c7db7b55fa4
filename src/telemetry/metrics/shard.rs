//! What one worker has counted, or what all of them have, and what was looked up beside it.

use super::families::Family;
use super::histogram::Histogram;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The value of a label: either kind is bounded by the configuration or by the code.
#[derive(Debug, Clone, Copy)]
pub(super) enum Label<'a> {
    /// One of the code's own words.
    Word(&'static str),
    /// A name of the configuration.
    Name(&'a Arc<str>),
}

/// A label that is kept. Looking one up takes no share in the name: its count is every core's.
#[derive(Debug, Clone)]
pub(super) enum KeptLabel {
    Word(&'static str),
    Name(Arc<str>),
}

/// What a series has come to.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
    Histogram(Histogram),
}

/// Series by a hash of the family's name and the labels, which are compared then.
#[derive(Debug, Default)]
pub(super) struct Shard {
    series: HashMap<u64, Vec<Series>, BuildHasherDefault<Hashed>>,
}

/// One line of a page.
#[derive(Debug, Clone)]
pub(super) struct Series {
    name: &'static str,
    /// In the order of the family, and no more than it has: to compare empty texts costs more than any
    /// word, as they are compared at an address where nothing is.
    pub(super) labels: Box<[KeptLabel]>,
    pub(super) value: Value,
}

impl Shard {
    /// One more.
    pub(super) fn count<const N: usize>(&mut self, family: &Family, labels: [Label<'_>; N]) {
        self.add(family, labels, &Value::Whole(1));
    }

    /// One less, of a gauge.
    pub(super) fn uncount<const N: usize>(&mut self, family: &Family, labels: [Label<'_>; N]) {
        let empty = || Value::Whole(0);
        if let Value::Whole(count) = self.series(family.name, &labels, empty) {
            *count = count.saturating_sub(1);
        }
    }

    /// One more time.
    pub(super) fn observe<const N: usize>(
        &mut self,
        family: &Family,
        labels: [Label<'_>; N],
        time: Duration,
    ) {
        let empty = || Value::Histogram(Histogram::new(family.bounds));
        if let Value::Histogram(histogram) = self.series(family.name, &labels, empty) {
            histogram.observe(time);
        }
    }

    /// So much more.
    pub(super) fn add<const N: usize>(
        &mut self,
        family: &Family,
        labels: [Label<'_>; N],
        more: &Value,
    ) {
        let series = self.series(family.name, &labels, || more.nothing());
        series.add(more);
    }

    /// Adds what another has.
    pub(super) fn merge(&mut self, other: &Self) {
        for one in other.series.values().flatten() {
            let labels: Vec<_> = one.labels.iter().map(KeptLabel::label).collect();
            let value = self.series(one.name, &labels, || one.value.nothing());
            value.add(&one.value);
        }
    }

    /// All series by the name of their family, each family's in the order of their labels.
    pub(super) fn by_family(&self) -> HashMap<&'static str, Vec<&Series>> {
        let mut families: HashMap<_, Vec<_>> = HashMap::new();
        for one in self.series.values().flatten() {
            families.entry(one.name).or_default().push(one);
        }
        for family in families.values_mut() {
            family.sort_by(|one, other| one.texts().cmp(other.texts()));
        }
        families
    }

    fn series(
        &mut self,
        name: &'static str,
        labels: &[Label<'_>],
        empty: impl FnOnce() -> Value,
    ) -> &mut Value {
        let bucket = self.series.entry(hash(name, labels)).or_default();
        let place = match bucket.iter().position(|one| one.is(name, labels)) {
            Some(place) => place,
            None => {
                bucket.push(Series {
                    name,
                    labels: labels.iter().map(Label::keep).collect(),
                    value: empty(),
                });
                bucket.len() - 1
            }
        };
        &mut bucket[place].value
    }
}

impl Series {
    fn is(&self, name: &str, labels: &[Label<'_>]) -> bool {
        self.name == name && self.texts().eq(labels.iter().map(Label::text))
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(KeptLabel::text)
    }
}

impl Value {
    /// Of the same kind.
    fn nothing(&self) -> Self {
        match self {
            Self::Whole(_) => Self::Whole(0),
            Self::Real(_) => Self::Real(0.0),
            Self::Histogram(histogram) => Self::Histogram(Histogram::new(histogram.bounds())),
        }
    }

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

impl<'a> Label<'a> {
    fn text(&self) -> &'a str {
        match *self {
            Self::Word(word) => word,
            Self::Name(name) => name,
        }
    }

    fn keep(&self) -> KeptLabel {
        match *self {
            Self::Word(word) => KeptLabel::Word(word),
            Self::Name(name) => KeptLabel::Name(name.clone()),
        }
    }
}

impl KeptLabel {
    pub(super) fn text(&self) -> &str {
        self.label().text()
    }

    fn label(&self) -> Label<'_> {
        match self {
            Self::Word(word) => Label::Word(word),
            Self::Name(name) => Label::Name(name),
        }
    }
}

impl From<&'static str> for Label<'_> {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl<'a> From<&'a Arc<str>> for Label<'a> {
    fn from(name: &'a Arc<str>) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<Option<&'a Arc<str>>> for Label<'a> {
    fn from(name: Option<&'a Arc<str>>) -> Self {
        name.map_or(Self::Word(""), Self::from)
    }
}

/// Of keys that are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Without a key: nobody chooses the labels but the configuration.
fn hash(name: &str, labels: &[Label<'_>]) -> u64 {
    let texts = labels.iter().map(Label::text);
    texts.fold(xxh3_64(name.as_bytes()), |seed, text| {
        xxh3_64_with_seed(text.as_bytes(), seed)
    })
}
