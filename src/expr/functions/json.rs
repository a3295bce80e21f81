//! JSON text, and what is inside lists and maps.

use super::cached::Cached;
use super::context::{Context, Failure, Outcome};
use super::convert::{constant_text, short};
use super::map::Entries;
use super::spec::{Arg, Body, FunctionSpec, Group, Instance, Made, Returns, arg};
use crate::event::{Kind, Span, Step, Value, json};
use crate::expr::eval::step_into;
use crate::expr::literal::Literal;
use crate::expr::parse::parse;
use crate::expr::types::Type;

const MAP: &[Arg] = &[arg("m", Type::JSON)];
/// What can stand in JSON.
pub(super) const ITEM: Returns = Returns::Is(Type::SCALAR.or(Type::JSON));

const fn new(
    name: &'static str,
    args: &'static [Arg],
    returns: Returns,
    body: fn(&mut Context, &[Value]) -> Outcome,
) -> FunctionSpec {
    FunctionSpec::new(Group::Json, name, args, returns, Body::Plain(body))
}

/// The functions of this group, but for those on lists.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    new("json_parse", &[arg("s", Type::TEXT)], ITEM, json_parse).doc(
        "The value that a JSON text says.",
        &[("json_parse('{\"a\": [1, 2]}')", "{\"a\": [1, 2]}"), ("json_parse(' \"x\" ')", "\"x\"")],
    ),
    new("json_text", &[arg("v", Type::ANY)], Returns::Is(Type::TEXT), |cx, args| {
        cx.write_json(|batch, out| {
            match args[0].kind() {
                Kind::Json => json::write_compact(batch.bytes(args[0]), out),
                _ => json::write_value(batch, args[0], out),
            }
            Ok(())
        })
        .map(|json| Value::text(json.span()))
    })
    .doc(
        "The value as JSON text, without white space.",
        &[
            ("json_text(json_parse('[1, 2]'))", "\"[1,2]\""),
            ("json_text('a')", r#""\"a\"""#),
            ("json_text(1.0)", "\"1.0\""),
        ],
    ),
    FunctionSpec::new(
        Group::Json,
        "json_get",
        &[arg("v", Type::JSON.or(Type::TEXT)), arg("path", Type::TEXT)],
        ITEM,
        Body::Made(JsonGet::make),
    )
    .doc(
        "The value at a path inside a list or map, or inside JSON text; null if it is not there.",
        &[("json_get('{\"a\": [1, {\"b\": true}]}', 'a[1].b')", "true"), ("json_get('[5, 6]', '[1]')", "6")],
    ),
    new("type_of", &[arg("v", Type::ANY)], Returns::Is(Type::TEXT), type_of).with_nulls().doc(
        "The value's type: null, boolean, integer, float, text, bytes, timestamp, list or map.",
        &[
            ("type_of(1.5)", "\"float\""),
            ("type_of(json_parse('[]'))", "\"list\""),
            ("type_of(null)", "\"null\""),
        ],
    ),
    new("map_keys", MAP, Returns::Is(Type::JSON), |cx, args| {
        map_list(cx, args[0], |key, _, out| json::write_string(key.as_bytes(), out))
    })
    .doc(
        "The keys of a map, as a list.",
        &[("map_keys(json_parse('{\"a\": 1, \"b\": 2}'))", "[\"a\",\"b\"]")],
    ),
    new("map_values", MAP, Returns::Is(Type::JSON), |cx, args| {
        map_list(cx, args[0], |_, value, out| out.extend_from_slice(value))
    })
    .doc("The values of a map, as a list.", &[("map_values(json_parse('{\"a\": 1, \"b\": 2}'))", "[1,2]")]),
    new("map_get", &[arg("m", Type::JSON), arg("key", Type::TEXT)], ITEM, |cx, args| {
        let step = Step::Field(cx.text(args[1]).to_owned());
        step_into(cx.batch, args[0], &[step])
    })
    .doc(
        "The value of a key, null if it is not there; as `m[key]`.",
        &[("map_get(json_parse('{\"a\": 1}'), 'a')", "1")],
    ),
    new("map_merge", &[arg("a", Type::JSON), arg("b", Type::JSON)], Returns::Is(Type::JSON), map_merge).doc(
        "The entries of both maps; where both have a key, the value is that of `b`.",
        &[(
            "map_merge(json_parse('{\"a\": 1, \"b\": 2}'), json_parse('{\"b\": 3, \"c\": 4}'))",
            "{\"a\":1,\"b\":3,\"c\":4}",
        )],
    ),
];

