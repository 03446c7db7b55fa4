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
