//! Every configuration that ships loads, every broken one is reported as written, and what is said
//! of the configuration elsewhere is what the code says.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use wsgate::config;

const SHIPPED: [&str; 4] = ["config", "config/examples", "docker", "tests/config/valid"];

#[test]
fn shipped_files_load() {
    for folder in SHIPPED {
        for path in toml_files(folder) {
            if let Err(problems) = config::load(&path) {
                panic!("{problems}");
            }
        }
    }
}

/// Each `.toml` in `tests/config/invalid` fails with exactly the text of the `.problem` beside it.
/// With `BLESS=1` in the environment the texts are written instead; read what changed.
#[test]
fn broken_files_are_reported_as_written() {
    let mut differing = Vec::new();
    for path in toml_files("tests/config/invalid") {
        let found = problems_of(&path);
        let expected_at = path.with_extension("problem");
        if blesses() {
            fs::write(&expected_at, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected_at).unwrap_or_default();
        if found != expected {
            differing.push(format!("--- {}\n{found}", path.display()));
        }
    }
    assert!(differing.is_empty(), "found:\n{}", differing.join("\n"));
}

/// Whether what is generated is to be written instead of compared.
fn blesses() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// As drawn, without the folder that the repository happens to be in.
fn problems_of(path: &Path) -> String {
    match config::load(path) {
        Ok(_) => "none".to_owned(),
        Err(problems) => {
            let folder = format!("{}/", path.parent().unwrap().display());
            problems.render(false).replace(&folder, "")
        }
    }
}

#[test]
fn the_reference_is_fresh() {
    if blesses() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        fs::write(file, config::reference()).unwrap();
    }
    let written = read("docs/configuration.md");
    assert!(
        written == config::reference(),
        "docs/configuration.md is stale; write it anew:\n    cargo run -- schema --markdown > docs/configuration.md"
    );
}

#[test]
fn examples_in_the_reference_are_right() {
    assert!(check_examples(&config::reference()) > 10);
}

#[test]
fn examples_in_the_pages_are_right() {
    assert!(check_examples(&read("README.md")) > 6);
    assert!(check_examples(&read("docs/auth/README.md")) > 0);
    assert!(check_examples(&read("docs/auth/anonymous.md")) > 0);
    assert!(check_examples(&read("docs/auth/api_key.md")) > 1);
    assert!(check_examples(&read("docs/auth/basic.md")) > 1);
    assert!(check_examples(&read("docs/auth/client_cert.md")) > 0);
    assert!(check_examples(&read("docs/auth/forward_auth.md")) > 0);
    assert!(check_examples(&read("docs/auth/jwt.md")) > 1);
    assert!(check_examples(&read("docs/auth/ticket.md")) > 1);
    assert!(check_examples(&read("docs/docker.md")) > 2);
    assert!(check_examples(&read("docs/load-balancers.md")) > 4);
    assert!(check_examples(&read("docs/metrics.md")) > 0);
    assert!(check_examples(&read("docs/socket-io.md")) > 0);
}

/// Examples are pieces: something may be missing in them, but nothing may be wrong. How many there were.
fn check_examples(page: &str) -> usize {
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    for example in &examples {
        let Err(problems) = config::parse(example, Path::new("example.toml")) else {
            continue;
        };
        let is_missing = |title: &str| title.contains("is missing") || title.contains("can't read");
        assert!(problems.titles().all(is_missing), "{problems}");
    }
    examples.len()
}

#[test]
fn the_schema_accepts_what_loads() {
    let schema = config::schema();
    for folder in SHIPPED {
        for path in toml_files(folder) {
            let file = file_as_json(&path);
            if let Err(refusal) = accepts(&schema, &file) {
                panic!("{}: {refusal}", path.display());
            }
        }
    }
}

#[test]
fn the_schema_refuses_what_does_not_load() {
    let schema = config::schema();
    let listeners = json!([{ "address": "127.0.0.1:0" }]);
    let route = |key: &str, value: Value| {
        let mut route = json!({ "upstream": "ws://localhost" });
        route[key] = value;
        json!({ "listeners": listeners, "routes": [route] })
    };
    assert_eq!(accepts(&schema, &route("path", json!("/a"))), Ok(()));
    for (key, value) in [
        ("pth", json!("/a")),
        ("path", json!(1)),
        ("path", json!("a")),
        ("path", json!([])),
        ("compression", json!("on")),
        ("compression", json!(true)),
        ("require_origin", json!("yes")),
        ("limits", json!({ "max_message_size": "1X" })),
        ("limits", json!({ "max_message_size": 0 })),
        ("limits", json!({ "handshake_rate": "5/s" })),
        ("limits", json!({ "handshake_rate": { "burst": 5 } })),
        ("limits", json!({ "byte_rate": [{ "rate": "1MiB" }] })),
        ("timeouts", json!({ "idle": "soon" })),
        ("upstream", json!(null)),
    ] {
        assert!(
            accepts(&schema, &route(key, value.clone())).is_err(),
            "{key} = {value}"
        );
    }
    let nameless = json!({ "listeners": [{}] });
    assert!(accepts(&schema, &nameless).is_err());
}

