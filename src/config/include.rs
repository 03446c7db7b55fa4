//! `include`: which other files are read.

use super::kind::plainly;
use super::problem::{Log, Problem};
use super::reader::{At, File};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that `patterns` of the file `main` name, each once, in order.
pub(super) fn files(patterns: &[At<String>], main: &Arc<File>, log: &Log) -> Vec<Arc<File>> {
    let mut files: Vec<Arc<File>> = Vec::new();
    for pattern in patterns {
        let report = |problem: Problem| log.add(problem.at(&pattern.place));
        let paths = match paths(&main.folder().join(&pattern.value)) {
            Ok(paths) => paths,
            Err(problem) => {
                report(problem);
                continue;
            }
        };
        for path in paths {
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            match read(path, main, files.len() + 1) {
                Ok(file) => files.push(Arc::new(file)),
                Err(problem) => report(problem),
            }
        }
    }
    files
}

fn read(path: PathBuf, main: &File, number: usize) -> Result<File, Problem> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    if real(&path).is_some_and(|path| Some(path) == real(&main.path)) {
        return Err(Problem::new("this file would include itself")
            .help("keep included files in a folder of their own: `\"routes.d/*.toml\"`"));
    }
    match fs::read_to_string(&path) {
        Ok(text) => Ok(File { number, path, text }),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// The files that a path or a pattern stands for. A pattern may stand for none.
fn paths(pattern: &Path) -> Result<Vec<PathBuf>, Problem> {
    let is_pattern = |text: &str| text.contains(['*', '?']);
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let folder = pattern.parent().unwrap_or_else(|| Path::new(""));
    if is_pattern(&folder.to_string_lossy()) {
        return Err(Problem::new("a pattern in the name of a folder")
            .help("`*` and `?` may stand in the name of the file only: `\"routes.d/*.toml\"`"));
    }
    if !is_pattern(&name) {
        return Ok(vec![pattern.to_owned()]);
    }
    let listed = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = fs::read_dir(listed).map_err(|error| unreadable(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|entry| matches(&name, entry) && !entry.starts_with('.'))
        .map(|entry| folder.join(entry))
        .collect();
    paths.sort();
    Ok(paths)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(format!(
        "can't read `{}`: {}",
        path.display(),
        plainly(error)
    ))
}

/// Whether `name` fits `pattern`, in which `*` stands for any characters and `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = name.chars();
    let mut parts = pattern.chars();
    match parts.next() {
        None => name.is_empty(),
        Some('*') => {
            let behind = parts.as_str();
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|at| matches(behind, &name[at..]))
        }
        Some('?') => rest.next().is_some() && matches(parts.as_str(), rest.as_str()),
        Some(char) => rest.next() == Some(char) && matches(parts.as_str(), rest.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let check = |pattern, name, expected| {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        };
        check("*.toml", "a.toml", true);
        check("*.toml", ".toml", true);
        check("*.toml", "a.toml.bak", false);
        check("a?.toml", "ab.toml", true);
        check("a?.toml", "a.toml", false);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b*", "xxbxxaxx", false);
        check("é?", "éü", true);
        check("*", "", true);
    }
}
