//! The name of every metric, its type, its labels and its meaning: the one place that says it, for
//! the page and for `docs/metrics.md`.

use std::fmt::Write;

/// Series of one name.
#[derive(Debug)]
pub(super) struct Family {
    /// As on the page; a counter's ends in `_total`, and what has a unit says so before that.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    /// What it means, as one sentence without a full stop.
    pub(super) help: &'static str,
    /// Of a histogram.
    pub(super) bounds: &'static [f64],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family {
        name,
        kind: Kind::Counter,
        labels,
        help,
        bounds: &[],
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family {
        name,
        kind: Kind::Gauge,
        labels,
        help,
        bounds: &[],
    }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    bounds: &'static [f64],
) -> Family {
    Family {
        name,
        kind: Kind::Histogram,
        labels,
        help,
        bounds,
    }
}

pub(super) static BUILD: Family = gauge(
    "wsgate_build_info",
    &["version"],
    "1, with the version of the program as a label",
);
pub(super) static CONFIGURED: Family = gauge(
    "wsgate_config_entries",
    &["section"],
    "Entries of the configuration in service, by section",
);
pub(super) static CONFIG_LOADED: Family = gauge(
    "wsgate_config_loaded_timestamp_seconds",
    &[],
    "When the configuration in service was loaded, in seconds since 1970",
);
pub(super) static EXPIRY: Family = gauge(
    "wsgate_certificate_not_after_timestamp_seconds",
    &["file"],
    "When the first of the certificates or revocation lists in a file ends, in seconds since 1970",
);
pub(super) static READY: Family = gauge(
    "wsgate_ready",
    &[],
    "1 as long as new clients are welcome, 0 from the signal to stop on",
);
pub(super) static WORKERS: Family = gauge("wsgate_workers", &[], "Threads that carry connections");
pub(super) static CONNECTIONS: Family = gauge(
    "wsgate_connections",
    &[],
    "Client connections that are open, sessions among them",
);
pub(super) static CONNECTIONS_LIMIT: Family = gauge(
    "wsgate_connections_limit",
    &[],
    "The most client connections at a time, as configured",
);
pub(super) static ACCEPTED: Family = counter(
    "wsgate_connections_accepted_total",
    &["listener"],
    "Client connections that were accepted",
);
pub(super) static ACCEPT_ERRORS: Family = counter(
    "wsgate_accept_errors_total",
    &["listener", "reason"],
    "Failures to accept: no more open files or memory (exhausted, once each time it begins), the client gone already (connection), the listener unusable (listener)",
);
pub(super) static TLS_FAILURES: Family = counter(
    "wsgate_tls_handshake_failures_total",
    &["listener", "reason"],
    "TLS handshakes with clients that came to nothing",
);
pub(super) static PROXY_FAILURES: Family = counter(
    "wsgate_proxy_protocol_failures_total",
    &["listener", "reason"],
    "Connections that ended in the PROXY protocol header",
);
pub(super) static HANDSHAKES: Family = counter(
    "wsgate_handshakes_total",
    &["listener", "route", "outcome", "reason"],
    "WebSocket handshakes: opened (101), refused (below 500) or failed (500 and above), with the reason as in the access log; what never became a request counts too, and has no route",
);
pub(super) static HANDSHAKE_TIME: Family = histogram(
    "wsgate_handshake_duration_seconds",
    &["route"],
    "From the head of a handshake to its 101, the upstream's handshake included",
    &[
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ],
);
pub(super) static REQUESTS: Family = counter(
    "wsgate_http_requests_total",
    &["listener", "route", "status", "reason"],
    "Ordinary requests by the class of the answer's status, with the reason as in the access log",
);
pub(super) static SESSIONS: Family = gauge("wsgate_sessions", &["route"], "Sessions that are live");
pub(super) static SESSIONS_ENDED: Family = counter(
    "wsgate_sessions_ended_total",
    &["route", "ended_by", "reason", "code"],
    "Sessions that ended, by whose doing, why, and with which close code: what the side said that closed, else what the gateway told the client",
);
pub(super) static SESSION_LENGTH: Family = histogram(
    "wsgate_session_duration_seconds",
    &["route"],
    "From the 101 to the end of a session",
    &[
        1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 604_800.0,
    ],
);
pub(super) static FRAMES: Family = counter(
    "wsgate_frames_total",
    &["route", "direction"],
    "Frames that were sent on, control frames included",
);
pub(super) static MESSAGES: Family = counter(
    "wsgate_messages_total",
    &["route", "direction"],
    "Messages that were sent on whole",
);
pub(super) static PAYLOAD: Family = counter(
    "wsgate_payload_bytes_total",
    &["route", "direction"],
    "Bytes of payload that were sent on",
);
pub(super) static THROTTLED: Family = counter(
    "wsgate_throttled_seconds_total",
    &["route", "direction"],
    "How long sessions waited, in sum, because a limit of rate was reached",
);
pub(super) static BLOCKED: Family = counter(
    "wsgate_blocked_seconds_total",
    &["route", "direction"],
    "How long sessions waited, in sum, because the receiver took nothing; counted when it takes something again",
);
pub(super) static ENDPOINTS: Family = gauge(
    "wsgate_upstream_endpoints",
    &["upstream"],
    "Endpoints that take new sessions",
);
pub(super) static UPSTREAM_SESSIONS: Family = gauge(
    "wsgate_upstream_sessions",
    &["upstream"],
    "Handshakes, requests and sessions on the endpoints that take new ones",
);
pub(super) static UPSTREAM_FAILURES: Family = counter(
    "wsgate_upstream_failures_total",
    &["upstream", "reason"],
    "Attempts to get an answer from an endpoint that failed, those included after which another was asked, and handshakes that the upstream refused",
);
pub(super) static CPU: Family = counter(
    "process_cpu_seconds_total",
    &[],
    "Processor time that the process has used",
);
pub(super) static STARTED: Family = gauge(
    "process_start_time_seconds",
    &[],
    "When the process began to serve, in seconds since 1970",
);
pub(super) static RESIDENT: Family = gauge(
    "process_resident_memory_bytes",
    &[],
    "Memory of the process that is in RAM",
);
pub(super) static VIRTUAL: Family = gauge(
    "process_virtual_memory_bytes",
    &[],
    "Address space of the process",
);
pub(super) static OPEN_FILES: Family =
    gauge("process_open_fds", &[], "Open files, sockets among them");
