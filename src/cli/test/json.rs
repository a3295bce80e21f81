//! What came of tests, for programs: one JSON value a line, the sum last.

use super::Tested;
use super::case::Case;
use super::report::masked;
use super::run::{Failure, Wrong};
use crate::config::Secrets;
use serde_json::{Value, json};

/// The whole report.
pub fn lines(tested: &[Tested]) -> String {
    let tests = tested.iter().flat_map(|tested| {
        let cases = tested.suite.cases.iter().zip(&tested.failures);
        cases.map(|((case, _), failures)| test(tested, case, failures))
    });
    tests.chain([sum(tested)]).map(|value| format!("{value}\n")).collect()
}

fn test(tested: &Tested, case: &Case, failures: &[Failure]) -> Value {
    let failed: Vec<Value> = failures.iter().map(|f| failure(case, f, &tested.suite.secrets)).collect();
    json!({
        "pipeline": tested.suite.pipeline,
        "test": case.name,
        "file": case.file.name(),
        "line": case.file.mark(case.place.start).line,
        "passed": failed.is_empty(),
        "failures": failed,
    })
}

fn failure(case: &Case, failure: &Failure, secrets: &Secrets) -> Value {
    let mark = case.file.mark(failure.place.start);
    let list = |events: &[Value]| events.iter().map(|event| masked(event, secrets)).collect::<Value>();
    let (kind, expected, actual) = match &failure.what {
        Wrong::Other { difference, .. } => ("other", list(&difference.expected), list(&difference.actual)),
        Wrong::Broken(why) => ("broken", Value::Null, json!([why])),
        Wrong::Unseen(events) => ("unseen", Value::Null, list(events)),
    };
    json!({
        "kind": kind,
        "output": failure.output,
        "line": mark.line,
        "column": mark.column,
        "expected": expected,
        "actual": actual,
    })
}

fn sum(tested: &[Tested]) -> Value {
    let (passed, failed) =
        tested.iter().map(Tested::counts).fold((0, 0), |sum, file| (sum.0 + file.0, sum.1 + file.1));
    let without = tested.iter().filter(|tested| tested.suite.cases.is_empty());
    let without: Vec<&str> = without.map(|tested| tested.suite.file.name()).collect();
    json!({ "files": tested.len(), "passed": passed, "failed": failed, "without_tests": without })
}
