//! Regular expressions, in the syntax of the `regex` crate: linear in time, without look-around.

use super::cached::Cached;
use super::context::{Context, Failure, Outcome, check_length};
use super::convert::constant_text;
use super::spec::{Arg, Body, FunctionSpec, Group, Instance, Made, Make, Returns, arg, optional};
use crate::event::{Value, json};
use crate::expr::literal::Literal;
use crate::expr::types::Type;
use regex::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may take.
const MAX_PATTERN_BYTES: usize = 1 << 20;

const MATCH: &[Arg] = &[arg("s", Type::TEXT), arg("pattern", Type::TEXT)];
const EXTRACT: &[Arg] = &[arg("s", Type::TEXT), arg("pattern", Type::TEXT), optional("group", Type::INT)];
const REPLACE: &[Arg] = &[arg("s", Type::TEXT), arg("pattern", Type::TEXT), arg("by", Type::TEXT)];

const fn new(name: &'static str, args: &'static [Arg], returns: Type, make: Make) -> FunctionSpec {
    FunctionSpec::new(Group::Text, name, args, Returns::Is(returns), Body::Made(make))
}

/// The functions on patterns.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    new("regexp_match", MATCH, Type::BOOL, |constants| Regexp::make(constants, matches))
        .doc("Whether the pattern is found anywhere in the text.", &[("regexp_match('pump-07', '-[0-9]+$')", "true")]),
    new("regexp_extract", EXTRACT, Type::TEXT, |constants| Regexp::make(constants, extract)).doc(
        "The first match of the pattern, or of one of its groups (0, the default, is all of it); null without match.",
        &[
            ("regexp_extract('pump-07', '([a-z]+)-([0-9]+)', 2)", "\"07\""),
            ("regexp_extract('pump', '[0-9]+')", "null"),
        ],
    ),
    new("regexp_extract_all", EXTRACT, Type::JSON, |constants| Regexp::make(constants, extract_all)).doc(
        "All matches of the pattern, or of one of its groups, as a list.",
        &[("regexp_extract_all('a1 b22', '[a-z]([0-9]+)', 1)", "[\"1\",\"22\"]")],
    ),
    new("regexp_replace", REPLACE, Type::TEXT, |constants| Regexp::make(constants, replace)).doc(
        "Each match of the pattern replaced by a text, in which `$1` or `${name}` stands for a group.",
        &[("regexp_replace('2026-01-31', '(\\d+)-(\\d+)-(\\d+)', '$3.$2.$1')", "\"31.01.2026\"")],
    ),
];

type Use = fn(&Regex, &mut Context, &[Value]) -> Outcome;

/// A function of a pattern, with the pattern it last met.
struct Regexp {
    pattern: Cached<Regex>,
    body: Use,
}

impl Regexp {
    fn make(constants: &[Option<&Literal>], body: Use) -> Made {
        if let Some(pattern) = constant_text(constants, 1) {
            let regex = compile(pattern)?;
            if let Some(Some(Literal::Int(group))) = constants.get(2) {
                check_group(&regex, *group)?;
            }
        }
        Ok(Box::new(Regexp { pattern: Cached::default(), body }))
    }
}

impl Instance for Regexp {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let regex = self.pattern.get(context.text(args[1]), compile)?;
        (self.body)(regex, context, args)
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(Regexp { pattern: Cached::default(), body: self.body })
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    builder.build().map_err(|error| match error {
        // Several lines, of which the last says what is wrong.
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default();
            format!("the pattern is faulty: {}", last.trim_start_matches("error: "))
        }
        regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
        other => other.to_string(),
    })
}

fn check_group(regex: &Regex, group: i64) -> Result<usize, String> {
    let last = regex.captures_len() - 1;
    let group = usize::try_from(group).ok().filter(|group| *group <= last);
    group.ok_or_else(|| format!("the pattern has groups 0 to {last}"))
}

/// The group that the third argument asks for.
fn group(regex: &Regex, args: &[Value]) -> Result<usize, Failure> {
    let group = args.get(2).and_then(|group| group.as_int()).unwrap_or(0);
    Ok(check_group(regex, group)?)
}

fn matches(regex: &Regex, context: &mut Context, args: &[Value]) -> Outcome {
    Ok(Value::bool(regex.is_match(context.text(args[0]))))
}

fn extract(regex: &Regex, context: &mut Context, args: &[Value]) -> Outcome {
    let text = context.text(args[0]);
    let found = match group(regex, args)? {
        0 => regex.find(text),
        group => regex.captures(text).and_then(|captures| captures.get(group)),
    };
    Ok(found.map_or(Value::NULL, |found| context.part(args[0], found.range())))
}

fn extract_all(regex: &Regex, context: &mut Context, args: &[Value]) -> Outcome {
    let group = group(regex, args)?;
    context.write_json(|batch, out| {
        out.push(b'[');
        for captures in regex.captures_iter(batch.text(args[0])) {
            if out.len() > 1 {
                out.push(b',');
            }
            match captures.get(group) {
                Some(found) => json::write_string(found.as_str().as_bytes(), out),
                None => out.extend_from_slice(b"null"),
            }
            check_length(out.len())?;
        }
        out.push(b']');
        Ok(())
    })
}

fn replace(regex: &Regex, context: &mut Context, args: &[Value]) -> Outcome {
    context.write(|batch, out| {
        let (text, by) = (batch.text(args[0]), batch.text(args[2]));
        let mut done = 0;
        for captures in regex.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            out.push_str(&text[done..whole.start()]);
            captures.expand(by, out);
            check_length(out.len())?;
            done = whole.end();
        }
        out.push_str(&text[done..]);
        Ok(())
    })
}
