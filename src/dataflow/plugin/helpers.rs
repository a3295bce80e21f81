//! What scripts are offered: the functions of expressions, and JSON.

use super::values::{from_lua, to_lua};
use crate::event::{Batch, Path, Row, Slot, Span, json};
use crate::expr::functions::{FunctionSpec, Group};
use crate::expr::{self, Functions, Literal, Program, Resolved, Scope, Type, UnknownField};
use crate::lua::Helper;
use crate::time::{Env, Millis, Random, Timestamp};
use mlua::{Lua, MultiValue, Value};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};

/// Most arguments of one call.
const MOST_ARGS: usize = 32;

/// Functions that ask something of the event that an expression stands in.
const OF_EVENTS: [&str; 2] = ["event_time", "ingest_time"];

/// Functions that stand elsewhere than their group says, or under another name.
const RENAMED: [(&str, &str, &str); 9] = [
    ("json_parse", "json", "decode"),
    ("to_base64", "base64", "encode"),
    ("from_base64", "base64", "decode"),
    ("to_hex", "text", "to_hex"),
    ("from_hex", "text", "from_hex"),
    ("to_utf8", "text", "to_utf8"),
    ("from_utf8", "text", "from_utf8"),
    ("geo_distance", "geo", "distance"),
    ("geo_within", "geo", "within"),
];

/// Functions of bytes that are hashes.
const HASHES: [&str; 7] = ["crc32", "md5", "sha1", "sha256", "sha512", "hmac_sha256", "xxhash64"];

/// Where a function stands in scripts: its module and its name there.
pub fn place_in_scripts(function: &FunctionSpec) -> Option<(&'static str, &'static str)> {
    if let Some((_, module, name)) = RENAMED.into_iter().find(|(name, ..)| *name == function.name) {
        return Some((module, name));
    }
    if function.volatile || OF_EVENTS.contains(&function.name) {
        return None;
    }
    let module = match function.group {
        Group::Text => "text",
        Group::Time => "time",
        Group::Geo => "geo",
        Group::Bytes if HASHES.contains(&function.name) => "hash",
        _ => return None,
    };
    Some((module, function.name))
}

/// All helpers, for one machine.
pub fn helpers() -> Vec<Helper> {
    let functions = Functions::standard();
    let offered = functions.all().into_iter().filter_map(|function| {
        let (module, name) = place_in_scripts(function)?;
        let called = Mutex::new(Called::new(function));
        Some(Helper::new(module, name, move |lua, args| {
            called.lock().unwrap_or_else(PoisonError::into_inner).call(lua, args)
        }))
    });
    offered.chain([Helper::new("json", "encode", encode)]).collect()
}

/// A value as JSON text.
fn encode(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let mut batch = Batch::new(1, b"");
    let value = args.front().cloned().unwrap_or(Value::Nil);
    let value = from_lua(&value, &mut batch).map_err(|why| raised("json.encode", &why))?;
    let mut text = Vec::new();
    json::write_value(&batch, value, &mut text);
    Ok(Value::String(lua.create_string(text)?))
}

fn raised(name: &str, why: &str) -> mlua::Error {
    mlua::Error::runtime(format!("{name}: {why}"))
}

/// A function of expressions at one place: compiled for each number of arguments that it is called with.
struct Called {
    name: &'static str,
    /// How many arguments it needs: nulls among them are handed on, further ones at the end are as good as absent.
    fewest: usize,
    programs: BTreeMap<usize, (Program, Batch)>,
    env: Env,
}

impl Called {
    fn new(function: &FunctionSpec) -> Called {
        // Nothing that is offered asks for any of this.
        let env = Env { now: Timestamp(0), elapsed: Millis(0), random: Random::seeded(0) };
        Called { name: function.name, fewest: function.arity().0, programs: BTreeMap::new(), env }
    }

    fn call(&mut self, lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
        let name = self.name;
        let given = args.iter().rposition(|arg| !arg.is_nil()).map_or(0, |last| last + 1);
        if given > MOST_ARGS {
            return Err(raised(name, "it has too many arguments"));
        }
        let count = given.max(args.len().min(self.fewest));
        let (program, batch) = match self.programs.entry(count) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => place.insert(compile(name, count).map_err(mlua::Error::runtime)?),
        };
        batch.clear();
        let row = batch.push_row(Timestamp(0), Timestamp(0));
        for (index, arg) in args.iter().take(count).enumerate() {
            let value = from_lua(arg, batch)
                .map_err(|why| raised(name, &format!("argument {}: {why}", index + 1)))?;
            batch.set(row, Slot(index as u16), value);
        }
        let (mut rows, mut rejects) = (vec![row], Vec::new());
        program.store(batch, &mut rows, Slot(count as u16), &mut self.env, &mut rejects);
        if let Some((_, reason)) = rejects.pop() {
            return Err(mlua::Error::runtime(reason.text.into_owned()));
        }
        to_lua(lua, batch, batch.get(Row(0), Slot(count as u16)))
    }
}

