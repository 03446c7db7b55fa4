//! Whether a message costs the same among many sessions as among few.

use super::table::{Table, columns, or_dash, ratio};
use crate::results::Results;
use crate::workload::Topic;

/// What a message costs among more sessions, divided by what it costs among the fewest.
pub(super) fn flatness(results: &Results) -> Option<String> {
    let metric = Topic::Many.metric();
    let workloads = Topic::Many.workloads(results);
    let [few, more @ ..] = &*workloads else {
        return None;
    };
    if more.is_empty() {
        return None;
    }
    let base = results.of(&few.name)?;
    let proxies = columns(results, &workloads, metric);
    let mut table = Table::new([&[""], &*proxies].concat());
    for workload in more {
        let measured = results.of(&workload.name)?;
        let title = format!("{} ÷ {}", workload.title, few.title);
        let cells = proxies.iter().map(|proxy| {
            let against = measured.against(base, proxy, metric);
            or_dash(against.map(ratio))
        });
        table.row([title].into_iter().chain(cells));
    }
    Some(table.text())
}
