//! Text. Lengths and positions count characters; positions start at 1.

use super::context::{Context, Outcome, check_length};
use super::convert::{parse_number, write_scalar};
use super::format::format;
use super::spec::{Arg, Body, FunctionSpec, Group, Returns, arg, optional, repeated};
use crate::event::Value;
use crate::expr::types::Type;

const S: &[Arg] = &[arg("s", Type::TEXT)];
const TRIM: &[Arg] = &[arg("s", Type::TEXT), optional("characters", Type::TEXT)];
const COUNT: &[Arg] = &[arg("s", Type::TEXT), arg("n", Type::INT)];
const PAD: &[Arg] = &[arg("s", Type::TEXT), arg("n", Type::INT), optional("pad", Type::TEXT)];
const PART: &[Arg] = &[arg("s", Type::TEXT), arg("part", Type::TEXT)];
const TEXT: Returns = Returns::Is(Type::TEXT);
const INT: Returns = Returns::Is(Type::INT);
const BOOL: Returns = Returns::Is(Type::BOOL);

const fn new(
    name: &'static str,
    args: &'static [Arg],
    returns: Returns,
    body: fn(&mut Context, &[Value]) -> Outcome,
) -> FunctionSpec {
    FunctionSpec::new(Group::Text, name, args, returns, Body::Plain(body))
}

/// The functions of this group, but for those on patterns and parts.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    new("length", S, INT, |cx, args| Ok(Value::int(cx.text(args[0]).chars().count() as i64)))
        .doc("The number of characters.", &[("length('größe')", "5")]),
    new("upper", S, TEXT, |cx, args| map_chars(cx, args[0], |c, text| text.extend(c.to_uppercase())))
        .doc("In upper case.", &[("upper('Straße')", "\"STRASSE\"")]),
    new("lower", S, TEXT, |cx, args| map_chars(cx, args[0], |c, text| text.extend(c.to_lowercase())))
        .doc("In lower case.", &[("lower('ABC')", "\"abc\"")]),
    new("trim", TRIM, TEXT, |cx, args| Ok(trimmed(cx, args, true, true))).doc(
        "Without the white space, or the given characters, at both ends.",
        &[("trim('  a b ')", "\"a b\""), ("trim('--a-', '-')", "\"a\"")],
    ),
    new("ltrim", TRIM, TEXT, |cx, args| Ok(trimmed(cx, args, true, false)))
        .doc("As `trim`, at the start alone.", &[("ltrim('  a ')", "\"a \"")]),
    new("rtrim", TRIM, TEXT, |cx, args| Ok(trimmed(cx, args, false, true)))
        .doc("As `trim`, at the end alone.", &[("rtrim('  a ')", "\"  a\"")]),
    new(
        "substring",
        &[arg("s", Type::TEXT), arg("from", Type::INT), optional("n", Type::INT)],
        TEXT,
        substring,
    )
    .doc(
        "At most `n` characters from position `from`, which counts from 1, or from the end if it is negative.",
        &[
            ("substring('headwater', 5)", "\"water\""),
            ("substring('headwater', 1, 4)", "\"head\""),
            ("substring('headwater', -5, 3)", "\"wat\""),
        ],
    ),
    new("left", COUNT, TEXT, |cx, args| Ok(ends(cx, args).0))
        .doc("The first `n` characters.", &[("left('headwater', 4)", "\"head\"")]),
    new("right", COUNT, TEXT, |cx, args| Ok(ends(cx, args).1))
        .doc("The last `n` characters.", &[("right('headwater', 5)", "\"water\"")]),
    new("lpad", PAD, TEXT, |cx, args| padded(cx, args, true)).doc(
        "Filled at the start to `n` characters, with blanks or `pad`; cut to `n` if longer.",
        &[("lpad('7', 3, '0')", "\"007\""), ("lpad('1234', 3)", "\"123\"")],
    ),
    new("rpad", PAD, TEXT, |cx, args| padded(cx, args, false))
        .doc("As `lpad`, at the end.", &[("rpad('ab', 5, '.-')", "\"ab.-.\"")]),
    new("replace", &[arg("s", Type::TEXT), arg("from", Type::TEXT), arg("to", Type::TEXT)], TEXT, replace)
        .doc("With each `from` replaced by `to`.", &[("replace('a-b-c', '-', '+')", "\"a+b+c\"")]),
    new("reverse", S, TEXT, |cx, args| {
        cx.write(|batch, text| {
            text.extend(batch.text(args[0]).chars().rev());
            Ok(())
        })
    })
    .doc("The characters in reverse order.", &[("reverse('abc')", "\"cba\"")]),
    new("repeat", COUNT, TEXT, repeat).doc("`n` times over.", &[("repeat('ab', 3)", "\"ababab\"")]),
    new("concat", &[arg("x", Type::SCALAR), repeated("y", Type::SCALAR)], TEXT, |cx, args| {
        cx.write(|batch, text| args.iter().try_for_each(|value| write_scalar(batch, *value, text)))
    })
    .doc(
        "The values as one text, as with `||`; null if one is null.",
        &[("concat('line ', 4, true)", "\"line 4true\"")],
    ),
    new("concat_ws", &[arg("separator", Type::TEXT), repeated("x", Type::SCALAR)], TEXT, concat_ws)
        .with_nulls()
        .doc(
            "The values that are not null as one text, with a separator between them.",
            &[("concat_ws('/', 'site', null, 4)", "\"site/4\"")],
        ),
    new("starts_with", PART, BOOL, |cx, args| {
        Ok(Value::bool(cx.text(args[0]).starts_with(cx.text(args[1]))))
    })
    .doc("Whether the text starts with the part.", &[("starts_with('headwater', 'head')", "true")]),
    new("ends_with", PART, BOOL, |cx, args| Ok(Value::bool(cx.text(args[0]).ends_with(cx.text(args[1])))))
        .doc("Whether the text ends with the part.", &[("ends_with('headwater', 'head')", "false")]),
    new("contains", PART, BOOL, |cx, args| {
        let (text, part) = (cx.text(args[0]).as_bytes(), cx.text(args[1]).as_bytes());
        Ok(Value::bool(memchr::memmem::find(text, part).is_some()))
    })
    .doc("Whether the part stands anywhere in the text.", &[("contains('headwater', 'dwa')", "true")]),
    new("position", &[arg("part", Type::TEXT), arg("s", Type::TEXT)], INT, position).doc(
        "The position of the first place where the part stands, 0 if nowhere; also written `position(part IN s)`.",
        &[("position('water' IN 'headwater')", "5"), ("position('x', 'headwater')", "0")],
    ),
    new("initcap", S, TEXT, initcap)
        .doc("Each word with a capital first letter.", &[("initcap('new YORK')", "\"New York\"")]),
    new("translate", &[arg("s", Type::TEXT), arg("from", Type::TEXT), arg("to", Type::TEXT)], TEXT, translate)
        .doc(
            "Each character that is in `from` replaced by the one at its place in `to`, or left out if there is none.",
            &[("translate('3,14 m', ', ', '.')", "\"3.14m\"")],
        ),
    new("ascii", S, INT, |cx, args| {
        Ok(Value::int(cx.text(args[0]).chars().next().map_or(0, |c| u32::from(c).into())))
    })
    .doc("The number (code point) of the first character, 0 for empty text.", &[("ascii('A')", "65")]),
    new("chr", &[arg("n", Type::INT)], TEXT, chr)
        .doc("The character with a number (code point).", &[("chr(8364)", "\"€\"")]),
    new("to_number", &[arg("s", Type::TEXT.or(Type::NUMBER))], Returns::Is(Type::NUMBER), to_number).doc(
        "The number that the text is: an integer where it is written as one, otherwise a float.",
        &[("to_number(' 42 ')", "42"), ("to_number('1e3')", "1000.0")],
    ),
    new("format", &[arg("format", Type::TEXT), repeated("x", Type::SCALAR)], TEXT, format).with_nulls().doc(
        "The format with its placeholders replaced by the arguments in order: `%s` anything, `%d` integer, `%f` `%e` \
         number, `%x` hexadecimal, `%%` a percent sign; with `-`, `+`, `0`, width and precision as in C.",
        &[("format('%s: %6.2f (%03d)', 'a', 3.14159, 7)", "\"a:   3.14 (007)\"")],
    ),
    new("levenshtein", &[arg("a", Type::TEXT), arg("b", Type::TEXT)], INT, levenshtein).doc(
        "How many characters must be inserted, deleted or replaced to make `b` of `a`.",
        &[("levenshtein('kitten', 'sitting')", "3")],
    ),
];

