//! `[log]`: what is logged and how it looks.

use super::kind::{boolean, choice, parsed};
use super::problem::Problem;
use super::section::section;
use tracing_subscriber::EnvFilter;

section! {
    /// What is logged, and how it looks. Everything goes to standard error.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Log at "`[log]`" {
        /// The least level that is logged: `"error"`, `"warn"`, `"info"`, `"debug"`, `"trace"` or
        /// `"off"`. Parts may have their own: `"info,wsgate::relay=debug"`.
        pub level: String = parsed("a level or a filter", ".", level), or("info");
        /// `"text"` is for reading, with colour on a terminal; `"json"` is one object a line.
        /// `"auto"` is text on a terminal and JSON elsewhere.
        pub format: LogFormat = choice(&[
            ("auto", LogFormat::Auto),
            ("text", LogFormat::Text),
            ("json", LogFormat::Json),
        ]), or("auto");
        /// Whether access lines are written: one when a session opens, one when it ends, one for
        /// each refusal.
        pub access: bool = boolean(), or(true);
    }
    example r#"[log]
level = "info,wsgate::upstream=debug"
format = "json"
"#
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

/// A filter takes any bare word for the name of a module, `"inof"` too, so bare words are checked.
fn level(text: &str) -> Result<String, Problem> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let mut parts = text.split(',').map(str::trim);
    let is_level = |part: &str| LEVELS.contains(&part.to_lowercase().as_str());
    if let Some(part) = parts.find(|part| !part.contains(['=', '[', ':']) && !is_level(part)) {
        return Err(
            Problem::new(format!("`{part}` is not a level")).suggest(part, &LEVELS, "levels")
        );
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Problem::new(format!("not a filter: {error}"))
            .help("write a level, or parts with their own: `\"info,wsgate::relay=debug\"`")),
    }
}
