//! `benchmarks.md`: what was measured, how, on what, and how to do it again.

use super::{PARTS, RESULTS, grouped, table};
use crate::results::{Results, Setting};
use crate::run::HUGE_WINDOWS;
use crate::workload::Topic;

/// Of fewer the median lies outside their range with more than 5 %.
const ENOUGH_ROUNDS: usize = 6;

pub(super) fn page(results: &Results) -> String {
    let mut page = head(&results.setting);
    page += "## What it costs\n\n";
    page += "Medians over all rounds. The last column compares wsgate with the cheapest of the others: the median of \
             the ratios\nwithin each round, and the interval in which it lies with 95 % (bootstrap).\n";
    page += few_rounds(results);
    for topic in Topic::ALL {
        if let Some(table) = table::costs(results, topic) {
            let (title, unit, file) = (topic.title(), topic.unit(), topic.file());
            page += &format!(
                "\n### {title}\n\n{unit}:\n\n{table}\n![{title}: {unit}]({PARTS}/{file})\n"
            );
        }
    }
    page += "\n## Rates and latencies\n\nClients and echo server share a core, and may be what limits a rate.\n";
    for (title, table) in table::speeds(results) {
        page += &format!("\n### {title}\n\n{table}");
    }
    page += &method(results);
    page += &machine(results);
    page += &again(&results.setting);
    page
}

fn head(setting: &Setting) -> String {
    format!(
        "# Benchmarks\n\n\
         wsgate beside the proxies of the distribution, in one run ({}) on {}. The page is written by the run\n\
         ([`benches/peers`](../benches/peers/main.rs)); the numbers of each round are in [{RESULTS}]({PARTS}/{RESULTS}).\n\n\
         The other proxies pass bytes on once the handshake is over. wsgate does with each frame what it always does: it\n\
         checks framing, text (UTF-8) and sizes, counts, and keeps an eye on the peers' life.\n\n",
        rounds(setting.rounds),
        setting.date
    )
}

/// What an interval from so little is worth.
fn few_rounds(results: &Results) -> &'static str {
    let counts = results
        .measured
        .iter()
        .map(|measured| measured.rounds.len());
    match counts.min() {
        Some(0..ENOUGH_ROUNDS) => "Where rounds are few, it is only the range of what was seen.\n",
        _ => "",
    }
}

fn method(results: &Results) -> String {
    let Setting {
        sessions,
        idle_sessions,
        window_ms,
        proxy_core,
        load_core,
        ..
    } = &results.setting;
    let idle_rounds = results.of("idle").map_or(0, |idle| idle.rounds.len());
    let idle_rounds = rounds(idle_rounds);
    let idle = grouped(*idle_sessions as u64);
    format!(
        "\n## How it is measured\n\n\
         - Everything is on one machine, over loopback. Each proxy has one worker on core {proxy_core}; clients and echo server are\n  \
           on core {load_core}. All proxies run; one at a time is loaded. In each round each has its turn with each workload for\n  \
           {window_ms} ms ({HUGE_WINDOWS} times that for messages of 1 MiB), after a third of that as a warm-up; the order changes from round to round.\n\
         - A message is one round trip: a masked frame from the client through the proxy to the server, and a bare one back. The\n  \
           proxy has relayed two frames by then. There are {sessions} sessions, each with one message in flight if nothing else is said.\n  \
           The first messages of each session are compared byte for byte.\n\
         - CPU time is what all threads of the proxy's processes spent on a core (`schedstat`), in their own code and in the\n  \
           kernel's. Most of it is the kernel's work for TCP.\n\
         - A handshake is the connection, TLS if any, the upgrade, a Close each way and the end. Its latency is that up to the `101`.\n\
         - TLS is 1.3 with X25519 and a certificate with P-256. Each handshake is a full one.\n\
         - Memory is what the proxy's processes have more (`Pss`) with {idle} sessions that have said one message each, divided\n  \
           by their number, in {idle_rounds}; a proxy is started anew for each. What the kernel keeps for sockets is not in it.\n\
         - Configurations are in [`benches/peers/config`](../benches/peers/config): as each proxy ships, without access logs; for nginx also with\n  \
           buffers of 32 KiB, for HAProxy also with `splice-auto`.\n"
    )
}

fn rounds(count: usize) -> String {
    match count {
        1 => "one round".to_owned(),
        _ => format!("{count} rounds"),
    }
}

fn machine(results: &Results) -> String {
    let setting = &results.setting;
    let mut text = format!(
        "\n## On what\n\n\
         | | |\n|---|---|\n\
         | processor | {}, {} cores |\n| memory | {} |\n| system | {}, {} |\n| load average before the run | {} |\n| commit | {} |\n",
        setting.processor,
        setting.cores,
        setting.memory,
        setting.system,
        setting.kernel,
        setting.load_average,
        setting.commit
    );
    for proxy in &results.proxies {
        text += &format!("| {} | {} |\n", proxy.name, proxy.version);
    }
    if !results.missing.is_empty() {
        text += &format!(
            "\nNot installed, and left out: {}.\n",
            results.missing.join(", ")
        );
    }
    if !results.failures.is_empty() {
        text += "\nMeasurements that came to nothing:\n\n";
        for failure in &results.failures {
            text += &format!("- {failure}\n");
        }
    }
    text
}

fn again(setting: &Setting) -> String {
    format!(
        "\n## Do it again\n\n\
         On Linux, with two cores that have nothing else to do:\n\n\
         ```sh\n\
         apt-get install haproxy nginx-light caddy     # whichever you want to compare with\n\
         {}\n\
         ```\n\n\
         `--quick` takes two minutes; `--only` and `--rounds` choose; `cargo bench --bench peers -- --help` has the rest.\n\
         What the parts cost by themselves: `cargo bench --bench frame`, `route`, `limiter` and `metrics`; what a storm of\n\
         reconnects does: `cargo bench --bench storm`.\n",
        setting.command
    )
}
