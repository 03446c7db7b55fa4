//! The results for people: tables, charts and the page of both. Every number and every sentence that
//! depends on one comes from the results.

mod chart;
mod page;
mod table;

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
        if let Some(table) = table::costs(results, topic) {
            text += &format!("{}\n\n{table}\n", topic.title());
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
            Self::Tls => "Messages over TLS",
            Self::Handshakes => "Handshakes",
            Self::Memory => "Memory of quiet sessions",
        }
    }

    /// Of the chart.
    fn file(self) -> &'static str {
        match self {
            Self::Binary => "binary.svg",
            Self::Text => "text.svg",
            Self::Tls => "tls.svg",
            Self::Handshakes => "handshakes.svg",
            Self::Memory => "memory.svg",
        }
    }

    /// What a workload costs.
    fn metric(self) -> Metric {
        match self {
            Self::Memory => Metric::SessionBytes,
            _ => Metric::CpuUs,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Binary | Self::Text | Self::Tls => "CPU µs of the proxy for each message",
            Self::Handshakes => "CPU µs of the proxy for each handshake",
            Self::Memory => "bytes of the proxy for each session",
        }
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
