//! A few strings in one allocation. What is kept of every session must not cost an allocation, and a
//! pointer with a length, for each word.

/// A string and `N` more, one behind the other.
#[derive(Debug)]
pub(super) struct Texts<const N: usize> {
    all: Box<str>,
    /// Where each but the first begins.
    starts: [u32; N],
}

impl<const N: usize> Texts<N> {
    /// What would go beyond 4 GiB is left out.
    pub(super) fn new(first: &str, others: [&str; N]) -> Self {
        let len = first.len() + others.iter().map(|text| text.len()).sum::<usize>();
        let mut all = String::with_capacity(len);
        all.push_str(first);
        let starts = others.map(|text| {
            let start = all.len() as u32;
            if u32::try_from(all.len() + text.len()).is_ok() {
                all.push_str(text);
            }
            start
        });
        Self {
            all: all.into(),
            starts,
        }
    }

    /// The first is number 0.
    pub(super) fn get(&self, number: usize) -> &str {
        let start = match number {
            0 => 0,
            _ => self.starts[number - 1] as usize,
        };
        let end = self
            .starts
            .get(number)
            .map_or(self.all.len(), |end| *end as usize);
        &self.all[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_comes_back_as_it_was(first in ".*", second in ".*", last in ".*") {
            let texts = Texts::new(&first, [&second, "", &last]);
            let expected = [&first, &second, "", &last];
            prop_assert_eq!([0, 1, 2, 3].map(|number| texts.get(number)), expected);
        }
    }
}
