//! `Cache-Control` of an answer, as far as somebody who keeps it for himself needs it
//! (RFC 9111 §5.2.2).

use super::token::elements;
use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};
use std::time::Duration;

/// What an answer says of being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheControl {
    /// For how long it is good, less what it has aged on its way; the shortest, if it says several.
    pub max_age: Option<Duration>,
    /// Whether it is not to be used again without asking (`no-store`, `no-cache`).
    pub is_forbidden: bool,
}

impl CacheControl {
    /// Of an answer with these `headers`. What cannot be read counts as no age at all.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut told = Self::default();
        for element in elements(headers, &CACHE_CONTROL) {
            told.add(element);
        }
        let age = elements(headers, &AGE).next().and_then(seconds);
        told.max_age = told
            .max_age
            .map(|max_age| max_age.saturating_sub(age.unwrap_or_default()));
        told
    }

    fn add(&mut self, element: &[u8]) {
        let (name, value) = match element.iter().position(|&byte| byte == b'=') {
            Some(at) => (&element[..at], Some(&element[at + 1..])),
            None => (element, None),
        };
        if name.eq_ignore_ascii_case(b"no-store") || name.eq_ignore_ascii_case(b"no-cache") {
            // `no-cache="Field"` forbids less; to take it for all is safe.
            self.is_forbidden = true;
        } else if name.eq_ignore_ascii_case(b"max-age") {
            let max_age = value.and_then(seconds).unwrap_or_default();
            self.max_age = Some(self.max_age.map_or(max_age, |known| known.min(max_age)));
        }
    }
}

/// Digits, possibly quoted; more than there is room for count as very many (RFC 9111 §1.2.2).
fn seconds(value: &[u8]) -> Option<Duration> {
    const VERY_MANY: u64 = 1 << 31;
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let value = value.strip_suffix(b"\"").unwrap_or(value);
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = str::from_utf8(value).ok()?.parse().unwrap_or(VERY_MANY);
    Some(Duration::from_secs(number.min(VERY_MANY)))
}

/// For tests of those who read it.
#[cfg(test)]
impl From<&'static str> for CacheControl {
    fn from(value: &'static str) -> Self {
        let value = http::HeaderValue::from_static(value);
        Self::of(&HeaderMap::from_iter([(CACHE_CONTROL, value)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn directives_are_read_whatever_stands_beside_them() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (value, max_age, is_forbidden) in [
            ("max-age=60", seconds(60), false),
            ("public, MAX-AGE=\"60\" , immutable", seconds(60), false),
            ("max-age=60, max-age=30", seconds(30), false),
            ("max-age=0", seconds(0), false),
            ("max-age=soon", seconds(0), false),
            ("max-age", seconds(0), false),
            ("max-age=-1", seconds(0), false),
            ("max-age=99999999999999999999999", seconds(1 << 31), false),
            ("s-maxage=60, x-max-age=3", None, false),
            ("no-store", None, true),
            ("max-age=60, No-Cache", seconds(60), true),
            ("no-cache=\"Set-Cookie\"", None, true),
            ("", None, false),
        ] {
            let expected = CacheControl {
                max_age,
                is_forbidden,
            };
            assert_eq!(CacheControl::from(value), expected, "{value}");
        }
    }

    #[test]
    fn what_has_aged_on_the_way_is_good_for_less() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, HeaderValue::from_static("public"));
        headers.append(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        for (age, left) in [("0", 60), ("20", 40), ("90", 0), ("old", 60)] {
            headers.insert(AGE, HeaderValue::from_static(age));
            let told = CacheControl::of(&headers);
            assert_eq!(told.max_age, Some(Duration::from_secs(left)), "{age}");
        }
    }
}
