//! Bar charts as SVG: a group of bars for each workload, on a scale of its own, as a message of 1 MiB costs
//! a thousand times what a small one does. Colours follow the reader's, light or dark.

use super::number;
use crate::proxies::OWN;
use crate::results::Results;
use crate::workload::Topic;
use std::fmt::Write;

const WIDTH: u32 = 720;
const MARGIN: u32 = 20;
/// Where bars begin, and the longest one's length; its number follows.
const BARS_FROM: u32 = 150;
const LONGEST: f64 = 470.0;
const BAR: u32 = 16;
const STEP: u32 = 20;
const GROUP_HEAD: u32 = 30;
const HEAD: u32 = 60;

const STYLE: &str = "
  .paper { fill: #ffffff; stroke: #d0d7de }
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .group { font-weight: 600 }
  .unit { fill: #59636e }
  .peer { fill: #afb8c1 }
  .own { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .unit { fill: #9198a1 }
    .peer { fill: #59636e }
    .own { fill: #4493f8 }
  }
";

/// The chart of a topic; nothing where nothing of it was measured.
pub(super) fn draw(results: &Results, topic: Topic) -> Option<String> {
    let groups = groups(results, topic);
    // What a second worker brings is a row of few numbers.
    if topic == Topic::Workers || groups.is_empty() {
        return None;
    }
    let (title, unit) = (topic.title(), topic.unit());
    let mut body = String::new();
    body += &text(MARGIN, MARGIN + 14, "title", title);
    let hint = format!("{unit}; less is better, each group has its own scale");
    body += &text(MARGIN, MARGIN + 34, "unit", &hint);
    let mut y = HEAD;
    for group in &groups {
        y += GROUP_HEAD;
        body += &text(MARGIN, y - 8, "group", &group.title);
        for (proxy, value) in &group.bars {
            body += &bar(y, proxy, *value, value / group.longest());
            y += STEP;
        }
    }
    let height = y + MARGIN;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n{body}</svg>\n",
        WIDTH - 1,
        height - 1,
    ))
}

/// A workload and what it cost each proxy.
struct Group<'a> {
    title: String,
    bars: Vec<(&'a str, f64)>,
}

impl Group<'_> {
    fn longest(&self) -> f64 {
        let values = self.bars.iter().map(|(_, value)| *value);
        values.fold(f64::MIN_POSITIVE, f64::max)
    }
}

fn groups(results: &Results, topic: Topic) -> Vec<Group<'_>> {
    let measured = topic.workloads(results).into_iter().filter_map(|workload| {
        let measured = results.of(&workload.name)?;
        let bars = results.proxies.iter().filter_map(|proxy| {
            let median = measured.median(&proxy.name, topic.metric())?;
            Some((&*proxy.name, median))
        });
        Some(Group {
            title: workload.title,
            bars: bars.collect(),
        })
    });
    measured.filter(|group| !group.bars.is_empty()).collect()
}

fn bar(y: u32, proxy: &str, value: f64, share: f64) -> String {
    let class = if proxy == OWN { "own" } else { "peer" };
    let length = (share * LONGEST).max(1.0);
    let mut svg = text(MARGIN + 10, y + 12, "name", proxy);
    // Writing to a string never fails.
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{BARS_FROM}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/>"
    );
    let x = BARS_FROM + length as u32 + 6;
    svg + &text(x, y + 12, "value", &number(value))
}

/// Titles and names are the program's own: nothing in them means something to XML.
fn text(x: u32, y: u32, class: &str, words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>\n")
}
