//! Tables: a row for each workload, a column for each proxy that took part.

use super::number;
use crate::metric::Metric;
use crate::results::{Measured, Results};
use crate::statistics::Estimate;
use crate::workload::{Field, Topic, Workload, all};

/// A table that grows by rows.
pub(super) struct Table(String);

impl Table {
    pub(super) fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        let head: Vec<String> = head.into_iter().map(T::into).collect();
        let rule = "---:|".repeat(head.len() - 1);
        let mut table = Self(String::new());
        table.row(head);
        table.0 += &format!("|---|{rule}\n");
        table
    }

    pub(super) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<String> = cells.into_iter().map(T::into).collect();
        self.0 += &format!("| {} |\n", cells.join(" | "));
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

/// Where there is nothing.
pub(super) fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "–".to_owned())
}

/// `0.96 (0.95–0.98)`.
pub(super) fn ratio(ratio: Estimate) -> String {
    format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.low, ratio.high)
}

/// The same for the eye that looks for it.
pub(super) fn bold_ratio(ratio: Estimate) -> String {
    format!(
        "**{:.2}** ({:.2}–{:.2})",
        ratio.median, ratio.low, ratio.high
    )
}

/// Proxies with a number in one of `rows`, in order.
pub(super) fn columns<'a>(results: &'a Results, rows: &[Workload], metric: Metric) -> Vec<&'a str> {
    let names = results.proxies.iter().map(|proxy| &*proxy.name);
    let has = |name: &str| {
        let mut measured = rows.iter().filter_map(|row| results.of(&row.name));
        measured.any(|measured| measured.median(name, metric).is_some())
    };
    names.filter(|name| has(name)).collect()
}

/// What the workloads of a topic cost, and how wsgate compares.
pub(super) fn costs(results: &Results, topic: Topic) -> Option<String> {
    let workloads = topic.workloads(results);
    let metric = topic.metric();
    let proxies = columns(results, &workloads, metric);
    if proxies.is_empty() {
        return None;
    }
    let head = [&[""], &*proxies, &["wsgate ÷ best peer"]].concat();
    let mut table = Table::new(head);
    for workload in &workloads {
        let measured = results.of(&workload.name)?;
        let mut cells = vec![workload.title.clone()];
        cells.extend(proxies.iter().map(|proxy| {
            let median = measured.median(proxy, metric);
            or_dash(median.map(number))
        }));
        cells.push(or_dash(best(results, measured, metric)));
        table.row(cells);
    }
    Some(table.text())
}

/// How wsgate compares with the best of the others.
pub(super) fn best(results: &Results, measured: &Measured, metric: Metric) -> Option<String> {
    let comparison = measured.compare(&results.proxies, metric)?;
    let ratio = bold_ratio(comparison.ratio);
    Some(format!("{ratio} {}", comparison.best_peer))
}

/// Rates and latencies, each with its title.
pub(super) fn speeds(results: &Results) -> Vec<(&'static str, String)> {
    let rows: Vec<Workload> = all()
        .into_iter()
        .filter(|w| w.topic.field() == Field::All && w.topic != Topic::Memory)
        .filter(|w| results.of(&w.name).is_some())
        .collect();
    let rates = speed(results, &rows, Metric::PerSecond, |measured, proxy| {
        measured.median(proxy, Metric::PerSecond).map(number)
    });
    let latencies = speed(results, &rows, Metric::P50Us, |measured, proxy| {
        let half = measured.median(proxy, Metric::P50Us)?;
        let most = measured.median(proxy, Metric::P99Us)?;
        Some(format!("{} / {}", number(half), number(most)))
    });
    let titles = [
        "Messages, or handshakes, in a second",
        "Latency in µs, p50 / p99",
    ];
    let tables = titles.into_iter().zip([rates, latencies]);
    tables
        .filter_map(|(title, table)| Some((title, table?)))
        .collect()
}

fn speed(
    results: &Results,
    rows: &[Workload],
    metric: Metric,
    cell: impl Fn(&Measured, &str) -> Option<String>,
) -> Option<String> {
    let proxies = columns(results, rows, metric);
    if proxies.is_empty() {
        return None;
    }
    let mut table = Table::new([&[""], &*proxies].concat());
    for workload in rows {
        let measured = results.of(&workload.name)?;
        let cells: Vec<_> = proxies.iter().map(|proxy| cell(measured, proxy)).collect();
        // Nothing comes back of what goes one way.
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(or_dash);
            table.row([full_title(workload)].into_iter().chain(cells));
        }
    }
    Some(table.text())
}

/// Where binary messages and text stand in one table.
fn full_title(workload: &Workload) -> String {
    match workload.topic {
        Topic::Binary => format!("binary, {}", workload.title),
        Topic::Text => format!("text, {}", workload.title),
        _ => workload.title.clone(),
    }
}
