//! The page as a whole; what is counted where is tested with whole gateways.

use super::families::{ALL, Kind};
use super::*;
use crate::relay::Traffic;
use crate::session::Record;
use std::collections::BTreeSet;

fn facts() -> Facts {
    Facts {
        is_ready: true,
        workers: 2,
        connections: 3,
        max_connections: 100,
        entries: vec![("routes", 1)],
        loaded: Instant::now(),
        expiries: vec![("own.pem".into(), 2_000_000_000)],
        routes: vec![("a \"quoted\\\n\" route".into(), Traffic::default())],
        upstreams: vec![UpstreamFacts {
            name: "back".into(),
            endpoints: 2,
            sessions: 7,
            failures: vec![("connect_failed", 4)],
        }],
        usage: None,
    }
}

fn session(route: &str) -> Session {
    let names = Names {
        listener: "main".into(),
        route: route.into(),
        upstream: "back".into(),
    };
    Session::new(&Record {
        request_id: "r1",
        names: &Arc::new(names),
        client: None,
        host: "a.example",
        path: "/",
        endpoint: "10.0.0.1:80",
        identity: None,
        subprotocol: None,
    })
}

fn lines(page: &str) -> BTreeSet<&str> {
    page.lines().collect()
}

#[test]
fn what_workers_counted_apart_is_one_sum() {
    let metrics = Metrics::new(3);
    let (one, other) = (session("a"), session("a"));
    metrics.at(0).opened(&one, Duration::from_millis(3));
    metrics.at(1).opened(&other, Duration::from_millis(30));
    metrics.at(5).opened(&other, Duration::from_secs(30));
    metrics.at(1).ended(&other, Duration::from_secs(1), None);
    let page = metrics.page(&facts(), Format::Classic);
    let lines = lines(&page);
    for expected in [
        "wsgate_sessions{route=\"a\"} 2",
        "wsgate_handshakes_total{listener=\"main\",route=\"a\",outcome=\"opened\",reason=\"ok\"} 3",
        "wsgate_handshake_duration_seconds_bucket{le=\"0.005\",route=\"a\"} 1",
        "wsgate_handshake_duration_seconds_bucket{le=\"0.05\",route=\"a\"} 2",
        "wsgate_handshake_duration_seconds_bucket{le=\"+Inf\",route=\"a\"} 3",
        "wsgate_handshake_duration_seconds_count{route=\"a\"} 3",
        "wsgate_sessions_ended_total{route=\"a\",ended_by=\"gateway\",reason=\"aborted\",code=\"none\"} 1",
        "wsgate_upstream_failures_total{upstream=\"back\",reason=\"connect_failed\"} 4",
        "wsgate_certificate_not_after_timestamp_seconds{file=\"own.pem\"} 2000000000.0",
        "wsgate_sessions{route=\"a \\\"quoted\\\\\\n\\\" route\"} 0",
    ] {
        assert!(lines.contains(expected), "no {expected} in\n{page}");
    }
}

#[test]
fn dates_are_of_the_wall_and_spans_of_the_other_clock() {
    let start = Start {
        date: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        instant: Instant::now(),
    };
    let later = start.instant + Duration::from_millis(2500);
    assert_eq!(start.date_of(start.instant), 1_700_000_000.0);
    assert_eq!(start.date_of(later), 1_700_000_002.5);
}

#[test]
fn both_formats_tell_the_same() {
    let (metrics, facts) = (Metrics::new(1), facts());
    metrics.at(0).refused(&"main".into(), None, 404, "no_route");
    let samples = |format| {
        let page = metrics.page(&facts, format);
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        samples.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(Format::Classic), samples(Format::OpenMetrics));

    let open = metrics.page(&facts, Format::OpenMetrics);
    assert!(open.ends_with("\n# EOF\n"), "{open}");
    for line in [
        "# TYPE wsgate_handshakes counter",
        "# TYPE wsgate_throttled_seconds counter",
        "# UNIT wsgate_throttled_seconds seconds",
    ] {
        assert!(lines(&open).contains(line), "no {line} in\n{open}");
    }
    let classic = metrics.page(&facts, Format::Classic);
    assert!(!classic.contains("# EOF") && !classic.contains("# UNIT"));
    for line in [
        "# TYPE wsgate_handshakes_total counter",
        "# TYPE wsgate_throttled_seconds_total counter",
        "# TYPE wsgate_sessions gauge",
    ] {
        assert!(lines(&classic).contains(line), "no {line} in\n{classic}");
    }
}

#[test]
fn names_keep_to_prometheus_rules() {
    let mut seen = BTreeSet::new();
    for family in ALL {
        let name = family.name;
        assert!(seen.insert(name), "`{name}` twice");
        let is_counter = family.kind == Kind::Counter;
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        assert!(name.starts_with("wsgate_") || name.starts_with("process_"));
        assert!(!family.help.ends_with('.') && !family.help.contains(['\n', '|']));
        let is_histogram = family.kind == Kind::Histogram;
        assert_eq!(family.bounds.is_empty(), !is_histogram, "{name}");
        assert!(family.bounds.is_sorted(), "{name}");
    }
}

#[test]
fn prometheus_gets_openmetrics_and_everybody_else_what_everybody_reads() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1";
    assert_eq!(Format::asked_by(Some(prometheus)), Format::OpenMetrics);
    for accept in [None, Some("*/*"), Some("text/html"), Some("text/plain")] {
        assert_eq!(Format::asked_by(accept), Format::Classic);
    }
}
