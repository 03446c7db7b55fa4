//! Counts, sizes and durations.

use super::{INTERPOLATED, Kind, Shape};
use crate::config::problem::Problem;
use crate::config::reader::Node;
use serde_json::json;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::DeValue;

/// A whole number in `range`.
pub(crate) fn count<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> Count<T> {
    Count(range, PhantomData)
}

/// See [`count`].
pub(crate) struct Count<T>(RangeInclusive<u64>, PhantomData<T>);

impl<T: TryFrom<u64>> Kind for Count<T> {
    type Out = T;

    fn read(&self, node: &Node<'_>) -> Option<T> {
        let number = whole_number(node, "a whole number")?;
        let found = u64::try_from(number).ok().filter(|n| self.0.contains(n));
        let Some(value) = found.and_then(|number| T::try_from(number).ok()) else {
            let (least, most) = (self.0.start(), self.0.end());
            let title = format!("`{number}` is out of range");
            return node.refuse(
                Problem::new(title).help(format!("write a number from {least} to {most}")),
            );
        };
        Some(value)
    }

    fn shape(&self) -> Shape {
        let (least, most) = (self.0.start(), self.0.end());
        Shape::new(
            format!("a number from {least} to {most}"),
            json!({ "anyOf": [
                { "type": "integer", "minimum": least, "maximum": most },
                { "type": "string", "pattern": INTERPOLATED },
            ]}),
        )
    }
}

/// An integer, or a string that takes one from the environment.
fn whole_number(node: &Node<'_>, what: &str) -> Option<i128> {
    let (text, radix) = match node.value() {
        DeValue::Integer(number) => (number.as_str().to_owned(), number.radix()),
        DeValue::String(_) if node.is_interpolated() => (node.text(what)?, 10),
        _ => return node.expected(what),
    };
    match i128::from_str_radix(text.trim(), radix) {
        Ok(number) => Some(number),
        Err(_) => node.refuse(Problem::new(format!("`{text}` is not {what}"))),
    }
}

/// Bytes in `range`: `"16KiB"`, `"1MB"`, or a plain number of them.
pub(crate) fn size(range: RangeInclusive<u64>) -> Size {
    Size(range)
}

/// See [`size`].
pub(crate) struct Size(RangeInclusive<u64>);

impl Kind for Size {
    type Out = u64;

    fn read(&self, node: &Node<'_>) -> Option<u64> {
        let bytes = match node.value() {
            DeValue::Integer(_) => u64::try_from(whole_number(node, SIZE)?).ok(),
            _ => match parse_size(&node.text(SIZE)?) {
                Ok(bytes) => Some(bytes),
                Err(problem) => return node.refuse(problem),
            },
        };
        match bytes.filter(|bytes| self.0.contains(bytes)) {
            Some(bytes) => Some(bytes),
            None => node.refuse(Problem::new("this size is out of range").help(format!(
                "write a size from {} to {}",
                show_size(*self.0.start()),
                show_size(*self.0.end())
            ))),
        }
    }

    fn shape(&self) -> Shape {
        let (least, most) = (*self.0.start(), *self.0.end());
        let written = format!("^[0-9]+(B|[KMG]i?B)?$|{INTERPOLATED}");
        Shape::new(
            format!("a size from {} to {}", show_size(least), show_size(most)),
            json!({ "anyOf": [
                { "type": "integer", "minimum": least, "maximum": most },
                { "type": "string", "pattern": written },
            ]}),
        )
    }
}

const SIZE: &str = "a size such as `\"16KiB\"`";

const SIZE_UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

pub(super) fn parse_size(text: &str) -> Result<u64, Problem> {
    let (digits, unit) = split_number(text);
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let bytes = digits.parse::<u64>().ok().zip(factor);
    bytes
        .and_then(|(number, (_, factor))| number.checked_mul(*factor))
        .ok_or_else(|| {
            Problem::new(format!("`{text}` is not a size"))
                .help("write a whole number with one of the units B, KB, MB, GB, KiB, MiB, GiB, such as `\"16KiB\"`")
        })
}