/// Whoever adds a key adds it to `everything.toml`, and so to the tests above.
#[test]
fn everything_has_every_key() {
    let file = file_as_json(&root("tests/config/valid/everything.toml"));
    let mut absent = Vec::new();
    find_absent(&config::schema(), &[&file], "", &mut absent);
    assert!(absent.is_empty(), "not in everything.toml: {absent:?}");
}

/// Collects the keys of `schema` that none of `values` has.
fn find_absent(schema: &Value, values: &[&Value], at: &str, absent: &mut Vec<String>) {
    // Where one or a list of them may stand, either will do.
    let values: Vec<&Value> = values
        .iter()
        .flat_map(|value| match value.as_array() {
            Some(items) => items.iter().collect(),
            None => vec![*value],
        })
        .collect();
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        find_absent(alternative, &values, at, absent);
    }
    if schema.get("items").is_some() {
        find_absent(&schema["items"], &values, at, absent);
    }
    let tables: Vec<&Map<String, Value>> = values
        .iter()
        .filter_map(|value| value.as_object())
        .collect();
    if schema["additionalProperties"].is_object() {
        let named: Vec<&Value> = tables.iter().flat_map(|table| table.values()).collect();
        find_absent(&schema["additionalProperties"], &named, at, absent);
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        let values: Vec<&Value> = tables.iter().filter_map(|table| table.get(key)).collect();
        if values.is_empty() {
            absent.push(at.clone());
        }
        find_absent(inner, &values, &at, absent);
    }
}

/// As much of JSON Schema as the schema uses.
fn accepts(schema: &Value, value: &Value) -> Result<(), String> {
    let refusal = |why: &str| Err(format!("{value} {why} of {schema}"));
    if let Some(alternatives) = schema["anyOf"].as_array() {
        return match alternatives.iter().any(|one| accepts(one, value).is_ok()) {
            true => Ok(()),
            false => refusal("is none"),
        };
    }
    if let Some(only) = schema.get("const") {
        return if only == value {
            Ok(())
        } else {
            refusal("is not the constant")
        };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) {
            Ok(())
        } else {
            refusal("is not a word")
        };
    }
    match (schema["type"].as_str(), value) {
        (Some("string"), Value::String(text)) => match schema["pattern"].as_str() {
            Some(pattern) if !regex::Regex::new(pattern).unwrap().is_match(text) => {
                refusal("is not the pattern")
            }
            _ => Ok(()),
        },
        (Some("integer"), Value::Number(number)) => {
            let least = schema["minimum"].as_u64().unwrap_or(0);
            let most = schema["maximum"].as_u64().unwrap_or(u64::MAX);
            let is_in = number
                .as_u64()
                .is_some_and(|number| (least..=most).contains(&number));
            if is_in {
                Ok(())
            } else {
                refusal("is out of the range")
            }
        }
        (Some("boolean"), Value::Bool(_)) => Ok(()),
        (Some("array"), Value::Array(items)) => {
            if (items.len() as u64) < schema["minItems"].as_u64().unwrap_or(0) {
                return refusal("is too short");
            }
            items
                .iter()
                .try_for_each(|item| accepts(&schema["items"], item))
        }
        (Some("object"), Value::Object(entries)) => accepts_table(schema, entries),
        _ => refusal("is not the type"),
    }
}

fn accepts_table(schema: &Value, entries: &Map<String, Value>) -> Result<(), String> {
    for required in schema["required"].as_array().into_iter().flatten() {
        if !required
            .as_str()
            .is_some_and(|key| entries.contains_key(key))
        {
            return Err(format!("{required} is missing in {entries:?}"));
        }
    }
    for (key, value) in entries {
        match schema["properties"].get(key) {
            Some(inner) => accepts(inner, value)?,
            None if schema["additionalProperties"] == json!(false) => {
                return Err(format!("`{key}` is unknown"));
            }
            None => accepts(&schema["additionalProperties"], value)?,
        }
    }
    Ok(())
}

fn file_as_json(path: &Path) -> Value {
    let file: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
    serde_json::to_value(file).unwrap()
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let folder = root(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    assert!(!paths.is_empty(), "no files in {folder:?}");
    paths
}
