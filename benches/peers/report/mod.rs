//! The results for people: tables, charts and the page of both. Every number and every sentence that
//! depends on one comes from the results.

mod chart;
mod hostile;
mod many;
mod page;
mod table;
mod workers;

use crate::metric::Metric;
use crate::results::Results;
use crate::rig::Failure;
use crate::workload::{Topic, Workload, all};
use std::fs;
use std::path::Path;

/// The page and what belongs to it, in `folder`.
const PAGE: &str = "benchmarks.md";
const PARTS: &str = "benchmarks";
/// Among the parts.
const RESULTS: &str = "results.json";

/// All tables.
pub(crate) fn tables(results: &Results) -> Result<String, Failure> {
    let mut text = String::new();
    for topic in Topic::ALL {
        for (unit, table) in topic.tables(results) {
            text += &format!("{}: {unit}\n\n{table}\n", topic.title());
        }
    }
    for (title, table) in table::speeds(results) {
        text += &format!("{title}\n\n{table}\n");
    }
    Ok(text)
}

/// Writes the page, the charts and the results.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<(), Failure> {
    let parts = folder.join(PARTS);
    fs::create_dir_all(&parts)?;
    let json = serde_json::to_string_pretty(results)? + "\n";
    fs::write(parts.join(RESULTS), json)?;
    for topic in Topic::ALL {
        if let Some(chart) = chart::draw(results, topic) {
            fs::write(parts.join(topic.file()), chart)?;
        }
    }
    fs::write(folder.join(PAGE), page::page(results))?;
    Ok(())
}

impl Topic {
    fn title(self) -> &'static str {
        match self {
            Self::Binary => "Binary messages",
            Self::Text => "Text messages",
            Self::OneWay => "Messages in one direction",
            Self::Tls => "Messages over TLS",
            Self::Handshakes => "Handshakes",
            Self::Memory => "Memory of quiet sessions",
            Self::Many => "Among many sessions",
            Self::Workers => "A second worker",
            Self::Hostile => "One hostile session beside a thousand quiet ones",
        }
    }

    /// Of the chart.
    fn file(self) -> &'static str {
        match self {
            Self::Binary => "binary.svg",
            Self::Text => "text.svg",
            Self::OneWay => "one-way.svg",
            Self::Tls => "tls.svg",
            Self::Handshakes => "handshakes.svg",
            Self::Memory => "memory.svg",
            Self::Many => "many.svg",
            Self::Workers => "workers.svg",
            Self::Hostile => "hostile.svg",
        }
    }

    /// What a workload costs; less is better, except of workers.
    fn metric(self) -> Metric {
        match self {
            Self::Memory => Metric::SessionBytes,
            Self::Hostile => Metric::P99Us,
            Self::Workers => Metric::PerSecond,
            _ => Metric::CpuUs,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Binary | Self::Text | Self::OneWay | Self::Tls | Self::Many => {
                "CPU µs of the proxy for each message"
            }
            Self::Handshakes => "CPU µs of the proxy for each handshake",
            Self::Memory => "bytes of the proxy for each session",
            Self::Workers => "messages in a second, and what each costs",
            Self::Hostile => "latency of the quiet sessions in µs, p99",
        }
    }

    /// Each with what its numbers are.
    fn tables(self, results: &Results) -> Vec<(&'static str, String)> {
        let tables = match self {
            Self::Workers => vec![(self.unit(), workers::table(results))],
            Self::Hostile => vec![
                (
                    "latency of the quiet sessions in µs, p50 / p99 / the slowest",
                    hostile::latencies(results),
                ),
                (
                    "part of its core that the proxy used, growth of its memory, what the hostile client sent and read",
                    hostile::takings(results),
                ),
            ],
            Self::Many => vec![
                (self.unit(), table::costs(results, self)),
                (
                    "the same, divided by that among the fewest",
                    many::flatness(results),
                ),
            ],
            _ => vec![(self.unit(), table::costs(results, self))],
        };
        let tables = tables.into_iter();
        tables
            .filter_map(|(unit, table)| Some((unit, table?)))
            .collect()
    }

    /// Those that were measured.
    fn workloads(self, results: &Results) -> Vec<Workload> {
        all()
            .into_iter()
            .filter(|workload| workload.topic == self && results.of(&workload.name).is_some())
            .collect()
    }
}

/// With three digits, as far as they mean something.
fn number(value: f64) -> String {
    match value {
        100.0.. => grouped(value.round() as u64),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// With commas between thousands.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
