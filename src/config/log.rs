//! `[log]`: what is logged and how it looks.

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level (`info`) or a filter as of `tracing_subscriber::EnvFilter` (`info,wsgate::relay=debug`).
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
    /// Whether access lines are written.
    pub access: bool,
}

/// `format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text; coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}
