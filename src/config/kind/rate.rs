//! Rates, and limits that may stand once, several times or not at all.

use super::number::parse_size;
use super::text::{Parsed, parsed};
use super::{Kind, Shape, one_or_list, or_off};
use crate::config::problem::Problem;
use crate::config::reader::Node;
use crate::config::value::Rate;
use std::time::Duration;
use toml::de::DeValue;

/// So many in so long: `"5/s"`, `"10/m"`, `"100/h"`.
pub(crate) fn rate() -> Parsed<Rate> {
    parsed(COUNT, "^[0-9]+/[smh]$", |text| {
        let (amount, period) = split(text, COUNT)?;
        match amount.parse::<u64>() {
            Ok(amount) if (1..=MOST).contains(&amount) => Ok(Rate { amount, period }),
            Ok(amount) => Err(Problem::new(format!("`{amount}` is out of range"))
                .help(format!("write a number from 1 to {MOST}"))),
            Err(_) => Err(no_rate(text, COUNT)),
        }
    })
}

/// So many bytes in so long: `"1MiB/s"`.
pub(crate) fn byte_rate() -> Parsed<Rate> {
    parsed(BYTES, "^[0-9]+(B|[KMG]i?B)?/[smh]$", |text| {
        let (amount, period) = split(text, BYTES)?;
        match parse_size(amount)? {
            amount @ 1..=BYTES_MOST => Ok(Rate { amount, period }),
            _ => {
                Err(Problem::new("this size is out of range")
                    .help("write a size from 1B to 1024GiB"))
            }
        }
    })
}

const COUNT: &str = "a rate such as `\"5/s\"`, `\"10/m\"` or `\"100/h\"`";
const BYTES: &str = "a rate such as `\"1MiB/s\"` or `\"600MB/h\"`";
/// One a nanosecond; clocks have no finer steps.
const MOST: u64 = 1_000_000_000;
const BYTES_MOST: u64 = 1 << 40;

fn split<'t>(text: &'t str, what: &str) -> Result<(&'t str, Duration), Problem> {
    let Some((amount, unit)) = text.split_once('/') else {
        return Err(no_rate(text, what));
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => {
            let title = format!("`{unit}` is not a unit of time");
            return Err(Problem::new(title).help("units are s, m, h: `\"5/s\"` is five a second"));
        }
    };
    Ok((amount, Duration::from_secs(seconds)))
}

fn no_rate(text: &str, what: &str) -> Problem {
    Problem::new(format!("`{text}` is not a rate")).help(format!("write {what}"))
}

/// One, a list of them, or `"off"`, which is an empty list.
pub(crate) fn limits<K: Kind>(kind: K) -> Several<K> {
    Several(kind)
}

/// See [`limits`].
pub(crate) struct Several<K>(K);

impl<K: Kind> Kind for Several<K> {
    type Out = Vec<K::Out>;

    fn read(&self, node: &Node<'_>) -> Option<Vec<K::Out>> {
        let off = match node.value() {
            DeValue::String(_) => node.text("a string")? == "off",
            _ => return one_or_list(&self.0).read(node),
        };
        if off {
            return Some(Vec::new());
        }
        node.expected("a table, a list of tables, or `\"off\"`")
    }

    fn shape(&self) -> Shape {
        or_off(one_or_list(&self.0)).shape()
    }
}

/// What `make` makes of a value.
pub(crate) fn made<K: Kind, T>(kind: K, make: fn(K::Out) -> T) -> Made<K, T> {
    Made(kind, make)
}

/// See [`made`].
pub(crate) struct Made<K: Kind, T>(K, fn(K::Out) -> T);

impl<K: Kind, T> Kind for Made<K, T> {
    type Out = T;

    fn read(&self, node: &Node<'_>) -> Option<T> {
        self.0.read(node).map(self.1)
    }

    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let check = |text, expected: Option<(u64, u64)>| {
            let read = (rate().parse)(text).ok();
            let read = read.map(|rate| (rate.amount, rate.period.as_secs()));
            assert_eq!(read, expected, "{text}");
        };
        check("5/s", Some((5, 1)));
        check("10/m", Some((10, 60)));
        check("100/h", Some((100, 3600)));
        check("1000000000/s", Some((1_000_000_000, 1)));
        for wrong in [
            "",
            "5",
            "/s",
            "5/",
            "5/d",
            "0/s",
            "-1/s",
            "1.5/s",
            "5 /s",
            "5/s/s",
            "5/S",
            "1KiB/s",
            "1000000001/s",
            "99999999999999999999/s",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn rates_of_bytes() {
        let check = |text, expected: Option<(u64, u64)>| {
            let read = (byte_rate().parse)(text).ok();
            let read = read.map(|rate| (rate.amount, rate.period.as_secs()));
            assert_eq!(read, expected, "{text}");
        };
        check("1MiB/s", Some((1 << 20, 1)));
        check("600MB/h", Some((600_000_000, 3600)));
        check("1000/m", Some((1000, 60)));
        for wrong in ["", "1MiB", "1MiB/d", "0B/s", "1XB/s", "1025GiB/s", "1/s/"] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_second_is_worth_at_least_one() {
        let check = |text, expected| {
            let rate = (rate().parse)(text).ok();
            assert_eq!(rate.map(Rate::in_a_second), Some(expected), "{text}");
        };
        check("5/s", 5);
        check("600/m", 10);
        check("59/m", 1);
        check("1/h", 1);
    }
}
