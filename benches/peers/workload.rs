//! What the proxies are loaded with.

use serde::{Deserialize, Serialize};

/// One row of the tables.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// In results and on the command line.
    pub(crate) name: String,
    /// In tables and charts.
    pub(crate) title: String,
    pub(crate) topic: Topic,
    pub(crate) over_tls: bool,
    pub(crate) load: Load,
    /// Not part of a quick run.
    pub(crate) is_long: bool,
}

/// What clients do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Load {
    /// Each session has so many messages on their way, and sends one for each that comes back.
    Messages {
        kind: Kind,
        size: usize,
        in_flight: usize,
    },
    /// Connects, shakes hands, says Close and comes again.
    Handshakes,
    /// Says one message and then nothing.
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Binary,
    /// Letters of one to four bytes.
    Text,
}

/// What is told together: a table and a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Binary,
    Text,
    Tls,
    Handshakes,
    Memory,
}

impl Topic {
    pub(crate) const ALL: [Self; 5] = [
        Self::Binary,
        Self::Text,
        Self::Tls,
        Self::Handshakes,
        Self::Memory,
    ];
}

const SIZES: [usize; 6] = [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];
/// Text of these is part of a quick run.
const QUICK_TEXT: [usize; 2] = [125, 16 << 10];

/// All of them, in the order of the tables.
pub(crate) fn all() -> Vec<Workload> {
    let mut all: Vec<Workload> = SIZES
        .iter()
        .map(|size| messages(Kind::Binary, *size, 1))
        .collect();
    all.push(messages(Kind::Binary, 125, 16));
    all.extend(SIZES.iter().map(|size| messages(Kind::Text, *size, 1)));
    all.extend([125, 16 << 10].map(|size| over_tls(messages(Kind::Binary, size, 1), Topic::Tls)));
    let handshake = plain(
        "handshake",
        "handshake",
        Topic::Handshakes,
        Load::Handshakes,
    );
    let idle = plain("idle", "idle session", Topic::Memory, Load::Idle);
    for workload in [handshake, idle] {
        let topic = workload.topic;
        all.extend([workload.clone(), over_tls(workload, topic)]);
    }
    all
}

fn plain(name: &str, title: &str, topic: Topic, load: Load) -> Workload {
    Workload {
        name: name.to_owned(),
        title: title.to_owned(),
        topic,
        over_tls: false,
        load,
        is_long: false,
    }
}

fn messages(kind: Kind, size: usize, in_flight: usize) -> Workload {
    let (word, topic) = match kind {
        Kind::Binary => ("binary", Topic::Binary),
        Kind::Text => ("text", Topic::Text),
    };
    let many = match in_flight {
        1 => String::new(),
        _ => format!(", {in_flight} in flight"),
    };
    let suffix = match in_flight {
        1 => String::new(),
        _ => format!("x{in_flight}"),
    };
    let load = Load::Messages {
        kind,
        size,
        in_flight,
    };
    Workload {
        is_long: kind == Kind::Text && !QUICK_TEXT.contains(&size),
        ..plain(
            &format!("{word}-{size}{suffix}"),
            &format!("{}{many}", bytes(size)),
            topic,
            load,
        )
    }
}

fn over_tls(workload: Workload, topic: Topic) -> Workload {
    Workload {
        name: format!("{}-tls", workload.name),
        title: format!("{} over TLS", workload.title),
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
