//! All workloads, in the order of the tables.

use super::{Hostile, Kind, Load, Topic, Way, Workload};

const SIZES: [usize; 6] = [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];
const FEW_SIZES: [usize; 3] = [125, 1 << 10, 16 << 10];
const TLS_SIZES: [usize; 2] = [125, 16 << 10];
/// Sessions of which few talk.
const MANY: [usize; 3] = [64, 1000, 9500];

pub(crate) fn all() -> Vec<Workload> {
    let binary = SIZES.map(|size| messages(Kind::Binary, size, 1));
    let text = FEW_SIZES.map(|size| messages(Kind::Text, size, 1));
    let tls = TLS_SIZES.map(|size| over_tls(messages(Kind::Binary, size, 1), Topic::Tls));
    let mut all = Vec::from(binary);
    all.push(messages(Kind::Binary, 125, 16));
    all.extend(text);
    all.extend(one_way());
    all.extend(tls);
    all.push(over_tls(messages(Kind::Text, 16 << 10, 1), Topic::Tls));
    all.extend(handshakes());
    let idle = plain("idle", "idle session", Topic::Memory, Load::Idle);
    all.extend([idle.clone(), over_tls(idle, Topic::Memory)]);
    all.extend(MANY.map(many));
    all.extend(workers());
    all.extend(Hostile::all().map(|(name, title, hostile)| Workload {
        is_quick: hostile.is_quick(),
        ..plain(name, title, Topic::Hostile, Load::Beside(hostile))
    }));
    all
}

fn plain(name: &str, title: &str, topic: Topic, load: Load) -> Workload {
    Workload {
        name: name.to_owned(),
        title: title.to_owned(),
        topic,
        over_tls: false,
        load,
        is_quick: true,
    }
}

fn messages(kind: Kind, size: usize, in_flight: usize) -> Workload {
    let topic = match kind {
        Kind::Binary => Topic::Binary,
        Kind::Text => Topic::Text,
    };
    let (suffix, many) = match in_flight {
        1 => (String::new(), String::new()),
        _ => (format!("x{in_flight}"), format!(", {in_flight} in flight")),
    };
    let load = Load::Messages {
        kind,
        size,
        in_flight,
    };
    let name = format!("{}-{size}{suffix}", kind.word());
    plain(&name, &format!("{}{many}", bytes(size)), topic, load)
}

/// Text and binary, each way.
fn one_way() -> Vec<Workload> {
    let mut all = Vec::new();
    for (way, from) in [(Way::ToServer, "client"), (Way::ToClient, "server")] {
        for kind in [Kind::Binary, Kind::Text] {
            for size in FEW_SIZES {
                let name = format!("{}-{size}-from-{from}", kind.word());
                let title = format!("{}, {} from the {from}", kind.word(), bytes(size));
                let load = Load::OneWay { kind, size, way };
                all.push(Workload {
                    is_quick: size == 125,
                    ..plain(&name, &title, Topic::OneWay, load)
                });
            }
        }
    }
    all
}

fn handshakes() -> [Workload; 3] {
    let handshake = |name, title, resumed| {
        let load = Load::Handshakes { resumed };
        plain(name, title, Topic::Handshakes, load)
    };
    [
        handshake("handshake", "handshake", false),
        over_tls(
            handshake("handshake", "handshake", false),
            Topic::Handshakes,
        ),
        Workload {
            over_tls: true,
            ..handshake("handshake-resumed", "handshake over TLS, resumed", true)
        },
    ]
}

fn many(sessions: usize) -> Workload {
    let load = Load::Many { sessions };
    let name = format!("of-{sessions}");
    let title = format!("{sessions} sessions");
    plain(&name, &title, Topic::Many, load)
}

/// Messages that cost clients and server much less than the proxy.
fn workers() -> [Workload; 3] {
    [(125, 1), (125, 16), (16 << 10, 1)].map(|(size, in_flight)| {
        let workload = messages(Kind::Binary, size, in_flight);
        Workload {
            name: format!("workers-{}", workload.name),
            topic: Topic::Workers,
            ..workload
        }
    })
}

fn over_tls(workload: Workload, topic: Topic) -> Workload {
    let kind = match workload.topic {
        Topic::Text => "text, ",
        _ => "",
    };
    Workload {
        name: format!("{}-tls", workload.name),
        title: format!("{kind}{} over TLS", workload.title),
        topic,
        over_tls: true,
        ..workload
    }
}

fn bytes(count: usize) -> String {
    match count {
        0x10_0000.. => format!("{} MiB", count >> 20),
        0x400.. => format!("{} KiB", count >> 10),
        _ => format!("{count} B"),
    }
}
