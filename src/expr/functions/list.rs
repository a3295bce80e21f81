//! Lists. Elements are counted from 0.

use super::context::{Context, Failure, Outcome, check_depth, check_length};
use super::json::{ITEM, count_entries};
use super::spec::{Arg, Body, Form, FunctionSpec, Group, Returns, arg, optional};
use crate::event::{Batch, Kind, Span, Step, Value, json};
use crate::expr::arithmetic;
use crate::expr::ast::BinaryOp;
use crate::expr::compare::{equal_json, order};
use crate::expr::eval::step_into;
use crate::expr::types::Type;
use std::cmp::Ordering;

/// Elements that a list may have to be compared with one another.
const MAX_COMPARED: usize = 1000;

const L: &[Arg] = &[arg("l", Type::JSON)];
const LIST: Returns = Returns::Is(Type::JSON);

const fn new(
    name: &'static str,
    args: &'static [Arg],
    returns: Returns,
    body: fn(&mut Context, &[Value]) -> Outcome,
) -> FunctionSpec {
    FunctionSpec::new(Group::Json, name, args, returns, Body::Plain(body))
}

/// The functions on lists.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    new("element", &[arg("l", Type::JSON), arg("i", Type::INT)], ITEM, element).doc(
        "The element with a number, from 0; null if there is none; as `l[i]`.",
        &[("element(range(5, 9), 1)", "6")],
    ),
    new("cardinality", &[arg("v", Type::JSON)], Returns::Is(Type::INT), cardinality).doc(
        "How many elements a list, or entries a map has.",
        &[("cardinality(range(0, 4))", "4"), ("cardinality(json_parse('{\"a\": 1}'))", "1")],
    ),
    new(
        "contains_element",
        &[arg("l", Type::JSON), arg("x", Type::ANY)],
        Returns::Is(Type::BOOL),
        contains_element,
    )
    .doc(
        "Whether an element equals the value.",
        &[
            ("contains_element(json_parse('[1, \"a\"]'), 'a')", "true"),
            ("contains_element(range(0, 3), 3)", "false"),
        ],
    ),
    new("append", &[arg("l", Type::JSON), arg("x", Type::ANY)], LIST, append)
        .with_nulls()
        .doc("The list with one more element at its end.", &[("append(range(0, 2), 'x')", "[0,1,\"x\"]")]),
    new("slice", &[arg("l", Type::JSON), arg("from", Type::INT), arg("to", Type::INT)], LIST, slice).doc(
        "The elements from number `from` to before number `to`, as far as there are any.",
        &[("slice(range(0, 9), 2, 4)", "[2,3]"), ("slice(range(0, 3), 1, 99)", "[1,2]")],
    ),
    new("sort", L, LIST, sort)
        .doc("In rising order, nulls first.", &[("sort(json_parse('[3, 1.5, null, 2]'))", "[null,1.5,2,3]")]),
    new("distinct_list", L, LIST, distinct_list).doc(
        "Each value once, where it stood first.",
        &[("distinct_list(json_parse('[1, 2, 1.0, \"1\"]'))", "[1,2,\"1\"]")],
    ),
    new("list_sum", L, Returns::Is(Type::NUMBER), |cx, args| Ok(sum(cx, args[0])?.0)).doc(
        "The sum of the elements that are not null; null if there are none.",
        &[("list_sum(json_parse('[1, 2, null]'))", "3"), ("list_sum(json_parse('[]'))", "null")],
    ),
    new("list_avg", L, Returns::Is(Type::FLOAT), list_avg)
        .doc("The mean of the elements that are not null, a float.", &[("list_avg(range(1, 4))", "2.0")]),
    new("list_min", L, ITEM, |cx, args| extreme(cx, args[0], Ordering::Less))
        .doc("The least element that is not null.", &[("list_min(json_parse('[3, 1, 2]'))", "1")]),
    new("list_max", L, ITEM, |cx, args| extreme(cx, args[0], Ordering::Greater)).doc(
        "The greatest element that is not null.",
        &[("list_max(json_parse('[\"b\", \"c\", \"a\"]'))", "\"c\"")],
    ),
    FunctionSpec::new(
        Group::Json,
        "transform",
        &[arg("l", Type::JSON), arg("x -> expr", Type::ANY)],
        LIST,
        Body::Form(Form::Transform),
    )
    .doc(
        "What the expression gives for each element, which it knows by the name before `->`; that name hides a field.",
        &[
            ("transform(range(1, 4), x -> x * x)", "[1,4,9]"),
            ("transform(json_parse('[{\"t\": 20.5}, {\"u\": 1}]'), s -> s.t)", "[20.5,null]"),
        ],
    ),
    FunctionSpec::new(
        Group::Json,
        "filter",
        &[arg("l", Type::JSON), arg("x -> condition", Type::BOOL)],
        LIST,
        Body::Form(Form::Filter),
    )
    .doc(
        "The elements for which the condition is true; see `transform`.",
        &[
            ("filter(range(0, 9), n -> n % 3 = 0)", "[0,3,6]"),
            ("filter(json_parse('[3, null, \"a\"]'), x -> x IS NOT NULL)", "[3,\"a\"]"),
        ],
    ),
    new("zip", &[arg("a", Type::JSON), arg("b", Type::JSON)], LIST, zip).doc(
        "Lists of two: the first elements of both, the second ones, …; as long as the shorter list.",
        &[("zip(range(0, 3), json_parse('[\"a\", \"b\"]'))", "[[0,\"a\"],[1,\"b\"]]")],
    ),
    new("range", &[arg("a", Type::INT), arg("b", Type::INT), optional("step", Type::INT)], LIST, range).doc(
        "The integers from `a` to before `b`, each `step` (default 1) from the one before.",
        &[("range(0, 3)", "[0,1,2]"), ("range(10, 0, -4)", "[10,6,2]"), ("range(3, 0)", "[]")],
    ),
];

