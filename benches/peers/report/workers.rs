//! What a second worker brings, where two cores carry gateway, clients and server alike.

use super::number;
use super::table::{Table, bold_ratio, or_dash};
use crate::metric::Metric;
use crate::proxies::{ONE_WORKER, TWO_WORKERS};
use crate::results::{Measured, Results};
use crate::statistics::median;
use crate::workload::Topic;

const CORES: f64 = 2.0;

pub(super) fn table(results: &Results) -> Option<String> {
    let workloads = Topic::Workers.workloads(results);
    if workloads.is_empty() {
        return None;
    }
    let mut table = Table::new([
        "",
        "messages/s, 1 worker",
        "2 workers",
        "2 ÷ 1",
        "at most",
        "CPU µs a message, 1 worker",
        "2 workers",
        "2 ÷ 1",
    ]);
    for workload in &workloads {
        let measured = results.of(&workload.name)?;
        let mut cells = vec![workload.title.clone()];
        cells.extend(pair(measured, Metric::PerSecond));
        cells.push(or_dash(most(measured).map(number)));
        cells.extend(pair(measured, Metric::CpuUs));
        table.row(cells);
    }
    Some(table.text())
}

/// Both, and their ratio.
fn pair(measured: &Measured, metric: Metric) -> [String; 3] {
    let [one, two] =
        [ONE_WORKER, TWO_WORKERS].map(|name| or_dash(measured.median(name, metric).map(number)));
    let ratio = measured.ratio((TWO_WORKERS, metric), (ONE_WORKER, metric));
    [one, two, or_dash(ratio.map(bold_ratio))]
}

/// The ratio that would leave no time of either core unused, by what a message costs all together.
fn most(measured: &Measured) -> Option<f64> {
    let of_round = |round: usize| {
        let gateway = measured.value(round, TWO_WORKERS, Metric::CpuUs)?;
        let others = measured.value(round, TWO_WORKERS, Metric::LoadCpuUs)?;
        let alone = measured.value(round, ONE_WORKER, Metric::PerSecond)?;
        Some(CORES * 1e6 / (gateway + others) / alone)
    };
    let all: Vec<f64> = (0..measured.rounds.len()).filter_map(of_round).collect();
    median(&all)
}
