//! Which configuration file is meant.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where a file is looked for when none is named.
const PLACES: [&str; 3] = [
    "wsgate.toml",
    "config/wsgate.toml",
    "/etc/wsgate/wsgate.toml",
];

/// Names the file for those who start the program.
const VARIABLE: &str = "WSGATE_CONFIG";

/// There is no configuration file where one was looked for.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoFile {
    /// The named file is not there.
    #[error("there is no file `{}` (named by {by})", .path.display())]
    Named {
        /// As named.
        path: PathBuf,
        /// Who named it.
        by: &'static str,
    },
    /// None was named, and none is where they usually are.
    #[error("no configuration file was found; looked for {}", listed(.looked_for))]
    Anywhere {
        /// In this order.
        looked_for: Vec<PathBuf>,
    },
}

/// The configuration file: `argument` if there is one, else what `$WSGATE_CONFIG` says, else the
/// first that exists of `wsgate.toml`, `config/wsgate.toml` and `/etc/wsgate/wsgate.toml`.
pub fn find(argument: Option<&Path>) -> Result<PathBuf, NoFile> {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    find_in(argument, variable.as_ref().map(Path::new), Path::new(""))
}

fn find_in(
    argument: Option<&Path>,
    variable: Option<&Path>,
    folder: &Path,
) -> Result<PathBuf, NoFile> {
    if let Some(path) = argument {
        return named(path, "the command line");
    }
    if let Some(path) = variable {
        return named(path, "$WSGATE_CONFIG");
    }
    let looked_for = PLACES.map(|place| folder.join(place)).to_vec();
    match looked_for.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(NoFile::Anywhere { looked_for }),
    }
}

/// Anything that exists will do, a pipe too.
fn named(path: &Path, by: &'static str) -> Result<PathBuf, NoFile> {
    let path = path.to_owned();
    if path.exists() {
        return Ok(path);
    }
    Err(NoFile::Named { path, by })
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    paths.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_file_comes_before_the_usual_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let found = |argument: Option<&Path>, variable: Option<&Path>| {
            find_in(argument, variable, folder.path())
        };
        let in_config = file("config/wsgate.toml");
        assert_eq!(found(None, None), Ok(in_config));
        let here = file("wsgate.toml");
        assert_eq!(found(None, None), Ok(here));
        let by_variable = file("a.toml");
        assert_eq!(found(None, Some(&by_variable)), Ok(by_variable.clone()));
        let by_argument = file("b.toml");
        assert_eq!(
            found(Some(&by_argument), Some(&by_variable)),
            Ok(by_argument)
        );
    }

    #[test]
    fn a_named_file_that_is_missing_is_not_replaced_by_another() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("wsgate.toml"), "").unwrap();
        let missing = folder.path().join("none.toml");
        let error = find_in(None, Some(&missing), folder.path()).unwrap_err();
        let expected = format!(
            "there is no file `{}` (named by $WSGATE_CONFIG)",
            missing.display()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_error_lists_where_it_looked() {
        let folder = tempfile::tempdir().unwrap();
        let error = NoFile::Anywhere {
            looked_for: PLACES.map(PathBuf::from).to_vec(),
        };
        assert_eq!(
            error.to_string(),
            "no configuration file was found; looked for `wsgate.toml`, `config/wsgate.toml`, `/etc/wsgate/wsgate.toml`"
        );
        // A folder of that name is no file.
        std::fs::create_dir(folder.path().join("wsgate.toml")).unwrap();
        if !Path::new(PLACES[2]).exists() {
            assert!(find_in(None, None, folder.path()).is_err());
        }
    }
}
