//! What the metrics cost: a handshake and the end of a session on the thread that carries it, and a
//! page on the thread that makes it. A frame costs nothing here: the relay counts it anyway.

use divan::{Bencher, black_box};
use std::sync::Arc;
use std::time::Duration;
use wsgate::relay::Traffic;
use wsgate::session::{Names, Record, Session};
use wsgate::telemetry::metrics::{Facts, Format, Metrics};

/// Routes of a large configuration.
const ROUTES: usize = 1000;

fn main() {
    divan::main();
}

fn session(route: usize) -> Session {
    let names = Names {
        listener: "public".into(),
        route: format!("chat.example.com/rooms/{route}/*").into(),
        upstream: "chat".into(),
    };
    Session::new(&Record {
        request_id: "0123456789abcdef",
        names: &Arc::new(names),
        client: None,
        host: "chat.example.com",
        path: "/chat",
        endpoint: "10.0.0.1:8080",
        identity: None,
        subprotocol: None,
    })
}

fn facts() -> Facts {
    let name = |route| (session(route).names().route.clone(), Traffic::default());
    Facts {
        is_ready: true,
        workers: 2,
        connections: 0,
        max_connections: 100_000,
        entries: Vec::new(),
        loaded: tokio::time::Instant::now(),
        expiries: Vec::new(),
        routes: (0..ROUTES).map(name).collect(),
        upstreams: Vec::new(),
        usage: None,
    }
}

/// Everything that is counted of one session.
#[divan::bench]
fn a_session(bencher: Bencher<'_, '_>) {
    let metrics = Metrics::new(2);
    let session = session(7);
    let counts = metrics.at(0);
    bencher.bench_local(|| {
        counts.accepted(&session.names().listener);
        counts.opened(black_box(&session), Duration::from_millis(3));
        counts.ended(black_box(&session), Duration::from_secs(1), None);
    });
}

/// Everything that is counted of a handshake that is refused.
#[divan::bench]
fn a_refusal(bencher: Bencher<'_, '_>) {
    let metrics = Metrics::new(2);
    let session = session(7);
    let counts = metrics.at(0);
    bencher.bench_local(|| {
        counts.accepted(&session.names().listener);
        counts.refused(
            &session.names().listener,
            Some(&session.names().route),
            403,
            "origin_refused",
        );
    });
}

#[divan::bench]
fn a_page_of_a_thousand_routes(bencher: Bencher<'_, '_>) {
    let metrics = Metrics::new(2);
    for route in 0..ROUTES {
        metrics
            .at(route)
            .opened(&session(route), Duration::from_millis(3));
    }
    let facts = facts();
    bencher.bench_local(|| metrics.page(&facts, Format::Classic).len());
}
