//! Every documented example gives what is documented.

use super::harness::{Open, stored};
use crate::expr::functions::Group;
use crate::expr::{Functions, Literal};

#[test]
fn documented_examples_hold() {
    let mut wrong = String::new();
    for function in Functions::standard().all() {
        assert!(!function.summary.is_empty(), "{} has no summary", function.name);
        assert!(!function.examples.is_empty(), "{} has no example", function.name);
        if function.group == Group::History {
            // These are run by `tests/reference.rs`, since they are about many events.
            continue;
        }
        for (text, expected) in function.examples {
            let run = |folded: bool| {
                let mut scope = Open { params: vec![("minimum", Literal::Float(0.5))], ..Open::default() };
                let program = if folded { scope.compile(text) } else { scope.compile_unfolded(text) };
                let mut batch = scope.batch(&["{}"]);
                stored(&mut program?, &mut batch).remove(0)
            };
            assert_eq!(run(true), run(false), "{text}");
            let found = run(true);
            if found.as_deref() != Ok(*expected) {
                wrong.push_str(&format!("\n{text}\n  expected {expected}\n  found    {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn signatures_are_readable() {
    let functions = Functions::standard();
    let signature = |name| functions.get(name).unwrap().signature();
    assert_eq!(signature("round"), "round(x[, n])");
    assert_eq!(signature("concat_ws"), "concat_ws(separator, x…)");
    assert_eq!(signature("pi"), "pi()");
    assert_eq!(functions.get("round").unwrap().argument_types(), "x: number, n: integer");
}
