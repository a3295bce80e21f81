//! Windows and aggregates from YAML to rows: the pipelines under `tests/windows/` pass their own tests.

pub mod common;

use common::{Folder, project};

#[test]
fn their_tests_pass() {
    let ran = Folder::empty().run(&["test", project("tests/windows").to_str().unwrap()]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}