fn int(args: &[Value], place: usize) -> i64 {
    args.get(place).and_then(|value| value.as_int()).unwrap_or_default()
}

fn map_chars(cx: &mut Context, value: Value, map: impl Fn(char, &mut String)) -> Outcome {
    cx.write(|batch, text| {
        batch.text(value).chars().for_each(|c| map(c, text));
        Ok(())
    })
}

fn trimmed(cx: &Context, args: &[Value], start: bool, end: bool) -> Value {
    let mut text = cx.text(args[0]);
    let set = args.get(1).map(|set| cx.text(*set));
    let strip = |c: char| set.map_or(c.is_whitespace(), |set| set.contains(c));
    if start {
        text = text.trim_start_matches(strip);
    }
    if end {
        text = text.trim_end_matches(strip);
    }
    cx.slice(args[0], text)
}

/// The byte at which the character with a number (from 0) begins, or the end of the text.
fn offset(text: &str, chars: usize) -> usize {
    text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at)
}

/// The byte at which the last `chars` characters begin.
fn offset_back(text: &str, chars: usize) -> usize {
    match chars {
        0 => text.len(),
        _ => text.char_indices().rev().nth(chars - 1).map_or(0, |(at, _)| at),
    }
}

fn substring(cx: &mut Context, args: &[Value]) -> Outcome {
    let text = cx.text(args[0]);
    let from = int(args, 1);
    let start = match usize::try_from(from) {
        Ok(from) => offset(text, from.saturating_sub(1)),
        Err(_) => offset_back(text, from.unsigned_abs() as usize),
    };
    let rest = &text[start..];
    let length = match args.get(2) {
        Some(_) => offset(rest, usize::try_from(int(args, 2)).unwrap_or(0)),
        None => rest.len(),
    };
    Ok(cx.part(args[0], start..start + length))
}

