//! `benchmarks.md`: what was measured, how, on what, and how to do it again.

use super::{PARTS, RESULTS, grouped, table};
use crate::clients::{HUGE_WINDOWS, QUIET_WINDOWS};
use crate::results::{Results, Setting};
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
        page += &section(results, topic);
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

/// Tables and chart of a topic, where something of it was measured.
fn section(results: &Results, topic: Topic) -> String {
    let tables = topic.tables(results);
    if tables.is_empty() {
        return String::new();
    }
    let title = topic.title();
    let mut section = format!("\n### {title}\n\n{}", words(topic));
    for (unit, table) in tables {
        section += &format!("{}{}:\n\n{table}\n", unit[..1].to_uppercase(), &unit[1..]);
    }
    if topic != Topic::Workers {
        section += &format!("![{title}: {}]({PARTS}/{})\n", topic.unit(), topic.file());
    }
    section
}

/// What the numbers of a topic need besides.
fn words(topic: Topic) -> &'static str {
    match topic {
        Topic::OneWay => {
            "As many messages as there is room for, one way: those of the client are masked, those of the server are not. \
             They come in\nheaps, so that one read of the proxy brings many.\n\n"
        }
        Topic::Many => {
            "Of all sessions one in a hundred, but at least 64, has a message of 125 bytes on its way; the others are silent.\n\n"
        }
        Topic::Workers => {
            "Two cores carry everything here: the gateway's workers, the clients (one thread) and the server (one thread). A second worker can\n\
             only have what the other two leave; `at most` is the ratio with which both cores would be busy all the time, by what a message\n\
             costs gateway, clients and server together. How it scales over more cores, this machine cannot tell.\n\n"
        }
        Topic::Hostile => {
            "A thousand sessions send a message of 125 bytes a second each, evenly spread, and it counts from when a message was due. They\n\
             are measured alone and then, still the same, beside one session that takes what it can; `no proxy` has the hostile session and\n\
             the quiet ones on servers of their own, and shows what clients and servers do to each other on their core. No message of a quiet\n\
             session is lost in any of it: that would be told below.\n\n"
        }
        _ => "",
    }
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
           on core {load_core}. All proxies have started, and all but the one whose turn it is are stopped. In each round each has its\n  \
           turn with each workload for {window_ms} ms ({HUGE_WINDOWS} times that for messages of 1 MiB, {QUIET_WINDOWS} times beside hostile sessions),\n  \
           after a third of that as a warm-up; the order changes from round to round. Workers are part of every second round, many\n  \
           sessions and messages in one direction of every third, hostile sessions of every fourth, memory of every fifth.\n\
         - A message is one round trip: a masked frame from the client through the proxy to the server, and a bare one back. The\n  \
           proxy has relayed two frames by then. There are {sessions} sessions, each with one message in flight if nothing else is said.\n  \
           The first messages of each session are compared byte for byte.\n\
         - CPU time is what all threads of the proxy's processes spent on a core (`schedstat`), in their own code and in the\n  \
           kernel's. Most of it is the kernel's work for TCP.\n\
         - A handshake is the connection, TLS if any, the upgrade, a Close each way and the end. Its latency is that up to the `101`.\n\
         - TLS is 1.3 with X25519 and a certificate with P-256. Each handshake is a full one, or each a resumed one, by a ticket\n  \
           of the one before.\n\
         - A hostile session is a process that has what time of its core others leave (`SCHED_IDLE`), as has its server. Growth of\n  \
           memory is from the moment before it came to the highest peak (`VmHWM`).\n\
         - Memory is what the proxy's processes have more (`Pss`) with {idle} sessions that have said one message each, divided\n  \
           by their number, in {idle_rounds}; a proxy is started anew for each. What the kernel keeps for sockets is not in it.\n\
         - What one worker does is measured with one on a core of its own; only the second worker has both cores, and shares them.\n\
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
         `--quick` takes some minutes; `--only` and `--rounds` choose; `--sozu` and `--envoy` name programs that take part then; `cargo bench --bench peers -- --help` has the rest.\n\
         What the parts cost by themselves: `cargo bench --bench frame`, `route`, `limiter` and `metrics`; what a storm of\n\
         reconnects does: `cargo bench --bench storm`.\n",
        setting.command
    )
}
