//! `docs/protocol.md` names files and tests; they must be there.

use std::fs;
use std::path::Path;

#[test]
fn every_test_and_file_that_the_protocol_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/protocol.md")).unwrap();
    let (mut tests, mut files) = (0, 0);
    for name in text.split('`').skip(1).step_by(2) {
        if let Some((file, function)) = name.split_once("::").filter(|name| name.1 != "function") {
            let path = root.join(format!("tests/integration/{file}.rs"));
            let code = fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {file}.rs"));
            assert!(code.contains(&format!("fn {function}()")), "no `{name}`");
            tests += 1;
        } else if name.ends_with(".rs") {
            assert!(root.join("src").join(name).is_file(), "no src/{name}");
            files += 1;
        }
    }
    assert!(tests > 100 && files > 50, "{tests} tests, {files} files");
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
