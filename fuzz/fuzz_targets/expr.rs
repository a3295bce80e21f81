//! Any text as an expression: it is refused, or its canonical text reads as the same expression, and it computes only
//! proper values.

#![no_main]

use headwater::event::{Batch, Kind, Path, Row, Slot, Span, Value, json};
use headwater::expr::{Functions, Literal, Resolved, Scope, Type, UnknownField, compile, parse};
use headwater::time::{Env, Millis, Random, Timestamp};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const FIELDS: [&str; 4] = ["a", "b", "c", "d"];

/// What a byte from 0x80 on stands for, so that random bytes are often expressions.
const WORDS: &[&str] = &[
    " AND ",
    " OR ",
    "NOT ",
    " IS NULL",
    " IS NOT NULL",
    " IS DISTINCT FROM ",
    " BETWEEN ",
    " IN (",
    " LIKE ",
    " ILIKE ",
    " ESCAPE '!'",
    "CASE ",
    " WHEN ",
    " THEN ",
    " ELSE ",
    " END",
    "CAST(",
    "TRY_CAST(",
    " AS INT)",
    " AS DOUBLE)",
    " AS TEXT)",
    " AS BOOLEAN)",
    " AS TIMESTAMP)",
    "TIMESTAMP '2026-01-31'",
    "INTERVAL '5' MINUTE",
    "INTERVAL '1' MONTH",
    " || ",
    " <> ",
    " <= ",
    " >= ",
    "a",
    "b",
    "c",
    "d",
    "ü€😀",
    "9223372036854775807",
    "1e308",
    "'%_!%'",
    "'{\"a\": [1, \"\\u00fc\"]}'",
    "'Europe/Berlin'",
    "'%Y-%m-%d %H:%M:%S %z'",
    "'month'",
    "'ns'",
    "'^(a+)+$'",
    "`odd name`",
    "param('p')",
    "true",
    "null",
    "[0]",
    ".a",
    "transform(a, x -> ",
    "filter(c, x -> ",
    "x",
    " -> ",
];

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(Functions::standard);

static NAMES: LazyLock<Vec<&str>> =
    LazyLock::new(|| FUNCTIONS.all().iter().map(|function| function.name).collect());

/// ASCII as it is; other bytes as words, and the rest of them as calls of functions.
fn expand(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut bytes = bytes.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            0..0x80 => text.push(byte.into()),
            _ => match WORDS.get(usize::from(byte - 0x80)) {
                Some(word) => text.push_str(word),
                None => {
                    let place = usize::from(*bytes.next().unwrap_or(&0)) % NAMES.len();
                    text.push_str(NAMES[place]);
                    text.push('(');
                }
            },
        }
    }
    text
}

#[derive(Default)]
struct Open {
    constants: Vec<u8>,
}

impl Scope for Open {
    fn field(&mut self, path: &Path) -> Result<Resolved, UnknownField> {
        let slot = FIELDS.iter().position(|field| *field == path.root()).ok_or_else(UnknownField::default)?;
        // Of `d` it is known that it holds numbers.
        let ty = if slot == 3 { Type::NUMBER } else { Type::ANY };
        Ok(Resolved { slot: Slot(slot as u16), ty, rest: path.rest().to_vec() })
    }

    fn constant(&mut self, bytes: &[u8]) -> Span {
        let start = self.constants.len();
        self.constants.extend_from_slice(bytes);
        Span::new(start, bytes.len())
    }

    fn param(&self, name: &str) -> Option<Literal> {
        (name == "p").then_some(Literal::Float(0.5))
    }
}

fn batch(constants: &[u8]) -> Batch {
    let mut batch = Batch::new(FIELDS.len() + 1, constants);
    let text = |batch: &mut Batch, text: &str| Value::text(batch.store(text.as_bytes()));
    let map = batch.store(br#"{"a": 1, "b": {"x": ["\"", null]}, "a": [1e999, -0]}"#);
    let list = batch.store(br#"[3, 1.5, "x", null, [], {"k": true}]"#);
    let bytes = batch.store(&[0, 0xFF]);
    let values = [
        Value::NULL,
        Value::bool(true),
        Value::int(i64::MIN),
        Value::int(-1),
        Value::float(-0.0),
        Value::float(f64::MAX),
        Value::timestamp(i64::MAX),
        Value::timestamp(1_769_846_400_000),
        text(&mut batch, ""),
        text(&mut batch, "Straße 7 \u{1F600}\n\"a\"=1"),
        text(&mut batch, "12.50"),
        text(&mut batch, "[1, {\"a\": \"\\ud83d\\ude00\"}]"),
        Value::json(map),
        Value::json(list),
        Value::bytes(bytes),
    ];
    for i in 0..values.len() {
        let row = batch.push_row(Timestamp(i as i64), Timestamp::MIN);
        for slot in 0..3 {
            batch.set(row, Slot(slot as u16), values[(i * (slot + 1) + slot) % values.len()]);
        }
        let number = if i % 2 == 0 { Value::int(i as i64 - 7) } else { Value::float(i as f64 / 4.0) };
        batch.set(row, Slot(3), number);
    }
    batch
}

/// Every cell is one that the rest of the program may meet.
fn check(batch: &Batch, value: Value) {
    match value.kind() {
        Kind::Float => assert!(value.as_float().is_some_and(f64::is_finite)),
        Kind::Text => {
            let text = std::str::from_utf8(batch.bytes(value)).expect("text is UTF-8");
            assert!(!value.is_plain() || json::is_plain(text.as_bytes()));
        }
        Kind::Json => {
            let text = batch.bytes(value);
            json::validate(text).expect("lists and maps are JSON");
            assert!(matches!(text, [b'[', .., b']'] | [b'{', .., b'}']));
        }
        _ => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let text = expand(bytes);
    let expr = match parse(&text) {
        Ok(expr) => expr,
        Err(fault) => {
            assert!(text.get(fault.span.clone()).is_some(), "{fault:?}");
            return;
        }
    };
    let canonical = expr.to_string();
    match parse(&canonical) {
        Ok(again) => assert_eq!(again, expr, "{canonical}"),
        // Canonical text may be longer than what was written.
        Err(fault) => assert!(canonical.len() > text.len(), "{canonical}: {fault}"),
    }
    let mut scope = Open::default();
    let mut program = match compile(&expr, &mut scope, &FUNCTIONS) {
        Ok(program) => program,
        Err(fault) => {
            assert!(text.get(fault.span.clone()).is_some(), "{fault:?}");
            return;
        }
    };
    let mut env = Env { now: Timestamp(5), elapsed: Millis::ZERO, random: Random::seeded(7) };
    // Twice, as what is kept from batch to batch must not matter.
    for _ in 0..2 {
        let mut batch = batch(&scope.constants);
        let all: Vec<Row> = (0..batch.len() as u32).map(Row).collect();
        let (mut rows, mut rejects) = (all.clone(), Vec::new());
        program.store(&mut batch, &mut rows, Slot(4), &mut env, &mut rejects);
        assert_eq!(rows.len() + rejects.len(), all.len());
        for &row in &all {
            let value = batch.get(row, Slot(4));
            check(&batch, value);
            assert!(program.ty().has(value.kind()), "{value:?} is not {}", program.ty());
        }
        let mut rows = all.clone();
        rejects.clear();
        program.filter(&mut batch, &mut rows, &mut env, &mut rejects);
        assert!(rows.iter().all(|row| rejects.iter().all(|(rejected, _)| rejected != row)));
    }
});
