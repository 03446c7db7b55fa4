//! Imports go one way. A new arrow is a design change: it edits this table and ARCHITECTURE.md in
//! one commit, with its reason.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with every module of ours that it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("causes", &[]),
    ("config", &[]),
    ("frame", &[]),
    ("http", &[]),
    ("net", &[]),
    ("follow", &[]),
    ("tls", &["config", "net", "follow"]),
    ("route", &["config"]),
    ("fetch", &["config", "http", "net", "tls"]),
    (
        "admission",
        &["causes", "config", "http", "follow", "tls", "fetch"],
    ),
    ("upstream", &["causes", "config", "http", "net", "tls"]),
    ("relay", &["frame", "net"]),
    ("session", &["relay"]),
    ("telemetry", &["config", "net", "relay", "session"]),
    (
        "gateway",
        &[
            "causes",
            "config",
            "http",
            "net",
            "tls",
            "route",
            "admission",
            "upstream",
            "relay",
            "session",
            "telemetry",
        ],
    ),
    ("admin", &["config", "net", "telemetry", "gateway"]),
    (
        "lifecycle",
        &["config", "net", "telemetry", "gateway", "admin"],
    ),
    (
        "cli",
        &[
            "causes",
            "config",
            "tls",
            "admission",
            "telemetry",
            "gateway",
            "admin",
            "lifecycle",
        ],
    ),
];

/// Names that say where code was put, not what it is.
const EMPTY_NAMES: &[&str] = &[
    "common", "core", "helper", "helpers", "manager", "misc", "types", "util", "utils",
];

/// Who may ask for the time of day: what is valid until a date, and metrics that are one. Everything else
/// measures by a clock that nobody can set, so that a jump ends no session, and keeps none.
const WALL_CLOCK: &[&str] = &[
    "admission/auth/jwt/",
    "tls/",
    "telemetry/metrics/",
    "admission/auth/ticket/",
];

#[test]
fn nothing_but_dates_depends_on_the_time_of_day() {
    let mut wrong = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(root()).unwrap();
        let path = path.to_string_lossy();
        let is_allowed = WALL_CLOCK.iter().any(|allowed| path.starts_with(allowed));
        let asks = ["SystemTime", "UnixTime", "chrono::", "OffsetDateTime"];
        if !is_allowed && asks.iter().any(|name| text.contains(name)) {
            wrong.push(file.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(module) = module_of(&file) else {
            continue;
        };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!(
                "{}: module `{module}` has no layer",
                file.display()
            ));
            continue;
        };
        for imported in imports(&fs::read_to_string(&file).unwrap()) {
            if imported != module && !allowed.contains(&imported.as_str()) {
                wrong.push(format!(
                    "{}: `{module}` must not import `{imported}`",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_layer_exists() {
    let present: BTreeSet<_> = sources()
        .iter()
        .filter_map(|file| module_of(file))
        .collect();
    for (layer, _) in LAYERS {
        assert!(
            present.contains(*layer),
            "`{layer}` is in the table and not in src/"
        );
    }
}

#[test]
fn files_are_named_by_what_they_own() {
    for file in sources() {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        assert!(
            !EMPTY_NAMES.contains(&stem),
            "{}: what does it own?",
            file.display()
        );
    }
}

/// `crate::name` anywhere in the code, tests included; comments and doc links do not count.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in code {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            if !name.is_empty() {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// `src/relay/heartbeat.rs` and `src/follow.rs` belong to `relay` and `follow`; `lib.rs` and
/// `main.rs` to none.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root()).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib" && name != "main").then(|| name.to_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<PathBuf> {
    let mut folders = vec![root()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
