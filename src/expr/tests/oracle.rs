//! Programs against an evaluator that goes row by row over the tree, on random expressions and events.

use super::harness::{Open, env, rows};
use crate::event::{Batch, Path, Row, Slot, Step, json};
use crate::expr::compile::compile_as;
use crate::expr::{BinaryOp, Call, CastType, Expr, Functions, Literal, Node, parse};
use proptest::prelude::*;
use std::cmp::Ordering;

/// A value of the oracle.
#[derive(Clone, Debug, PartialEq)]
enum V {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(String),
}

/// 2 to the power of 63, the first integer that does not fit.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;

/// The event is rejected.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rejected;

type Result<T> = std::result::Result<T, Rejected>;

fn compare(left: &V, right: &V) -> Option<Ordering> {
    // Wide enough for any integer, and exact for the floats of these tests.
    let mixed = |int: i64, float: f64| {
        let whole = float.trunc().clamp(-1e30, 1e30) as i128;
        i128::from(int).cmp(&whole).then(0.0.partial_cmp(&float.fract()).unwrap())
    };
    match (left, right) {
        (V::Int(a), V::Int(b)) => Some(a.cmp(b)),
        (V::Float(a), V::Float(b)) => a.partial_cmp(b),
        (V::Int(a), V::Float(b)) => Some(mixed(*a, *b)),
        (V::Float(a), V::Int(b)) => Some(mixed(*b, *a).reverse()),
        (V::Text(a), V::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (V::Bool(a), V::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn equal(left: &V, right: &V) -> bool {
    match (left, right) {
        (V::List(a), V::List(b)) => {
            let (a, b): (Vec<V>, Vec<V>) = (elements(a).collect(), elements(b).collect());
            a.len() == b.len()
                && a.iter().zip(&b).all(|(a, b)| (*a == V::Null && *b == V::Null) || equal(a, b))
        }
        _ => compare(left, right) == Some(Ordering::Equal),
    }
}

fn boolean(value: V) -> Result<Option<bool>> {
    match value {
        V::Null => Ok(None),
        V::Bool(b) => Ok(Some(b)),
        _ => Err(Rejected),
    }
}

fn three(value: Option<bool>) -> V {
    value.map_or(V::Null, V::Bool)
}

fn arithmetic(op: BinaryOp, left: V, right: V) -> Result<V> {
    use BinaryOp::*;
    let float = |x: f64| if x.is_finite() { Ok(V::Float(x)) } else { Err(Rejected) };
    let (a, b) = match (left, right) {
        (V::Int(a), V::Int(b)) => {
            let (a, b) = (i128::from(a), i128::from(b));
            let wide = match op {
                Add => a + b,
                Subtract => a - b,
                Multiply => a * b,
                _ if b == 0 => return Err(Rejected),
                Divide => a / b,
                _ => a % b,
            };
            return i64::try_from(wide).map(V::Int).map_err(|_| Rejected);
        }
        (V::Null, _) | (_, V::Null) => return Ok(V::Null),
        (V::Int(a), V::Float(b)) => (a as f64, b),
        (V::Float(a), V::Int(b)) => (a, b as f64),
        (V::Float(a), V::Float(b)) => (a, b),
        _ => return Err(Rejected),
    };
    match op {
        Add => float(a + b),
        Subtract => float(a - b),
        Multiply => float(a * b),
        _ if b == 0.0 => Err(Rejected),
        Divide => float(a / b),
        _ => float(a % b),
    }
}

fn text_of(value: &V) -> Result<String> {
    Ok(match value {
        V::Bool(b) => b.to_string(),
        V::Int(n) => n.to_string(),
        V::Float(_) => json_text(value),
        V::Text(text) => text.clone(),
        _ => return Err(Rejected),
    })
}

fn json_text(value: &V) -> String {
    match value {
        V::Null => "null".into(),
        V::Float(x) => {
            let mut text = Vec::new();
            json::write_float(*x, &mut text);
            String::from_utf8(text).unwrap()
        }
        V::Text(text) => serde_json::to_string(text).unwrap(),
        V::List(text) => text.clone(),
        other => text_of(other).unwrap(),
    }
}

fn constant(literal: &Literal) -> V {
    match literal {
        Literal::Null => V::Null,
        Literal::Bool(b) => V::Bool(*b),
        Literal::Int(n) => V::Int(*n),
        Literal::Float(x) => V::Float(*x),
        Literal::Text(text) => V::Text(text.clone()),
        other => panic!("{other:?}"),
    }
}

fn elements(list: &str) -> impl Iterator<Item = V> {
    json::elements(list.as_bytes()).map(|raw| {
        let raw = str::from_utf8(raw).unwrap();
        match serde_json::from_str(raw).unwrap() {
            serde_json::Value::Null => V::Null,
            serde_json::Value::Bool(b) => V::Bool(b),
            serde_json::Value::Number(n) => n.as_i64().map_or_else(|| V::Float(n.as_f64().unwrap()), V::Int),
            serde_json::Value::String(text) => V::Text(text),
            _ => V::List(raw.to_owned()),
        }
    })
}

/// One row's evaluation, with its fields, and as `-> x` the parameters of lambdas, the innermost last.
struct Oracle<'a>(&'a [(&'a str, V)]);

impl Oracle<'_> {
    fn eval(&self, expr: &Expr) -> Result<V> {
        Ok(match &expr.node {
            Node::Literal(literal) => constant(literal),
            Node::Field(path) => {
                let field = self.0.iter().find(|(name, _)| *name == path.root());
                field.map_or(V::Null, |(_, value)| value.clone())
            }
            Node::Parameter(path) => self.parameter(path),
            Node::Not(of) => three(boolean(self.eval(of)?)?.map(|b| !b)),
            Node::Negate(of) => match self.eval(of)? {
                V::Null => V::Null,
                V::Int(n) => V::Int(n.checked_neg().ok_or(Rejected)?),
                V::Float(x) => V::Float(-x),
                _ => return Err(Rejected),
            },
            Node::And(parts) => three(self.chain(parts, false)?),
            Node::Or(parts) => three(self.chain(parts, true)?),
            Node::Binary(op, left, right) => self.binary(*op, self.eval(left)?, self.eval(right)?)?,
            Node::IsNull { of, negated } => V::Bool((self.eval(of)? == V::Null) != *negated),
            Node::IsBool { of, value, negated } => {
                V::Bool((boolean(self.eval(of)?)? == Some(*value)) != *negated)
            }
            Node::Between { of, low, high, negated } => {
                let (of, low, high) = (self.eval(of)?, self.eval(low)?, self.eval(high)?);
                let low = boolean(self.binary(BinaryOp::GreaterOrEqual, of.clone(), low)?)?;
                let within = match low {
                    Some(false) => Some(false),
                    low => match boolean(self.binary(BinaryOp::LessOrEqual, of, high)?)? {
                        Some(true) => low,
                        other => other,
                    },
                };
                three(within.map(|within| within != *negated))
            }
            Node::In { of, list, negated } => {
                let of = self.eval(of)?;
                let list = list.iter().map(|item| self.eval(item)).collect::<Result<Vec<_>>>()?;
                let found = match () {
                    () if of == V::Null => None,
                    () if list.iter().any(|item| equal(item, &of)) => Some(true),
                    () if list.contains(&V::Null) => None,
                    () => Some(false),
                };
                three(found.map(|found| found != *negated))
            }
            Node::Case { operand, branches, otherwise } => {
                let operand = operand.as_ref().map(|operand| self.eval(operand)).transpose()?;
                for (when, then) in branches {
                    let when = self.eval(when)?;
                    let hit = match &operand {
                        Some(operand) => equal(operand, &when),
                        None => boolean(when)? == Some(true),
                    };
                    if hit {
                        return self.eval(then);
                    }
                }
                otherwise.as_ref().map_or(Ok(V::Null), |otherwise| self.eval(otherwise))?
            }
            Node::Cast { of, to, attempt } => match cast(self.eval(of)?, *to) {
                Err(Rejected) if *attempt => V::Null,
                outcome => outcome?,
            },
            Node::Call(call) => self.call(call)?,
            other => panic!("{other:?}"),
        })
    }

    fn chain(&self, parts: &[Expr], stop: bool) -> Result<Option<bool>> {
        let mut result = Some(!stop);
        for part in parts {
            match boolean(self.eval(part)?)? {
                Some(b) if b == stop => return Ok(Some(stop)),
                Some(_) => {}
                None => result = None,
            }
        }
        Ok(result)
    }

    fn binary(&self, op: BinaryOp, left: V, right: V) -> Result<V> {
        use BinaryOp::*;
        let null = left == V::Null || right == V::Null;
        Ok(match op {
            Add | Subtract | Multiply | Divide | Modulo => arithmetic(op, left, right)?,
            Distinct | NotDistinct => {
                let same = if null { left == right } else { equal(&left, &right) };
                V::Bool(same == (op == NotDistinct))
            }
            _ if null => V::Null,
            Concat => V::Text(text_of(&left)? + &text_of(&right)?),
            Equal | NotEqual => V::Bool(equal(&left, &right) == (op == Equal)),
            _ => {
                let order = compare(&left, &right).ok_or(Rejected)?;
                V::Bool(match op {
                    Less => order.is_lt(),
                    LessOrEqual => order.is_le(),
                    Greater => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
        })
    }

    fn call(&self, call: &Call) -> Result<V> {
        match call.name.as_str() {
            "coalesce" => {
                for arg in &call.args {
                    let value = self.eval(arg)?;
                    if value != V::Null {
                        return Ok(value);
                    }
                }
                Ok(V::Null)
            }
            "if" => {
                let hit = boolean(self.eval(&call.args[0])?)? == Some(true);
                self.eval(&call.args[if hit { 1 } else { 2 }])
            }
            "nullif" => {
                let (x, y) = (self.eval(&call.args[0])?, self.eval(&call.args[1])?);
                Ok(if x != V::Null && y != V::Null && equal(&x, &y) { V::Null } else { x })
            }
            "transform" | "filter" => match self.eval(&call.args[0])? {
                V::Null => Ok(V::Null),
                V::List(text) if text.starts_with('[') => self.each(call, &text),
                _ => Err(Rejected),
            },
            "abs" => match self.eval(&call.args[0])? {
                V::Null => Ok(V::Null),
                V::Int(n) => n.checked_abs().map(V::Int).ok_or(Rejected),
                V::Float(x) => Ok(V::Float(x.abs())),
                _ => Err(Rejected),
            },
            "upper" => match self.eval(&call.args[0])? {
                V::Null => Ok(V::Null),
                V::Text(text) => Ok(V::Text(text.to_uppercase())),
                _ => Err(Rejected),
            },
            other => panic!("{other}"),
        }
    }

    fn parameter(&self, path: &Path) -> V {
        let is_named = |name: &&str| name.strip_prefix("-> ") == Some(path.root());
        let found = self.0.iter().rfind(|(name, _)| is_named(name));
        found.unwrap().1.clone()
    }

    /// `transform` or `filter` of a list.
    fn each(&self, call: &Call, list: &str) -> Result<V> {
        let Node::Lambda(name, body) = &call.args[1].node else { panic!("{call:?}") };
        let name = format!("-> {name}");
        let mut results = Vec::new();
        for element in elements(list) {
            let mut names = self.0.to_vec();
            names.push((&name, element.clone()));
            let value = Oracle(&names).eval(body)?;
            match call.name.as_str() {
                "transform" => results.push(json_text(&value)),
                _ if boolean(value)? == Some(true) => results.push(json_text(&element)),
                _ => {}
            }
        }
        Ok(V::List(format!("[{}]", results.join(","))))
    }

    /// Whether a filter keeps the row.
    fn keeps(&self, expr: &Expr) -> Result<bool> {
        match &expr.node {
            Node::And(parts) => {
                for part in parts {
                    if !self.keeps(part)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(parts) => {
                let mut any = false;
                for part in parts {
                    any |= !any && self.keeps(part)?;
                }
                Ok(any)
            }
            _ => Ok(boolean(self.eval(expr)?)? == Some(true)),
        }
    }
}

fn cast(value: V, to: CastType) -> Result<V> {
    Ok(match (value, to) {
        (V::Null, _) => V::Null,
        (V::Text(text), CastType::Int) => V::Int(text.trim().parse().map_err(|_| Rejected)?),
        (V::Int(n), CastType::Int) => V::Int(n),
        (V::Bool(b), CastType::Int) => V::Int(b.into()),
        (V::Float(x), CastType::Int) if (-TWO_63..TWO_63).contains(&x) => V::Int(x as i64),
        (V::List(text), CastType::Text) => {
            let mut compact = Vec::new();
            json::write_compact(text.as_bytes(), &mut compact);
            V::Text(String::from_utf8(compact).unwrap())
        }
        (value, CastType::Text) => V::Text(text_of(&value)?),
        _ => return Err(Rejected),
    })
}

fn expr(node: Node) -> Expr {
    Expr::new(node, 0..0)
}

fn literals() -> impl Strategy<Value = Literal> {
    prop_oneof![
        1 => Just(Literal::Null),
        2 => any::<bool>().prop_map(Literal::Bool),
        4 => (-3i64..8).prop_map(Literal::Int),
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(1 << 53), Just((1 << 53) + 1)].prop_map(Literal::Int),
        3 => prop_oneof![Just(0.5), Just(-1.5), Just(2.0), Just(0.0), Just(9007199254740992.0), Just(1e300)]
            .prop_map(Literal::Float),
        3 => prop_oneof![Just(""), Just("a"), Just("bc"), Just("7"), Just("it's \"ü\"\n")]
            .prop_map(|text| Literal::Text(text.to_owned())),
    ]
}

fn operators() -> impl Strategy<Value = BinaryOp> {
    use BinaryOp::*;
    prop::sample::select(vec![
        Add,
        Subtract,
        Multiply,
        Divide,
        Modulo,
        Concat,
        Equal,
        NotEqual,
        Less,
        LessOrEqual,
        Greater,
        GreaterOrEqual,
        Distinct,
        NotDistinct,
    ])
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let name = name.to_owned();
    expr(Node::Call(Call { name, args, distinct: false, star: false, filter: None, over: None }))
}

/// A call with a lambda, whose parameter hides fields of the body.
fn each(name: &str, list: Expr, parameter: &str, mut body: Expr) -> Expr {
    body.map(&mut |part| {
        let path = part.as_path().filter(|path| path.root() == parameter)?;
        Some(expr(Node::Parameter(path.clone())))
    });
    call(name, vec![list, expr(Node::Lambda(parameter.to_owned(), Box::new(body)))])
}

fn expressions() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        1 => literals().prop_map(Expr::literal),
        3 => prop::sample::select(vec!["a", "b", "c", "end", "x"]).prop_map(|name| Expr::field(Path::field(name))),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new).boxed();
        let several = prop::collection::vec(inner.clone(), 2..4);
        let yes = any::<bool>();
        prop_oneof![
            6 => (operators(), boxed.clone(), boxed.clone()).prop_map(|(op, l, r)| expr(Node::Binary(op, l, r))),
            3 => several.clone().prop_map(|parts| expr(Node::And(parts))),
            3 => several.clone().prop_map(|parts| expr(Node::Or(parts))),
            1 => boxed.clone().prop_map(|of| expr(Node::Not(of))),
            1 => boxed.clone().prop_map(|of| match &of.node {
                // `-5` reads as a literal.
                Node::Literal(_) => *of,
                _ => expr(Node::Negate(of)),
            }),
            1 => (boxed.clone(), yes).prop_map(|(of, negated)| expr(Node::IsNull { of, negated })),
            1 => (boxed.clone(), yes, yes).prop_map(|(of, value, negated)| expr(Node::IsBool { of, value, negated })),
            1 => (boxed.clone(), boxed.clone(), boxed.clone(), yes)
                .prop_map(|(of, low, high, negated)| expr(Node::Between { of, low, high, negated })),
            1 => (boxed.clone(), several.clone(), yes)
                .prop_map(|(of, list, negated)| expr(Node::In { of, list, negated })),
            2 => (
                prop::option::of(boxed.clone()),
                prop::collection::vec((inner.clone(), inner.clone()), 1..3),
                prop::option::of(boxed.clone()),
            )
                .prop_map(|(operand, branches, otherwise)| expr(Node::Case { operand, branches, otherwise })),
            1 => (boxed.clone(), prop_oneof![Just(CastType::Int), Just(CastType::Text)], yes)
                .prop_map(|(of, to, attempt)| expr(Node::Cast { of, to, attempt })),
            1 => several.prop_map(|args| call("coalesce", args)),
            1 => prop::collection::vec(inner.clone(), 3).prop_map(|args| call("if", args)),
            1 => prop::collection::vec(inner.clone(), 2).prop_map(|args| call("nullif", args)),
            1 => inner.clone().prop_map(|arg| call("abs", vec![arg])),
            1 => inner.clone().prop_map(|arg| call("upper", vec![arg])),
            4 => (
                prop::sample::select(vec!["transform", "filter"]),
                prop_oneof![
                    1 => inner.clone(),
                    2 => prop::sample::select(vec!["b", "c", "x"]).prop_map(|name| Expr::field(Path::field(name))),
                ],
                prop::sample::select(vec!["x", "a", "end"]),
                inner,
            )
                .prop_map(|(name, list, parameter, body)| each(name, list, parameter, body)),
        ]
    })
}

fn values() -> impl Strategy<Value = V> {
    let scalar = literals().prop_map(|literal| match literal {
        Literal::Bool(b) => V::Bool(b),
        Literal::Int(n) => V::Int(n),
        Literal::Float(x) => V::Float(x),
        Literal::Text(text) => V::Text(text),
        _ => V::Null,
    });
    let list = prop::sample::select(vec![
        "[1,\"a\"]",
        "[]",
        "[3,-1,2.5]",
        "[3.0, -1 ,2.5]",
        "[true,null,false]",
        "[[2,0.5],[],[[7]]]",
        "[\"it's \\\"ü\\\"\\n\",\"7\"]",
    ]);
    prop_oneof![8 => scalar, 3 => list.prop_map(|text| V::List(text.to_owned()))]
}

type Event = (V, V, V, V);

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((values(), values(), values(), values()), 1..12)
}

fn fields((a, b, c, end): &Event) -> [(&'static str, V); 4] {
    [("a", a.clone()), ("b", b.clone()), ("c", c.clone()), ("end", end.clone())]
}

fn event_json(event: &Event) -> String {
    let fields = fields(event);
    let entries: Vec<_> =
        fields.iter().map(|(name, value)| format!("\"{name}\":{}", json_text(value))).collect();
    format!("{{{}}}", entries.join(","))
}

fn batch(scope: &Open, events: &[Event]) -> Batch {
    let texts: Vec<_> = events.iter().map(event_json).collect();
    scope.batch(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a program computes for the rows of a batch, as JSON text; None where it rejects.
fn computed(program: &mut crate::expr::Program, batch: &mut Batch) -> Vec<Option<String>> {
    super::harness::stored(program, batch).into_iter().map(std::result::Result::ok).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn programs_equal_the_oracle(expr in expressions(), events in events(), cut in 0usize..12) {
        let text = expr.to_string();
        let parsed = parse(&text).map_err(|fault| TestCaseError::fail(format!("{text}: {fault}")))?;
        prop_assert_eq!(&parsed, &expr, "{} reads as {}", text, parsed);
        for folding in [true, false] {
            let mut scope = Open::default();
            let Ok(mut program) = compile_as(&expr, &mut scope, &Functions::standard(), folding) else {
                continue;
            };
            let found = computed(&mut program, &mut batch(&scope, &events));
            for (event, found) in events.iter().zip(&found) {
                let expected = Oracle(&fields(event)).eval(&expr).ok().map(|value| json_text(&value));
                prop_assert_eq!(&expected, found, "{} of {}", text, event_json(event));
            }

            let mut whole = batch(&scope, &events);
            let (mut kept, mut rejects) = (rows(&whole), Vec::new());
            program.clone().filter(&mut whole, &mut kept, &mut env(), &mut rejects);
            for (i, event) in events.iter().enumerate() {
                let row = Row(i as u32);
                let rejected = rejects.iter().any(|(rejected, _)| *rejected == row);
                let found = if rejected { Err(Rejected) } else { Ok(kept.contains(&row)) };
                prop_assert_eq!(Oracle(&fields(event)).keeps(&expr), found, "filter {} of {}", text, event_json(event));
            }

            // Cut into two batches, it gives the same.
            let (first, second) = events.split_at(cut.min(events.len()));
            let mut parts = computed(&mut program, &mut batch(&scope, first));
            parts.extend(computed(&mut program, &mut batch(&scope, second)));
            prop_assert_eq!(parts, found);
        }
    }
}

#[test]
fn enough_random_expressions_compile() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let compiles = |runner: &mut TestRunner| {
        let expr = expressions().new_tree(runner).unwrap().current();
        compile_as(&expr, &mut Open::default(), &Functions::standard(), true).is_ok()
    };
    let count = (0..300).filter(|_| compiles(&mut runner)).count();
    assert!(count > 100, "{count} of 300");
}

#[test]
fn the_path_inside_a_slot_is_followed() {
    let mut scope = Open::default();
    let program = scope.compile("a.b[1]").unwrap();
    assert_eq!(program.slot(), None);
    assert_eq!(scope.compile("a").unwrap().slot(), Some(Slot(0)));
    assert_eq!(Path::field("a").then(Step::Index(1)).to_string(), "a[1]");
}
