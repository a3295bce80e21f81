//! Whether what came is what was expected.
//!
//! An expected event is met by an actual one if every field that it names is: numbers by value (to 1e-9 of the larger
//! one where either is a float), null by null or nothing at all, lists by length and element, maps again field by
//! field. With `exact` no other field may be there, unless it is null; inside maps too.

use super::case::Expected;
use super::matching::Matching;
use serde_json::{Map, Number, Value};

/// By how much floats may differ, relative to the larger one.
const TOLERANCE: f64 = 1e-9;

/// Expected and actual events that do not agree.
#[derive(Debug)]
pub struct Difference {
    /// What was expected.
    pub expected: Vec<Value>,
    /// What came.
    pub actual: Vec<Value>,
    /// How many agree.
    pub agreed: usize,
    /// Positions of an expected and an actual event that probably mean each other but differ.
    pub pairs: Vec<(usize, usize)>,
    /// Positions of expected events that nothing came for.
    pub missing: Vec<usize>,
    /// Positions of actual events that nobody expected.
    pub unexpected: Vec<usize>,
}

/// Compares what an output put out with what was expected of it; none if it is that.
pub fn compare(expected: &Expected, actual: Vec<Value>) -> Option<Difference> {
    let meets = |e: usize, a: usize| value_meets(&expected.events[e], &actual[a], expected.exact);
    let (expected_count, actual_count) = (expected.events.len(), actual.len());
    let partners: Vec<Option<usize>> = if expected.ordered {
        (0..expected_count).map(|i| (i < actual_count && meets(i, i)).then_some(i)).collect()
    } else {
        Matching::of(expected_count, actual_count, meets).into_partners()
    };
    let agreed = partners.iter().flatten().count();
    if agreed == expected_count && agreed == actual_count {
        return None;
    }
    let alone = |e: &usize| partners[*e].is_none();
    let mut missing: Vec<usize> = (0..expected_count).filter(alone).collect();
    let mut unexpected: Vec<usize> = (0..actual_count).filter(|a| !partners.contains(&Some(*a))).collect();
    let likeness = |e: usize, a: usize| match expected.ordered {
        true => usize::from(e == a),
        false => fields_met(&expected.events[e], &actual[a], expected.exact),
    };
    let pairs = pair_up(&mut missing, &mut unexpected, likeness);
    Some(Difference { expected: expected.events.clone(), actual, agreed, pairs, missing, unexpected })
}

/// Takes positions that are most like each other out of both lists.
fn pair_up(
    missing: &mut Vec<usize>,
    unexpected: &mut Vec<usize>,
    likeness: impl Fn(usize, usize) -> usize,
) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    missing.retain(|&e| {
        let best =
            unexpected.iter().enumerate().max_by_key(|(i, a)| (likeness(e, **a), std::cmp::Reverse(*i)));
        let Some((i, _)) = best.filter(|(_, a)| likeness(e, **a) > 0) else { return true };
        pairs.push((e, unexpected.remove(i)));
        false
    });
    pairs
}

/// How many of the fields that an expected event names are met.
fn fields_met(expected: &Value, actual: &Value, exact: bool) -> usize {
    let (Value::Object(expected), Value::Object(actual)) = (expected, actual) else { return 0 };
    expected.iter().filter(|(name, value)| value_meets(value, field(actual, name), exact)).count()
}

/// A field of a map; null if it is not there.
pub fn field<'a>(map: &'a Map<String, Value>, name: &str) -> &'a Value {
    map.get(name).unwrap_or(&Value::Null)
}

