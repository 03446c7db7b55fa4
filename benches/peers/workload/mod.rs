//! What the proxies are loaded with.

mod hostile;
mod list;

pub(crate) use crate::rig::message::Kind;
pub(crate) use hostile::Hostile;
pub(crate) use list::all;

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
    /// Part of a quick run.
    pub(crate) is_quick: bool,
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
    /// As many messages as there is room for, and none comes back.
    OneWay { kind: Kind, size: usize, way: Way },
    /// Connects, shakes hands, says Close and comes again.
    Handshakes { resumed: bool },
    /// Says one message and then nothing.
    Idle,
    /// Of so many sessions one in a hundred has a message on its way, at least as many as usually.
    Many { sessions: usize },
    /// Many quiet sessions, first alone and then beside a hostile one.
    Beside(Hostile),
}

/// Whence a message comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// From the client, masked.
    ToServer,
    /// From the server, bare.
    ToClient,
}

/// What is told together: a table, and a chart for most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Binary,
    Text,
    OneWay,
    Tls,
    Handshakes,
    Memory,
    Many,
    Workers,
    Hostile,
}

impl Topic {
    pub(crate) const ALL: [Self; 9] = [
        Self::Binary,
        Self::Text,
        Self::OneWay,
        Self::Tls,
        Self::Handshakes,
        Self::Memory,
        Self::Many,
        Self::Workers,
        Self::Hostile,
    ];

    /// It is part of one round in so many: what takes long, or hardly differs.
    pub(crate) fn every(self) -> usize {
        match self {
            Self::Binary | Self::Text | Self::Tls | Self::Handshakes => 1,
            Self::Workers => 2,
            Self::OneWay | Self::Many => 3,
            Self::Hostile => 4,
            Self::Memory => 5,
        }
    }

    /// Who takes part.
    pub(crate) fn field(self) -> Field {
        match self {
            Self::Many => Field::Few,
            Self::Hostile => Field::FewAndNone,
            Self::Workers => Field::Workers,
            _ => Field::All,
        }
    }
}

/// Who is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    All,
    /// wsgate and those that most people have.
    Few,
    /// The same, and no proxy at all: clients go straight to the servers, which tells what part of a
    /// latency is not the proxies'.
    FewAndNone,
    /// wsgate with one worker and with two, on all cores that there are.
    Workers,
}