/// The call of a function with so many arguments, and a batch for them and the result.
fn compile(name: &str, count: usize) -> Result<(Program, Batch), String> {
    let args: Vec<String> = (0..count).map(|index| format!("a{index}")).collect();
    let text = format!("{name}({})", args.join(", "));
    let mut slots = Slots { constants: Vec::new() };
    let expression = expr::parse(&text).map_err(|fault| fault.message)?;
    let program =
        expr::compile(&expression, &mut slots, &Functions::standard()).map_err(|fault| fault.message)?;
    Ok((program, Batch::new(count + 1, &slots.constants)))
}

/// Arguments by number: `a0` is in the first slot.
struct Slots {
    constants: Vec<u8>,
}

impl Scope for Slots {
    fn field(&mut self, path: &Path) -> Result<Resolved, UnknownField> {
        let number = path.to_string().strip_prefix('a').and_then(|number| number.parse().ok());
        let slot = Slot(number.ok_or_else(UnknownField::default)?);
        Ok(Resolved { slot, ty: Type::ANY, rest: Vec::new() })
    }

    fn constant(&mut self, bytes: &[u8]) -> Span {
        self.constants.extend_from_slice(bytes);
        Span::new(self.constants.len() - bytes.len(), bytes.len())
    }

    fn param(&self, _: &str) -> Option<Literal> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lua::{Budget, Machine, Script, Setup};

    fn run(text: &str) -> Result<(), String> {
        let setup = Setup { helpers: &helpers(), install: None };
        let script = Script::inline("test", text, None);
        Machine::load(&script, Budget::default(), &setup).map(drop).map_err(|fault| fault.to_string())
    }

    #[test]
    fn functions_of_expressions_are_offered() {
        let script = "
            assert(text.upper('größe') == 'GRÖSSE' or text.upper('größe') == 'GRÖßE')
            assert(text.split_part('site/4/pump', '/', 2) == '4')
            assert(text.split('a,b', ',')[2] == 'b')
            assert(text.regexp_match('pump-07', '-[0-9]+$') == true)
            assert(text.position('x', 'headwater') == 0)
            assert(time.parse_time('1970-01-01 00:00:01', '%Y-%m-%d %H:%M:%S') == 1000)
            assert(time.date_trunc('hour', 3600001) == 3600000)
            assert(hash.crc32('') == 0 and #hash.sha256('x') > 0)
            assert(base64.encode('pump 4') == 'cHVtcCA0' and base64.decode('cHVtcCA0') == 'pump 4')
            assert(geo.distance(52.5, 13.4, 52.5, 13.4) == 0)
            assert(text.upper(nil) == nil)
            assert(text.to_hex('\\255') == 'ff')";
        assert_eq!(run(script), Ok(()));
    }

    #[test]
    fn json_goes_there_and_back() {
        let script = "
            local value = json.decode('{\"a\":[1,2.5,null],\"b\":{\"c\":\"x\"}}')
            assert(value.a[1] == 1 and value.a[2] == 2.5 and value.b.c == 'x')
            assert(json.encode(value) == '{\"a\":[1,2.5,null],\"b\":{\"c\":\"x\"}}')
            assert(json.encode('a\"') == '\"a\\\\\"\"' and json.encode(nil) == 'null' and json.encode(1.0) == '1.0')
            assert(json.decode(' 12 ') == 12)";
        assert_eq!(run(script), Ok(()));
    }

    #[test]
    fn wrong_calls_are_told() {
        for (call, why) in [
            ("text.upper()", "upper"),
            ("text.upper(1, 2)", "upper"),
            ("text.left('x', 'y')", "not an integer"),
            ("json.decode('{')", "json_parse"),
            ("json.encode(print)", "function"),
            ("time.parse_time('x', print)", "function"),
            ("text.levenshtein(('x'):rep(5000), ('y'):rep(5000))", "too long"),
        ] {
            let error = run(call).expect_err(call);
            assert!(error.starts_with("test:1: ") && error.contains(why), "{call}: {error}");
        }
    }

    #[test]
    fn all_that_is_offered_compiles() {
        for function in Functions::standard().all() {
            if place_in_scripts(function).is_some() {
                let compiled = compile(function.name, function.arity().0);
                assert!(compiled.is_ok(), "{}: {:?}", function.name, compiled.err());
            }
        }
    }
}
