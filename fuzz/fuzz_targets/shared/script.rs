//! Scripts out of bytes, and what must hold of them: what the analysis does not name, a script neither reads nor
//! changes; and values come back from a script as they went in.

use headwater::dataflow::plugin::{from_lua, to_lua};
use headwater::event::{Batch, json};
use headwater::lua::fields::Fields;
use headwater::lua::{Budget, Machine, Script, Setup};
use mlua::{Lua, Table};
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// The fields of the event that scripts get: lists and maps have one element, so that their order says nothing.
const EVENT: &str = r#"{"a": 1, "b": "x", "c": {"a": [1]}, "d": [{"b": 2}], "e": null, "f": 0.5}"#;

/// Statements: `@` is an expression, `%` further statements.
const STATEMENTS: &[&str] = &[
    "local x = @;",
    "local y = @;",
    "local event = @;",
    "event.a = @;",
    "event.f = @;",
    "event['b'] = @;",
    "event[@] = @;",
    "event.c.a = @;",
    "event = @;",
    "x = @;",
    "x.a = @;",
    "x[1] = @;",
    "y.b = @;",
    "keep = @;",
    "@.a = @;",
    "event.a, x = @, @;",
    "if @ then % end",
    "if @ then % else % end",
    "do % end",
    "do return @ end",
    "do return event end",
    "for _, k in ipairs(@) do x = k; % end",
    "for k, v in pairs(@) do x = v; % end",
    "repeat % until true;",
    "while not @ do % break end",
    "(function(...) % end)(@);",
    "local function y(event, k) % end",
    "y(@, @);",
    "function x() % end",
    "table.insert(@, @);",
    "rawset(@, 'a', @);",
    "pcall(function() % end);",
    "goto l; ::l::;",
    "local x <const> = @;",
    "setmetatable(@, { __index = @ });",
    "coroutine.wrap(function() % end)();",
    "% %",
    "table.move(@, 1, 2, 1);",
    "load('event.a = 9')();",
    "local _ENV = @;",
    "local x = { @, a = @ };",
    "",
];

/// Expressions.
const EXPRESSIONS: &[&str] = &[
    "event",
    "event.a",
    "event.b",
    "event.c",
    "event.d",
    "event.e",
    "event['c']",
    "event[@]",
    "event.c.a",
    "event.d[1]",
    "x",
    "y",
    "k",
    "x.a",
    "x[1]",
    "keep",
    "_G.event",
    "nil",
    "true",
    "1",
    "2",
    "'a'",
    "'c'",
    "(@)",
    "@ and @",
    "@ or @",
    "not @",
    "@ == @",
    "#@",
    "{}",
    "{ @ }",
    "{ a = @ }",
    "{ event, @ }",
    "function(event) % return @ end",
    "(function(x) return x end)(@)",
    "select(1, @, @)",
    "rawget(@, 'a')",
    "next(@)",
    "type(@)",
    "process",
    "table.unpack({ @ })",
    "setmetatable({}, { __index = @ })",
    "load('return event')()",
    "(@)(@)",
    "...",
    "event:m(@)",
    "pcall(@, @)",
    "@ .. 'z'",
];

/// A script whose body is what these bytes stand for.
pub fn script(bytes: &[u8]) -> String {
    let (mut body, mut bytes) = (String::new(), bytes.iter());
    while bytes.len() > 0 {
        write("%", &mut bytes, &mut body);
    }
    format!("function process(event) {body}\nend")
}

/// Writes a template, its holes filled; without bytes they are filled with the least.
fn write(template: &str, bytes: &mut std::slice::Iter<'_, u8>, into: &mut String) {
    for letter in template.chars() {
        let choices = match letter {
            '%' => STATEMENTS,
            '@' => EXPRESSIONS,
            _ => {
                into.push(letter);
                continue;
            }
        };
        match bytes.next() {
            Some(byte) => write(choices[usize::from(*byte) % choices.len()], bytes, into),
            None if letter == '@' => into.push('1'),
            None => {}
        }
    }
}

/// What came of a call: what it gave, and the event behind it; none where it failed.
type Outcome = Option<(Json, Map<String, Json>)>;

fn number_as_float(value: Json) -> Json {
    match value {
        Json::Number(number) => Json::from(number.as_f64().unwrap_or_default()),
        Json::Array(all) => all.into_iter().map(number_as_float).collect(),
        // A table without anything is a list.
        Json::Object(all) if all.is_empty() => Json::Array(Vec::new()),
        Json::Object(all) => all.into_iter().map(|(key, value)| (key, number_as_float(value))).collect(),
        other => other,
    }
}

/// A script's value as JSON; none where no event can have it.
fn shown(value: &mlua::Value) -> Option<Json> {
    let mut batch = Batch::new(0, b"");
    let value = from_lua(value, &mut batch).ok()?;
    let mut text = Vec::new();
    json::write_value(&batch, value, &mut text);
    json::validate(&text).expect("what a script gives is JSON");
    Some(number_as_float(serde_json::from_slice(&text).expect("valid")))
}

