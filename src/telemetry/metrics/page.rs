//! From what was counted to the text of a page.

use super::Format;
use super::classic::classic;
use super::families::{ALL, Family, Kind};
use super::shard::{Series, Shard, Value};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

/// Writes every family, those without a series too.
pub(super) fn write(shard: &Shard, format: Format) -> String {
    let mut filled = shard.by_family();
    let page = ALL.iter().map(|family| Filled {
        family,
        series: filled
            .remove(family.name)
            .unwrap_or_default()
            .into_iter()
            .cloned()
            .collect(),
    });
    let page = page.collect();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(page)));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    match format {
        Format::OpenMetrics => text,
        Format::Classic => classic(&text),
    }
}

#[derive(Debug)]
struct Page(Vec<Filled>);

/// A family with its series.
#[derive(Debug)]
struct Filled {
    family: &'static Family,
    series: Vec<Series>,
}

impl Filled {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let family = self.family;
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let (stem, unit) = family.stem();
        let unit = unit.map(|unit| Unit::Other(unit.to_owned()));
        let mut metric = encoder.encode_descriptor(stem, family.help, unit.as_ref(), kind)?;
        for Series { labels, value, .. } in &self.series {
            let names = family.labels.iter().copied();
            let labels: Vec<_> = names.zip(labels.iter().map(|label| label.text())).collect();
            match labels.is_empty() {
                true => series(&mut metric, family.kind, value)?,
                false => series(&mut metric.encode_family(&labels)?, family.kind, value)?,
            }
        }
        Ok(())
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|filled| filled.encode(&mut encoder))
    }
}

fn series(metric: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(value, None)
        }
        (Kind::Counter, Value::Real(value)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(value, None)
        }
        (Kind::Gauge, Value::Whole(value)) => metric.encode_gauge(value),
        (Kind::Gauge, Value::Real(value)) => metric.encode_gauge(value),
        (Kind::Histogram, Value::Histogram(value)) => metric.encode_histogram::<NoLabelSet>(
            value.sum(),
            value.count(),
            &value.buckets(),
            None,
        ),
        _ => Ok(()),
    }
}