fn show_size(bytes: u64) -> String {
    let exact = SIZE_UNITS[5..].iter().rev();
    let unit = exact
        .clone()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

/// A duration of at least `least` and at most a year, so that deadlines cannot overflow a clock.
pub(crate) fn duration(least: &'static str) -> Span {
    Span(least)
}

/// See [`duration`].
pub(crate) struct Span(&'static str);

impl Kind for Span {
    type Out = Duration;

    fn read(&self, node: &Node<'_>) -> Option<Duration> {
        let text = node.text(DURATION)?;
        let duration = match parse_duration(&text) {
            Ok(duration) => duration,
            Err(problem) => return node.refuse(problem),
        };
        let least = parse_duration(self.0).unwrap_or_default();
        if duration < least {
            let title = format!("`{text}` is too short");
            return node.refuse(Problem::new(title).help(format!("at least `\"{}\"`", self.0)));
        }
        if duration > YEAR {
            let title = format!("`{text}` is too long");
            return node.refuse(Problem::new(title).help("at most `\"365d\"`"));
        }
        Some(duration)
    }

    fn shape(&self) -> Shape {
        let text = match self.0 {
            "0s" => "a duration".to_owned(),
            least => format!("a duration of at least {least}"),
        };
        Shape::matching(text, "^([0-9]+(ms|s|m|h|d))+$")
    }
}

const DURATION: &str = "a duration such as `\"30s\"`";
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn parse_duration(text: &str) -> Result<Duration, Problem> {
    let not_one = || {
        Problem::new(format!("`{text}` is not a duration")).help(
            "write whole numbers with the units ms, s, m, h, d, such as `\"30s\"` or `\"1m30s\"`",
        )
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::new(format!("`{text}` has no unit")).help(format!(
            "write `\"{text}s\"` for seconds; units are ms, s, m, h, d"
        )));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    loop {
        let (digits, behind) = split_number(rest);
        let unit_length = behind
            .find(|char: char| char.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, further) = behind.split_at(unit_length);
        let number: u64 = digits.parse().map_err(|_| not_one())?;
        let millis = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        let part = millis.and_then(|millis: u64| number.checked_mul(millis));
        total = part
            .and_then(|part| total.checked_add(Duration::from_millis(part)))
            .ok_or_else(not_one)?;
        if further.is_empty() {
            return Ok(total);
        }
        rest = further;
    }
}

/// Leading digits, and what follows them.
fn split_number(text: &str) -> (&str, &str) {
    let digits = text
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(digits)
}

/// `"off"`, or as `kind` says.
pub(crate) fn or_off<K: Kind>(kind: K) -> OrOff<K> {
    OrOff(kind)
}

/// See [`or_off`].
pub(crate) struct OrOff<K>(K);

impl<K: Kind> Kind for OrOff<K> {
    type Out = Option<K::Out>;

    fn read(&self, node: &Node<'_>) -> Option<Option<K::Out>> {
        if let DeValue::String(_) = node.value()
            && node.text("a string")? == "off"
        {
            return Some(None);
        }
        self.0.read(node).map(Some)
    }

    fn shape(&self) -> Shape {
        self.0
            .shape()
            .or(Shape::new("`\"off\"`", json!({ "const": "off" })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text, millis| {
            let parsed = parse_duration(text).map(|duration| duration.as_millis());
            assert_eq!(parsed.ok(), millis, "{text}");
        };
        check("30s", Some(30_000));
        check("1m30s", Some(90_000));
        check("250ms", Some(250));
        check("1h", Some(3_600_000));
        check("2d", Some(172_800_000));
        check("0s", Some(0));
        for wrong in [
            "",
            "s",
            "30",
            "1.5s",
            "-1s",
            "1 s",
            "1m30",
            "5w",
            "1S",
            "99999999999999999999s",
        ] {
            check(wrong, None);
        }
        check("18446744073709551615d", None);
    }

    #[test]
    fn sizes() {
        let check = |text, bytes| assert_eq!(parse_size(text).ok(), bytes, "{text}");
        check("16KiB", Some(16_384));
        check("64KB", Some(64_000));
        check("1MiB", Some(1_048_576));
        check("1000", Some(1000));
        check("7B", Some(7));
        for wrong in [
            "",
            "KiB",
            "1.5MiB",
            "16K",
            "16kib",
            "-1B",
            "18446744073709551615GiB",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn sizes_are_shown_as_written() {
        assert_eq!(show_size(16_384), "16KiB");
        assert_eq!(show_size(1 << 30), "1GiB");
        assert_eq!(show_size(1000), "1000B");
    }
}
