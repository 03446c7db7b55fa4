//! What quiet sessions notice of a hostile one, and what it takes of the proxy.

use super::table::{Table, best, columns, or_dash, ratio};
use super::{grouped, number};
use crate::field::NO_PROXY;
use crate::metric::Metric;
use crate::proxies::OWN;
use crate::results::{Measured, Results};
use crate::statistics::median;
use crate::workload::{Topic, Workload};

/// Latencies of the quiet sessions; and how much slower they are beside each hostile one.
pub(super) fn latencies(results: &Results) -> Option<String> {
    let (workloads, proxies) = rows_and_columns(results)?;
    let own = ["wsgate's p99 ÷ alone", "wsgate's p99 ÷ best peer's"];
    let mut table = Table::new([&[""], &*proxies, &[NO_PROXY], &own].concat());
    let everyone: Vec<&str> = proxies.iter().copied().chain([NO_PROXY]).collect();
    let alone = everyone
        .iter()
        .map(|name| or_dash(alone(results, &workloads, name)));
    let dashes = ["–", "–"].map(str::to_owned);
    table.row(["alone".to_owned()].into_iter().chain(alone).chain(dashes));
    for workload in &workloads {
        let measured = results.of(&workload.name)?;
        let mut cells = vec![workload.title.clone()];
        let metrics = [Metric::P50Us, Metric::P99Us, Metric::MaxUs];
        cells.extend(everyone.iter().map(|name| {
            let three = metrics.map(|metric| measured.median(name, metric));
            or_dash(slashes(three))
        }));
        let grown = measured.ratio((OWN, Metric::P99Us), (OWN, Metric::AloneP99Us));
        cells.push(or_dash(grown.map(ratio)));
        cells.push(or_dash(best(results, measured, Metric::P99Us)));
        table.row(cells);
    }
    Some(table.text())
}

/// What the hostile session took: time of the core, memory; and what came of it.
pub(super) fn takings(results: &Results) -> Option<String> {
    let (workloads, proxies) = rows_and_columns(results)?;
    let mut table = Table::new([&[""], &*proxies].concat());
    for workload in &workloads {
        let measured = results.of(&workload.name)?;
        let cells = proxies.iter().map(|name| or_dash(taking(measured, name)));
        table.row([workload.title.clone()].into_iter().chain(cells));
    }
    Some(table.text())
}

fn rows_and_columns(results: &Results) -> Option<(Vec<Workload>, Vec<&str>)> {
    let workloads = Topic::Hostile.workloads(results);
    let proxies = columns(results, &workloads, Metric::P99Us);
    (!proxies.is_empty()).then_some((workloads, proxies))
}

/// Over the rounds of all hostile sessions: before each the quiet ones were alone.
fn alone(results: &Results, workloads: &[Workload], name: &str) -> Option<String> {
    let metrics = [Metric::AloneP50Us, Metric::AloneP99Us, Metric::AloneMaxUs];
    slashes(metrics.map(|metric| {
        let measured = workloads.iter().filter_map(|w| results.of(&w.name));
        let values: Vec<f64> = measured
            .flat_map(|measured| measured.values(name, metric))
            .collect();
        median(&values)
    }))
}

fn slashes(values: [Option<f64>; 3]) -> Option<String> {
    let [p50, p99, max] = values;
    let [p50, p99, max] = [p50?, p99?, max?].map(number);
    Some(format!("{p50} / {p99} / {max}"))
}

/// `97 %, 0.4 MiB, 812 MB/s`.
fn taking(measured: &Measured, name: &str) -> Option<String> {
    let median = |metric| measured.median(name, metric);
    let share = (median(Metric::CpuShare)? * 100.0).round();
    let grown = median(Metric::GrownBytes)? / f64::from(1 << 20);
    let rate = median(Metric::HostileBytesPerSecond)? / 1e6;
    let ended = median(Metric::HostileEnded)?;
    let ended = match ended {
        0.0 => String::new(),
        _ => format!(", ended {} ×", grouped(ended as u64)),
    };
    Some(format!(
        "{share} %, {grown:.1} MiB, {} MB/s{ended}",
        number(rate)
    ))
}
