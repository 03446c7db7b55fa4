//! What finding a route costs, in tables of any size.

use divan::{Bencher, black_box};
use wsgate::config::{HostPattern, PathPattern};
use wsgate::route::Table;

/// For each of its hosts a table has so many paths.
const PATHS: usize = 8;
const SIZES: [usize; 3] = [1, 100, 10_000];

fn main() {
    divan::main();
}

/// Of as many hosts; the last route of each serves whatever the others don't.
fn table(hosts: usize) -> Table<usize> {
    let mut builder = Table::builder();
    for number in 0..hosts {
        let name = format!("host-{number}.example.com");
        let host = HostPattern::Exact(name);
        for path in 0..PATHS {
            let pattern = PathPattern::Exact(format!("/rooms/{path}"));
            add(&mut builder, &host, &pattern, path);
        }
        let rest = PathPattern::Prefix("/rooms".to_owned());
        add(&mut builder, &host, &rest, PATHS);
    }
    let wildcard = HostPattern::Wildcard("example.org".to_owned());
    let all = PathPattern::Prefix(String::new());
    add(&mut builder, &wildcard, &all, 0);
    builder.build()
}

fn add(
    builder: &mut wsgate::route::Builder<usize>,
    host: &HostPattern,
    path: &PathPattern,
    route: usize,
) {
    builder
        .add(host, path, &[], route)
        .expect("no two routes are alike");
}

#[divan::bench(args = SIZES)]
fn exact(bencher: Bencher<'_, '_>, hosts: usize) {
    let table = table(hosts);
    let host = format!("host-{}.example.com", hosts / 2);
    bencher.bench_local(|| {
        table
            .find(black_box(&host), black_box("/rooms/5"), &[])
            .copied()
    });
}

#[divan::bench(args = SIZES)]
fn below_a_prefix(bencher: Bencher<'_, '_>, hosts: usize) {
    let table = table(hosts);
    let host = format!("host-{}.example.com", hosts / 2);
    bencher.bench_local(|| {
        table
            .find(black_box(&host), black_box("/rooms/a/b/c/d"), &[])
            .copied()
    });
}

#[divan::bench(args = SIZES)]
fn wildcard_host(bencher: Bencher<'_, '_>, hosts: usize) {
    let table = table(hosts);
    bencher.bench_local(|| {
        table
            .find(black_box("chat.example.org"), black_box("/anything"), &[])
            .copied()
    });
}

#[divan::bench(args = SIZES)]
fn nothing_there(bencher: Bencher<'_, '_>, hosts: usize) {
    let table = table(hosts);
    bencher.bench_local(|| {
        table
            .find(black_box("chat.example.net"), black_box("/rooms/5"), &[])
            .copied()
    });
}