/// A value as scripts get it.
fn given(lua: &Lua, value: &Json) -> mlua::Result<mlua::Value> {
    let mut batch = Batch::new(0, b"");
    let value = json::to_value(value.to_string().as_bytes(), &mut batch.arena).expect("numbers are in range");
    to_lua(lua, &batch, value)
}

/// Calls `process` with these fields. `None` if a budget ended it: what then is known depends on how much there was.
fn run(text: &str, event: &Map<String, Json>) -> Option<Outcome> {
    let budget = Budget { memory: 2 << 20, instructions: 20_000, time: Duration::from_secs(60) };
    let machine = match Machine::load(&Script::inline("fuzzed", text, None), budget, &Setup::default()) {
        Ok(machine) => machine,
        Err(fault) => return (!fault.kind.is_breach()).then_some(None),
    };
    let process = machine.global_function("process").expect("it is defined");
    let called = machine.call(|lua| {
        let table = lua.create_table()?;
        for (name, value) in event {
            table.raw_set(name.as_str(), given(lua, value)?)?;
        }
        Ok((process.call::<mlua::Value>(&table)?, table))
    });
    let (result, table) = match called {
        Ok(called) => called,
        Err(fault) => return (!fault.kind.is_breach()).then_some(None),
    };
    let result = told(&result, &table);
    Some(result.zip(fields_of(&table)))
}

/// What was returned, where events may stand in a list.
fn told(result: &mlua::Value, event: &Table) -> Option<Json> {
    match result {
        mlua::Value::Table(table) if table == event => Some(Json::from("the event")),
        mlua::Value::Table(list) if list.raw_len() > 0 => {
            let all =
                list.pairs::<mlua::Value, mlua::Value>().map(|pair| pair.ok().map(|(_, element)| element));
            all.map(|element| element.and_then(|element| told(&element, event))).collect()
        }
        other => shown(other),
    }
}

fn fields_of(table: &Table) -> Option<Map<String, Json>> {
    let pairs = table.pairs::<String, mlua::Value>();
    pairs.map(|pair| pair.ok().and_then(|(name, value)| Some((name, shown(&value)?)))).collect()
}

/// With only the fields that the analysis names, a script does what it does with all of them, and it changes no others.
///
/// # Panics
/// It does not.
pub fn check_analysis(text: &str) {
    let found = Fields::of(text);
    let calls_what_was_read = matches!(found.entries[..], [("process", 1)]);
    if found.whole.is_some() || !calls_what_was_read {
        return;
    }
    let Json::Object(all) = serde_json::from_str(EVENT).expect("valid") else { return };
    let is_named = |name: &String| found.reads().any(|field| field.name == *name);
    let named: Map<String, Json> = all.clone().into_iter().filter(|(name, _)| is_named(name)).collect();
    let (Some(with_all), Some(with_named)) = (run(text, &all), run(text, &named)) else { return };
    let (Some((result, after)), Some((result_named, after_named))) = (&with_all, &with_named) else {
        assert_eq!(with_all.is_some(), with_named.is_some(), "{text}");
        return;
    };
    assert_eq!(result, result_named, "{text}");
    let names = || all.keys().chain(after.keys());
    for name in names() {
        if found.writes().any(|field| field.name == *name) {
            assert_eq!(after.get(name), after_named.get(name), "{name} in {text}");
        } else {
            let before = all.get(name).filter(|value| !value.is_null()).cloned().map(number_as_float);
            assert_eq!(after.get(name), before.as_ref(), "{name} is written in {text}");
        }
    }
}

/// A value out of bytes.
fn value(bytes: &mut impl Iterator<Item = u8>, depth: usize) -> Json {
    let mut next = || bytes.next().unwrap_or_default();
    match next() % if depth < 4 { 8 } else { 6 } {
        0 => Json::Null,
        1 => Json::from(next() % 2 == 0),
        2 => Json::from(i64::from_le_bytes(std::array::from_fn(|_| next()))),
        3 => Json::from(f64::from(u32::from_le_bytes(std::array::from_fn(|_| next()))) / 1024.0),
        4 => Json::from(i64::from(next()) - 128),
        5 => (0..next() % 6).map(|_| char::from(next())).collect::<String>().into(),
        6 => {
            let count = next() % 4;
            (0..count).map(|_| value(bytes, depth + 1)).collect()
        }
        _ => {
            let count = next() % 4;
            let pairs = (0..count).map(|_| {
                let name = char::from(bytes.next().unwrap_or_default()).to_string();
                (name, value(bytes, depth + 1))
            });
            Json::Object(pairs.collect())
        }
    }
}

/// A value comes back from a script as it went in, but that maps without anything are lists.
///
/// # Panics
/// It does not.
pub fn check_values(bytes: &[u8]) {
    let expected = value(&mut bytes.iter().copied(), 0);
    let machine = Machine::load(&Script::inline("empty", "", None), Budget::default(), &Setup::default());
    let machine = machine.expect("nothing is easily loaded");
    let back = machine.call(|lua| Ok(shown(&given(lua, &expected)?)));
    assert_eq!(back.expect("nothing is called"), Some(number_as_float(expected)));
}
