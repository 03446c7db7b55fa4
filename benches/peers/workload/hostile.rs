//! Sessions that want all of a proxy, each in its own way. Their server is another one than that of the
//! quiet sessions, so that what is measured beside them is the proxy.

use crate::rig::flow::Flow;
use crate::rig::message::Kind;
use crate::rig::server::{DEAF, DISCARD};
use serde::{Deserialize, Serialize};

/// What the client and the server of one session do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hostile {
    /// From the client; it sends as fast as it can.
    pub(crate) sends: Option<Flow>,
    /// Whether the client ever reads.
    pub(crate) reads: bool,
    server: Part,
    /// Where the proxy has a limit of messages, whether it is off.
    is_unlimited: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    Echoes,
    Discards,
    NeverReads,
    Sends(Flow),
}

/// The name, the title and what it is.
type Entry = (&'static str, &'static str, Hostile);

const BULK: Flow = Flow::Messages(Kind::Binary, 16 << 10);

impl Hostile {
    /// All of them.
    pub(crate) fn all() -> [Entry; 11] {
        [
            (
                "bulk",
                "messages of 16 KiB as fast as they go, and all are read",
                Self::client(BULK, Part::Discards),
            ),
            (
                "deaf-client",
                "the server sends without end, the client never reads",
                Self {
                    reads: false,
                    ..Self::server(BULK)
                },
            ),
            (
                "deaf-server",
                "the client sends without end, the server never reads",
                Self::client(BULK, Part::NeverReads),
            ),
            (
                "empty-from-client",
                "empty messages from the client",
                Self::client(Flow::Empty, Part::Discards),
            ),
            (
                "empty-from-server",
                "empty messages from the server",
                Self::server(Flow::Empty),
            ),
            (
                "endless",
                "a frame of 2^62 bytes, limit off",
                Self::client(Flow::Endless, Part::Discards).unlimited(),
            ),
            (
                "endless-refused",
                "a frame of 2^62 bytes, and again when it is refused",
                Self::client(Flow::Endless, Part::Discards),
            ),
            (
                "fragments",
                "one message in fragments of one byte, limit off",
                Self::client(Flow::Fragments, Part::Discards).unlimited(),
            ),
            (
                "pings",
                "pings from the client, which reads the pongs",
                Self {
                    reads: true,
                    ..Self::client(Flow::Pings, Part::Echoes)
                },
            ),
            (
                "pings-unread",
                "pings from the client, which never reads",
                Self::client(Flow::Pings, Part::Echoes),
            ),
            (
                "pings-from-server",
                "pings from the server, and no pong",
                Self::server(Flow::Pings),
            ),
        ]
    }

    const fn client(flow: Flow, server: Part) -> Self {
        Self {
            sends: Some(flow),
            reads: false,
            server,
            is_unlimited: false,
        }
    }

    const fn server(flow: Flow) -> Self {
        Self {
            sends: None,
            reads: true,
            server: Part::Sends(flow),
            is_unlimited: false,
        }
    }

    const fn unlimited(self) -> Self {
        Self {
            is_unlimited: true,
            ..self
        }
    }

    /// The path that leads to its server through each proxy, and tells the server what to do.
    pub(crate) fn path(self) -> String {
        let folder = if self.is_unlimited {
            "/hostile/unlimited"
        } else {
            "/hostile"
        };
        match self.server {
            Part::Echoes => format!("{folder}/"),
            Part::Discards => format!("{folder}/{DISCARD}"),
            Part::NeverReads => format!("{folder}/{DEAF}"),
            Part::Sends(flow) => format!("{folder}/{flow}"),
        }
    }

    /// One of each sort is enough to see whether all is well.
    pub(super) fn is_quick(self) -> bool {
        self.reads || self.is_unlimited
    }
}
