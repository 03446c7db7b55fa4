//! Every configuration that ships loads, every broken one is reported as written, and what is said
//! of the configuration elsewhere is what the code says.

use std::fs;
use std::path::{Path, PathBuf};
use wsgate::config;

#[test]
fn shipped_files_load() {
    for folder in ["config", "config/examples", "tests/config/valid"] {
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
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected_at, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected_at).unwrap_or_default();
        if found != expected {
            differing.push(format!("--- {}\n{found}", path.display()));
        }
    }
    assert!(differing.is_empty(), "found:\n{}", differing.join("\n"));
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

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
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
