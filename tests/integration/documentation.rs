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