/// Whether an actual value is what was expected.
pub fn value_meets(expected: &Value, actual: &Value, exact: bool) -> bool {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let named = expected.iter().all(|(name, value)| value_meets(value, field(actual, name), exact));
            let more = || actual.iter().any(|(name, value)| !value.is_null() && !expected.contains_key(name));
            named && !(exact && more())
        }
        (Value::Array(expected), Value::Array(actual)) => {
            let same_length = expected.len() == actual.len();
            same_length && expected.iter().zip(actual).all(|(e, a)| value_meets(e, a, exact))
        }
        (Value::Number(expected), Value::Number(actual)) => same_number(expected, actual),
        _ => expected == actual,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    if !a.is_f64() && !b.is_f64() {
        return a == b;
    }
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Content, Node, Place, Style};
    use serde_json::json;

    fn difference(expected: Value, actual: Value, ordered: bool, exact: bool) -> Option<Difference> {
        let list = |value: Value| value.as_array().unwrap().clone();
        let (output, place) = ("out".to_owned(), Place::default());
        let content = Content::Scalar(String::new());
        let node = Node { place, style: Style::Plain, in_flow: false, content, written: None };
        compare(&Expected { output, place, node, events: list(expected), ordered, exact }, list(actual))
    }

    #[test]
    fn values_agree_by_what_they_mean() {
        let agree = [
            (json!(4), json!(4.0)),
            (json!(0.3), json!(0.1 + 0.2)),
            (json!(1e300), json!(1.000_000_000_5e300)),
            (json!({}), json!({ "a": 1 })),
            (json!({ "a": null }), json!({})),
            (json!({ "a": { "b": 1 } }), json!({ "a": { "b": 1.0, "c": 2 } })),
            (json!([1, { "a": 1 }]), json!([1.0, { "a": 1, "b": 2 }])),
        ];
        for (expected, actual) in agree {
            assert!(value_meets(&expected, &actual, false), "{expected} {actual}");
        }
        let differ = [
            (json!(1), json!("1")),
            (json!(9_007_199_254_740_993i64), json!(9_007_199_254_740_992i64)),
            (json!(1.0), json!(1.000_001)),
            (json!(0), json!(null)),
            (json!({}), json!(null)),
            (json!([1]), json!([1, 2])),
            (json!([1, 2]), json!([2, 1])),
            (json!({ "a": 1 }), json!({})),
        ];
        for (expected, actual) in differ {
            assert!(!value_meets(&expected, &actual, false), "{expected} {actual}");
        }
    }

    #[test]
    fn exact_allows_no_other_fields_but_null_ones() {
        let meets = |expected: Value, actual: Value| value_meets(&expected, &actual, true);
        assert!(meets(json!({ "a": 1 }), json!({ "a": 1, "b": null })));
        assert!(!meets(json!({ "a": 1 }), json!({ "a": 1, "b": 2 })));
        assert!(!meets(json!({ "a": { "x": 1 } }), json!({ "a": { "x": 1, "y": 2 } })));
        assert!(!meets(json!([{}]), json!([{ "y": 2 }])));
    }

    #[test]
    fn without_order_a_matching_is_found_if_there_is_one() {
        let (expected, actual) = (json!([{}, { "a": 1 }]), json!([{ "a": 1 }, { "a": 2 }]));
        assert!(difference(expected.clone(), actual.clone(), false, false).is_none());
        assert!(difference(expected, actual, true, false).is_some());
    }

    #[test]
    fn what_differs_is_shown_beside_what_it_is_most_like() {
        let expected = json!([{ "k": 1, "n": 1 }, { "k": 2, "n": 2 }, { "k": 3, "n": 3 }]);
        let actual = json!([{ "k": 2, "n": 9 }, { "k": 1, "n": 1 }, { "k": 7, "n": 7 }]);
        let found = difference(expected, actual, false, false).unwrap();
        assert_eq!((found.agreed, found.pairs), (1, vec![(1, 0)]));
        assert_eq!((found.missing, found.unexpected), (vec![2], vec![2]));
    }

    #[test]
    fn in_order_places_are_compared() {
        let found = difference(json!([{ "a": 1 }, { "a": 2 }]), json!([{ "a": 2 }]), true, false).unwrap();
        assert_eq!((found.pairs, found.missing), (vec![(0, 0)], vec![1]));
        assert!(difference(json!([]), json!([{}]), true, false).is_some());
        assert!(difference(json!([]), json!([]), false, true).is_none());
    }
}
