//! Prometheus' text format 0.0.4 out of OpenMetrics: what has not learned the newer one reads a counter
//! by the name that its samples have.

use super::families::{ALL, Kind};

/// The same page: a counter is declared by its whole name, and nothing is said of units and the end.
pub(super) fn classic(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for line in page.lines() {
        let declared = line
            .strip_prefix("# HELP ")
            .or_else(|| line.strip_prefix("# TYPE "));
        match declared.and_then(|rest| rest.split_once(' ')) {
            Some((name, rest)) => {
                text.push_str(&line[.."# HELP ".len()]);
                text.push_str(name);
                if is_counter(name) {
                    text.push_str("_total");
                }
                text.push(' ');
                text.push_str(rest);
            }
            None if line.starts_with('#') => continue,
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn is_counter(name: &str) -> bool {
    let is_it = |declared: &str| declared.strip_suffix("_total") == Some(name);
    ALL.iter()
        .any(|family| family.kind == Kind::Counter && is_it(family.name))
}
