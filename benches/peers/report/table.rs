//! Tables: a row for each workload, a column for each proxy.

use super::number;
use crate::metric::Metric;
use crate::results::{Comparison, Measured, Results};
use crate::workload::{Topic, Workload, all};

/// What the workloads of a topic cost, and how wsgate compares.
pub(super) fn costs(results: &Results, topic: Topic) -> Option<String> {
    let workloads = topic.workloads(results);
    if workloads.is_empty() {
        return None;
    }
    let mut table = head(results, &["wsgate ÷ best peer"]);
    for workload in &workloads {
        let measured = results.of(&workload.name)?;
        let mut cells = vec![workload.title.clone()];
        cells.extend(medians(results, measured, topic.metric()));
        let comparison = measured.compare(&results.proxies, topic.metric());
        cells.push(comparison.map_or_else(|| "–".to_owned(), |comparison| ratio(&comparison)));
        table += &row(&cells);
    }
    Some(table)
}

/// Rates and latencies, each with its title.
pub(super) fn speeds(results: &Results) -> Vec<(&'static str, String)> {
    let rows: Vec<Workload> = all()
        .into_iter()
        .filter(|w| w.topic != Topic::Memory && results.of(&w.name).is_some())
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let rates = table(results, &rows, |measured, proxy| {
        measured.median(proxy, Metric::PerSecond).map(number)
    });
    let latencies = table(results, &rows, |measured, proxy| {
        let half = measured.median(proxy, Metric::P50Us)?;
        let most = measured.median(proxy, Metric::P99Us)?;
        Some(format!("{} / {}", number(half), number(most)))
    });
    vec![
        ("Messages, or handshakes, in a second", rates),
        ("Latency in µs, p50 / p99", latencies),
    ]
}

fn table(
    results: &Results,
    rows: &[Workload],
    cell: impl Fn(&Measured, &str) -> Option<String>,
) -> String {
    let mut table = head(results, &[]);
    for workload in rows {
        let Some(measured) = results.of(&workload.name) else {
            continue;
        };
        let mut cells = vec![full_title(workload)];
        cells.extend(results.proxies.iter().map(|proxy| {
            let cell = cell(measured, &proxy.name);
            cell.unwrap_or_else(|| "–".to_owned())
        }));
        table += &row(&cells);
    }
    table
}

/// Where binary messages and text stand in one table.
fn full_title(workload: &Workload) -> String {
    match workload.topic {
        Topic::Binary => format!("binary, {}", workload.title),
        Topic::Text => format!("text, {}", workload.title),
        Topic::Tls => format!("binary, {}", workload.title),
        Topic::Handshakes | Topic::Memory => workload.title.clone(),
    }
}

fn medians(results: &Results, measured: &Measured, metric: Metric) -> Vec<String> {
    results
        .proxies
        .iter()
        .map(|proxy| measured.median(&proxy.name, metric))
        .map(|median| median.map_or_else(|| "–".to_owned(), number))
        .collect()
}

/// `0.96 (0.95–0.98) of nginx`.
fn ratio(comparison: &Comparison<'_>) -> String {
    let ratio = comparison.ratio;
    format!(
        "**{:.2}** ({:.2}–{:.2}) {}",
        ratio.median, ratio.low, ratio.high, comparison.best_peer
    )
}

fn head(results: &Results, more: &[&str]) -> String {
    let mut cells = vec![String::new()];
    cells.extend(results.proxies.iter().map(|proxy| proxy.name.clone()));
    cells.extend(more.iter().map(|&title| title.to_owned()));
    let rule = "---:|".repeat(cells.len() - 1);
    format!("{}|---|{rule}\n", row(&cells))
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}