fn json_parse(context: &mut Context, args: &[Value]) -> Outcome {
    let text = context.text(args[0]);
    if let Err(fault) = json::validate(text.as_bytes()) {
        return Err(format!("no JSON: {} at byte {}", fault.message, fault.offset).into());
    }
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let skipped = text.len() - text.trim_start_matches(space).len();
    let length = text.trim_matches(space).len();
    let raw = Span::new(args[0].span().start as usize + skipped, length);
    json::value_at(&mut context.batch.arena, raw).map_err(|error| error.to_string().into())
}

/// `json_get`, with the path it last met.
struct JsonGet(Cached<Vec<Step>>);

impl JsonGet {
    fn make(constants: &[Option<&Literal>]) -> Made {
        if let Some(path) = constant_text(constants, 1) {
            steps(path)?;
        }
        Ok(Box::new(JsonGet(Cached::default())))
    }
}

impl Instance for JsonGet {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let value = match args[0].kind() {
            Kind::Text => json_parse(context, args)?,
            _ => args[0],
        };
        let steps = self.0.get(context.text(args[1]), steps)?;
        step_into(context.batch, value, steps)
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(JsonGet(Cached::default()))
    }
}

/// The steps of a path, written as in an expression: `a.b[0]`, `[1].c`; a `$` may stand for the whole.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let inner = path.strip_prefix('$').unwrap_or(path);
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let whole = if inner.starts_with('[') { format!("whole{inner}") } else { format!("whole.{inner}") };
    let expr = parse(&whole).ok();
    let steps = expr.as_ref().and_then(|expr| expr.as_path()).map(|path| path.rest().to_vec());
    steps.ok_or_else(|| format!("`{}` is not a path such as `a.b[0]`", short(path)))
}

fn type_of(context: &mut Context, args: &[Value]) -> Outcome {
    let name = match args[0].kind() {
        Kind::Json if context.text(args[0]).starts_with('[') => "list",
        Kind::Json => "map",
        kind => kind.name(),
    };
    context.write(|_, out| {
        out.push_str(name);
        Ok(())
    })
}

/// The entries of a map in order, of equal keys the last.
fn entries(text: &[u8]) -> Result<Entries<'_, &[u8]>, Failure> {
    if !text.starts_with(b"{") {
        return Err("a list is not a map".into());
    }
    let mut entries = Entries::default();
    for (key, value) in json::entries(text) {
        entries.set(key, value);
    }
    Ok(entries)
}

fn map_list(context: &mut Context, map: Value, write: impl Fn(&str, &[u8], &mut Vec<u8>)) -> Outcome {
    context.write_json(|batch, out| {
        let mut before = b'[';
        for (key, value) in entries(batch.bytes(map))?.iter() {
            out.push(before);
            before = b',';
            write(key, value, out);
        }
        out.extend_from_slice(if before == b'[' { b"[]" } else { b"]" });
        Ok(())
    })
}

fn map_merge(context: &mut Context, args: &[Value]) -> Outcome {
    context.write_json(|batch, out| {
        let mut merged = entries(batch.bytes(args[0]))?;
        for (key, value) in entries(batch.bytes(args[1]))?.into_iter() {
            merged.set(key, value);
        }
        merged.write(out, |value, out| out.extend_from_slice(value))
    })
}

/// How many entries a map has.
pub(super) fn count_entries(text: &[u8]) -> Result<usize, Failure> {
    Ok(entries(text)?.iter().count())
}