/// The raw elements of a list.
fn elements(text: &[u8]) -> Result<json::Elements<'_>, Failure> {
    if text.starts_with(b"[") { Ok(json::elements(text)) } else { Err("a map is not a list".into()) }
}

/// Appends a list of raw values.
fn write_list<'a>(raws: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let empty = out.len() + 1;
    out.push(b'[');
    for raw in raws {
        if out.len() > empty {
            out.push(b',');
        }
        out.extend_from_slice(raw);
        check_length(out.len())?;
    }
    out.push(b']');
    Ok(())
}

/// Calls `each` with the elements that are not null; their texts lie in an arena of its own, which it is given.
fn each_value(
    batch: &Batch,
    list: Value,
    mut each: impl FnMut(Value, &[u8], &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut arena = Vec::new();
    for raw in elements(batch.bytes(list))? {
        let value = json::to_value(raw, &mut arena).map_err(|error| error.to_string())?;
        if !value.is_null() {
            each(value, &arena, raw)?;
        }
    }
    Ok(())
}

fn element(context: &mut Context, args: &[Value]) -> Outcome {
    match u32::try_from(args[1].as_int().unwrap_or(-1)) {
        Ok(n) => step_into(context.batch, args[0], &[Step::Index(n)]),
        Err(_) => Ok(Value::NULL),
    }
}

fn cardinality(context: &mut Context, args: &[Value]) -> Outcome {
    let text = context.batch.bytes(args[0]);
    let count = if text.starts_with(b"[") { json::elements(text).count() } else { count_entries(text)? };
    Ok(Value::int(count as i64))
}

fn contains_element(context: &mut Context, args: &[Value]) -> Outcome {
    let mut wanted = Vec::new();
    json::write_value(context.batch, args[1], &mut wanted);
    let found = elements(context.batch.bytes(args[0]))?.any(|raw| equal_json(raw, &wanted));
    Ok(Value::bool(found))
}

fn append(context: &mut Context, args: &[Value]) -> Outcome {
    if args[0].is_null() {
        return Ok(Value::NULL);
    }
    context.write_json(|batch, out| {
        write_list(elements(batch.bytes(args[0]))?, out)?;
        out.pop();
        if out.len() > 1 {
            out.push(b',');
        }
        let start = out.len();
        json::write_value(batch, args[1], out);
        check_depth(&out[start..])?;
        out.push(b']');
        Ok(())
    })
}

fn slice(context: &mut Context, args: &[Value]) -> Outcome {
    let bound = |place: usize| usize::try_from(args[place].as_int().unwrap_or(0)).unwrap_or(0);
    let (from, to) = (bound(1), bound(2));
    context.write_json(|batch, out| {
        let part = elements(batch.bytes(args[0]))?.skip(from).take(to.saturating_sub(from));
        write_list(part, out)
    })
}

fn sort(context: &mut Context, args: &[Value]) -> Outcome {
    context.write_json(|batch, out| {
        let mut arena = Vec::new();
        let mut items = Vec::new();
        for raw in elements(batch.bytes(args[0]))? {
            items.push((json::to_value(raw, &mut arena).map_err(|error| error.to_string())?, raw));
        }
        let mut failed = None;
        items.sort_by(|(left, _), (right, _)| {
            if left.is_null() || right.is_null() {
                return right.is_null().cmp(&left.is_null());
            }
            order(*left, *right, &arena).unwrap_or_else(|failure| {
                failed = Some(failure);
                // Any total order will do for what is thrown away.
                (left.kind() as u8).cmp(&(right.kind() as u8))
            })
        });
        match failed {
            Some(_) => Err("the elements have no common order".into()),
            None => write_list(items.iter().map(|(_, raw)| *raw), out),
        }
    })
}

fn distinct_list(context: &mut Context, args: &[Value]) -> Outcome {
    context.write_json(|batch, out| {
        let mut kept: Vec<&[u8]> = Vec::new();
        for (count, raw) in elements(batch.bytes(args[0]))?.enumerate() {
            if count >= MAX_COMPARED {
                return Err("the list is longer than 1000 elements".into());
            }
            if !kept.iter().any(|other| equal_json(other, raw)) {
                kept.push(raw);
            }
        }
        write_list(kept, out)
    })
}

/// The sum of a list's numbers, null without any, and how many there are.
fn sum(context: &Context, list: Value) -> Result<(Value, i64), Failure> {
    let (mut sum, mut count) = (Value::NULL, 0);
    each_value(context.batch, list, |value, _, _| {
        if value.as_number().is_none() {
            return Err("an element is not a number".into());
        }
        sum = if sum.is_null() { value } else { arithmetic::value(BinaryOp::Add, sum, value)? };
        count += 1;
        Ok(())
    })?;
    Ok((sum, count))
}

fn list_avg(context: &mut Context, args: &[Value]) -> Outcome {
    let (mut sum, mut count) = (0.0, 0);
    each_value(context.batch, args[0], |value, _, _| {
        sum += value.as_number().ok_or("an element is not a number")?;
        count += 1;
        Ok(())
    })?;
    if count == 0 { Ok(Value::NULL) } else { super::context::finite(sum / f64::from(count)) }
}

fn extreme(context: &mut Context, list: Value, wanted: Ordering) -> Outcome {
    let mut best: Option<(Value, Span)> = None;
    let batch = &*context.batch;
    each_value(batch, list, |value, arena, raw| {
        let better = match &best {
            Some((best, _)) => {
                order(value, *best, arena).map_err(|_| "the elements have no common order")? == wanted
            }
            None => value.kind() != Kind::Json || Err("lists and maps have no order")?,
        };
        if better {
            let start = raw.as_ptr() as usize - batch.arena.as_ptr() as usize;
            best = Some((value, Span::new(start, raw.len())));
        }
        Ok(())
    })?;
    match best {
        Some((_, raw)) => {
            json::value_at(&mut context.batch.arena, raw).map_err(|error| error.to_string().into())
        }
        None => Ok(Value::NULL),
    }
}

fn zip(context: &mut Context, args: &[Value]) -> Outcome {
    context.write_json(|batch, out| {
        let pairs = elements(batch.bytes(args[0]))?.zip(elements(batch.bytes(args[1]))?);
        let mut before: &[u8] = b"[[";
        for (left, right) in pairs {
            check_depth(left)?;
            check_depth(right)?;
            for part in [before, left, b",", right, b"]"] {
                out.extend_from_slice(part);
            }
            before = b",[";
            check_length(out.len())?;
        }
        out.extend_from_slice(if before == b"[[" { b"[]" } else { b"]" });
        Ok(())
    })
}

fn range(context: &mut Context, args: &[Value]) -> Outcome {
    let int = |place: usize| args.get(place).and_then(|value| value.as_int());
    let (from, to, step) = (int(0).unwrap_or(0), int(1).unwrap_or(0), int(2).unwrap_or(1));
    if step == 0 {
        return Err("the step is 0".into());
    }
    context.write_json(|_, out| {
        let mut next = Some(from);
        let mut before = b'[';
        while let Some(n) = next.filter(|n| if step > 0 { *n < to } else { *n > to }) {
            out.push(before);
            before = b',';
            json::write_int(n, out);
            check_length(out.len())?;
            next = n.checked_add(step);
        }
        out.extend_from_slice(if before == b'[' { b"[]" } else { b"]" });
        Ok(())
    })
}
