//! `docs/protocol.md` and `docs/attacks.md` name files and tests; they must be there.

use std::fs;
use std::path::Path;

#[test]
fn every_test_and_file_that_the_protocol_names_exists() {
    let (tests, files) = check("protocol.md");
    assert!(tests > 100 && files > 50, "{tests} tests, {files} files");
}

#[test]
fn every_attack_names_tests_that_exist() {
    let (tests, _) = check("attacks.md");
    assert!(tests > 100, "{tests} tests");
    for line in read("attacks.md").lines() {
        let is_row = line.starts_with("| ") && !line.starts_with("| attack |");
        assert!(!is_row || line.contains("::"), "no test: {line}");
    }
}

/// How many tests and files a page names, all of which exist.
fn check(page: &str) -> (usize, usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut tests, mut files) = (0, 0);
    for name in read(page).split('`').skip(1).step_by(2) {
        let is_test = |name: &(&str, &str)| !["function", "test"].contains(&name.1);
        if let Some((file, function)) = name.split_once("::").filter(is_test) {
            assert!(
                code(file).contains(&format!("fn {function}()")),
                "no `{name}`"
            );
            tests += 1;
        } else if name.ends_with(".rs") {
            assert!(root.join("src").join(name).is_file(), "no src/{name}");
            files += 1;
        }
    }
    (tests, files)
}

fn read(page: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::read_to_string(docs.join(page)).unwrap()
}

/// One of these tests, or one that stands alone.
fn code(file: &str) -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let places = [format!("integration/{file}.rs"), format!("{file}.rs")];
    let found = places
        .iter()
        .find_map(|place| fs::read_to_string(tests.join(place)).ok());
    found.unwrap_or_else(|| panic!("no {file}.rs"))
}

/// The table of `docs/metrics.md` is what the code says. With `BLESS=1` in the environment it is
/// written instead.
#[test]
fn the_table_of_metrics_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- metrics -->\n").unwrap();
    let (table, after) = rest.split_once("<!-- end -->").unwrap();
    let fresh = wsgate::telemetry::metrics::reference();
    if std::env::var_os("BLESS").is_some() {
        let page = format!("{before}<!-- metrics -->\n{fresh}<!-- end -->{after}");
        return fs::write(&path, page).unwrap();
    }
    assert_eq!(
        table, fresh,
        "docs/metrics.md is stale; write it anew with BLESS=1"
    );
}

/// Every metric that the prose mentions is one.
#[test]
fn the_prose_on_metrics_names_what_there_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let table = wsgate::telemetry::metrics::reference();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = page.split(|c| !is_part(c));
    let names = words.filter(|word| word.starts_with("wsgate_") || word.starts_with("process_"));
    for name in names {
        let family = name.trim_end_matches("_bucket");
        assert!(table.contains(&format!("`{family}`")), "`{name}`");
    }
}