/// The first and the last n characters.
fn ends(cx: &Context, args: &[Value]) -> (Value, Value) {
    let text = cx.text(args[0]);
    let chars = usize::try_from(int(args, 1)).unwrap_or(0);
    let (first, last) = (offset(text, chars), offset_back(text, chars));
    (cx.part(args[0], 0..first), cx.part(args[0], last..text.len()))
}

fn padded(cx: &mut Context, args: &[Value], start: bool) -> Outcome {
    let chars = usize::try_from(int(args, 1)).unwrap_or(0);
    check_length(chars)?;
    let text = cx.text(args[0]);
    let missing = chars.saturating_sub(text.chars().count());
    let pad = args.get(2).map_or(" ", |pad| cx.text(*pad));
    if missing == 0 || pad.is_empty() {
        return Ok(cx.part(args[0], 0..offset(text, chars)));
    }
    cx.write(|batch, out| {
        let pad = args.get(2).map_or(" ", |pad| batch.text(*pad));
        let filling = pad.chars().cycle().take(missing);
        if start {
            out.extend(filling);
            out.push_str(batch.text(args[0]));
        } else {
            out.push_str(batch.text(args[0]));
            out.extend(filling);
        }
        Ok(())
    })
}

fn replace(cx: &mut Context, args: &[Value]) -> Outcome {
    if cx.text(args[1]).is_empty() {
        return Ok(args[0]);
    }
    cx.write(|batch, out| {
        let [text, from, to] = [0, 1, 2].map(|place| batch.text(args[place]));
        let mut done = 0;
        for (at, _) in text.match_indices(from) {
            out.push_str(&text[done..at]);
            out.push_str(to);
            check_length(out.len())?;
            done = at + from.len();
        }
        out.push_str(&text[done..]);
        Ok(())
    })
}

fn repeat(cx: &mut Context, args: &[Value]) -> Outcome {
    let times = usize::try_from(int(args, 1)).unwrap_or(0);
    check_length(cx.text(args[0]).len().saturating_mul(times))?;
    cx.write(|batch, out| {
        // Bounded by the length unless the text is empty.
        let times = if batch.text(args[0]).is_empty() { 0 } else { times };
        (0..times).for_each(|_| out.push_str(batch.text(args[0])));
        Ok(())
    })
}

fn concat_ws(cx: &mut Context, args: &[Value]) -> Outcome {
    if args[0].is_null() {
        return Ok(Value::NULL);
    }
    cx.write(|batch, out| {
        let mut first = true;
        for value in args[1..].iter().filter(|value| !value.is_null()) {
            if !first {
                out.push_str(batch.text(args[0]));
            }
            first = false;
            write_scalar(batch, *value, out)?;
        }
        Ok(())
    })
}

fn position(cx: &mut Context, args: &[Value]) -> Outcome {
    let (part, text) = (cx.text(args[0]), cx.text(args[1]));
    Ok(Value::int(match memchr::memmem::find(text.as_bytes(), part.as_bytes()) {
        Some(at) => text[..at].chars().count() as i64 + 1,
        None => 0,
    }))
}

fn initcap(cx: &mut Context, args: &[Value]) -> Outcome {
    cx.write(|batch, out| {
        let mut inside = false;
        for c in batch.text(args[0]).chars() {
            if inside {
                out.extend(c.to_lowercase());
            } else {
                out.extend(c.to_uppercase());
            }
            inside = c.is_alphanumeric();
        }
        Ok(())
    })
}

fn translate(cx: &mut Context, args: &[Value]) -> Outcome {
    cx.write(|batch, out| {
        let [text, from, to] = [0, 1, 2].map(|place| batch.text(args[place]));
        for c in text.chars() {
            match from.chars().position(|f| f == c) {
                Some(place) => out.extend(to.chars().nth(place)),
                None => out.push(c),
            }
        }
        Ok(())
    })
}

fn chr(cx: &mut Context, args: &[Value]) -> Outcome {
    let c = u32::try_from(int(args, 0)).ok().and_then(char::from_u32);
    let c = c.ok_or("there is no character with this number")?;
    cx.write(|_, out| {
        out.push(c);
        Ok(())
    })
}

fn to_number(cx: &mut Context, args: &[Value]) -> Outcome {
    if args[0].as_number().is_some() {
        return Ok(args[0]);
    }
    parse_number(cx.text(args[0])).ok_or("the text is not a number".into())
}

fn levenshtein(cx: &mut Context, args: &[Value]) -> Outcome {
    const MOST_STEPS: usize = 1_000_000;
    let (a, b) = (cx.text(args[0]), cx.text(args[1]));
    if a.len().saturating_mul(b.len()) > MOST_STEPS {
        return Err("the texts are too long to be compared".into());
    }
    Ok(Value::int(strsim::levenshtein(a, b) as i64))
}
