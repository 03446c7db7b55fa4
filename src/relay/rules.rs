//! What a route asks of its sessions.

use super::limit::Limit;
use std::time::Duration;

/// The rules of one route; shared by all its sessions. An absent value is no limit.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The most bytes that a message may have, as the sum of its fragments.
    pub max_message_size: Option<u64>,
    /// Whether text messages must be UTF-8.
    pub validate_utf8: bool,
    /// A leg is pinged after so long without a byte from it, give or take a tenth.
    pub ping_interval: Option<Duration>,
    /// How long a pinged leg that could answer may stay silent.
    pub pong_timeout: Duration,
    /// How long no data frame may pass either way.
    pub idle: Option<Duration>,
    /// How long a session may last, give or take a tenth.
    pub max_duration: Option<Duration>,
    /// A leg that takes no byte for so long, though there is something to write, is lost.
    pub write: Option<Duration>,
    /// From the first Close to the end of both connections.
    pub close: Duration,
    /// How much may pass.
    pub limits: Vec<Limit>,
}
