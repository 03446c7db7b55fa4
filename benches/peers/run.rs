//! The run: round by round, workload by workload, each proxy in its turn.

use crate::field::{Course, Target};
use crate::metric::Sample;
use crate::results::{Measured, Results};
use crate::rig::Failure;
use crate::workload::{Field, Load, Workload};
use crate::{Arguments, clients, clock, setting};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

/// Measures everything.
pub(crate) fn run(arguments: &Arguments, workloads: &[Workload]) -> Result<Results, Failure> {
    let fields: Vec<Field> = workloads.iter().map(|w| w.topic.field()).collect();
    let setting = setting::look(arguments)?;
    let mut course = Course::start(arguments, &fields)?;
    for name in &course.missing {
        say(&format!("{name} is not installed and is left out"));
    }
    let mut results = Results {
        setting,
        proxies: std::mem::take(&mut course.versions),
        missing: std::mem::take(&mut course.missing),
        measured: workloads.iter().map(Measured::new).collect(),
        failures: Vec::new(),
    };
    let began = clock::now();
    let rounds = arguments.rounds();
    for round in 0..rounds {
        let minutes = began.elapsed().as_secs() / 60;
        say(&format!("round {} of {rounds}, {minutes} min", round + 1));
        for (number, workload) in workloads.iter().enumerate() {
            if !round.is_multiple_of(workload.topic.every()) {
                continue;
            }
            progress(&workload.name);
            let targets = course.of(workload.topic.field());
            let mut samples = BTreeMap::new();
            for turn in order(round, number, targets.len()) {
                let target = targets[turn];
                match measure(arguments, &course, target, workload) {
                    Ok(sample) => drop(samples.insert(target.name.to_owned(), sample)),
                    Err(failure) => {
                        let failure = format!("{}, {}: {failure}", workload.name, target.name);
                        say(&failure);
                        results.failures.push(failure);
                    }
                }
            }
            results.measured[number].rounds.push(samples);
        }
    }
    Ok(results)
}

fn measure(
    arguments: &Arguments,
    course: &Course,
    target: Target<'_>,
    workload: &Workload,
) -> Result<Sample, Failure> {
    match (workload.load, target.proxy) {
        (Load::Idle, Some(proxy)) => {
            let fresh = course.again(arguments, proxy.kind)?;
            clients::hold(arguments, target.by(&fresh), workload)
        }
        // What a hostile session leaves behind must not be what others are measured with.
        (Load::Beside(_), Some(proxy)) => {
            let fresh = course.again(arguments, proxy.kind)?;
            clients::measure(arguments, target.by(&fresh), workload)
        }
        (_, Some(proxy)) => {
            proxy.wake()?;
            let sample = clients::measure(arguments, target, workload);
            proxy.rest()?;
            sample
        }
        (_, None) => clients::measure(arguments, target, workload),
    }
}

/// Whose turn it is: someone else begins each time, and every other round goes backwards, so that each
/// follows each.
fn order(round: usize, workload: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.rotate_left((round + workload) % count);
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// For whoever watches; a log has the rounds.
fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        say(line);
    }
}

#[expect(clippy::print_stderr, reason = "for whoever waits")]
fn say(line: &str) {
    eprintln!("{line}");
}

impl Arguments {
    pub(crate) fn warm_up(&self) -> Duration {
        self.window() / 3
    }

    pub(crate) fn settling(&self) -> Duration {
        2 * self.window()
    }
}