pub(super) static OPEN_FILES_LIMIT: Family = gauge(
    "process_max_fds",
    &[],
    "The most open files at a time; each session takes two",
);

/// In the order of the page.
pub(super) static ALL: &[&Family] = &[
    &BUILD,
    &CONFIGURED,
    &CONFIG_LOADED,
    &EXPIRY,
    &READY,
    &WORKERS,
    &CONNECTIONS,
    &CONNECTIONS_LIMIT,
    &ACCEPTED,
    &ACCEPT_ERRORS,
    &TLS_FAILURES,
    &PROXY_FAILURES,
    &HANDSHAKES,
    &HANDSHAKE_TIME,
    &REQUESTS,
    &SESSIONS,
    &SESSIONS_ENDED,
    &SESSION_LENGTH,
    &FRAMES,
    &MESSAGES,
    &PAYLOAD,
    &THROTTLED,
    &BLOCKED,
    &ENDPOINTS,
    &UPSTREAM_SESSIONS,
    &UPSTREAM_FAILURES,
    &CPU,
    &STARTED,
    &RESIDENT,
    &VIRTUAL,
    &OPEN_FILES,
    &OPEN_FILES_LIMIT,
];

impl Family {
    /// The name without what the unit and the type add to it, and the unit.
    pub(super) fn stem(&self) -> (&'static str, Option<&'static str>) {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        for unit in ["seconds", "bytes"] {
            let stem = name
                .strip_suffix(unit)
                .and_then(|rest| rest.strip_suffix('_'));
            if let Some(stem) = stem {
                return (stem, Some(unit));
            }
        }
        (name, None)
    }
}

impl Kind {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The table of all metrics, in Markdown, for `docs/metrics.md`.
pub fn reference() -> String {
    let mut table =
        String::from("| metric | type | labels | unit | meaning |\n|---|---|---|---|---|\n");
    for family in ALL {
        let labels: Vec<_> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} |",
            family.name,
            family.kind.label(),
            labels.join(", "),
            family.stem().1.unwrap_or(""),
            family.help
        );
    }
    table
}
