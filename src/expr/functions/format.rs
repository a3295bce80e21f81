//! `format(fmt, …)`: placeholders as in C's printf, on values that know their kinds.

use super::context::{Context, Failure, Outcome, check_length};
use super::convert::write_scalar;
use crate::event::{Batch, Kind, Value};
use crate::expr::types::Type;
use std::fmt::Write;

/// Width and precision that a placeholder may ask for.
const MAX_WIDTH: usize = 1000;

/// `format(fmt, …)`.
pub(super) fn format(context: &mut Context, args: &[Value]) -> Outcome {
    if args[0].is_null() {
        return Ok(Value::NULL);
    }
    context.write(|batch, out| {
        let mut rest = batch.text(args[0]);
        let mut values = args.iter().enumerate().skip(1);
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let (placeholder, behind) = Placeholder::read(&rest[at + 1..])?;
            rest = behind;
            if placeholder.letter == '%' {
                out.push('%');
                continue;
            }
            let (place, value) = values.next().ok_or("there are fewer values than placeholders")?;
            placeholder.write(batch, place, *value, out)?;
            check_length(out.len())?;
        }
        out.push_str(rest);
        if values.next().is_some() { Err("there are more values than placeholders".into()) } else { Ok(()) }
    })
}

/// What stands behind a `%`.
#[derive(Default)]
struct Placeholder {
    left: bool,
    plus: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

impl Placeholder {
    /// Reads a placeholder, and the text behind it.
    fn read(text: &str) -> Result<(Placeholder, &str), Failure> {
        let mut placeholder = Placeholder::default();
        let flags = text.bytes().take_while(|b| b"-+0".contains(b)).count();
        for flag in text[..flags].bytes() {
            match flag {
                b'-' => placeholder.left = true,
                b'+' => placeholder.plus = true,
                _ => placeholder.zeros = true,
            }
        }
        let mut rest = &text[flags..];
        (placeholder.width, rest) = number(rest)?;
        if let Some(behind) = rest.strip_prefix('.') {
            let (precision, behind) = number(behind)?;
            placeholder.precision = Some(precision);
            rest = behind;
        }
        let mut chars = rest.chars();
        placeholder.letter = chars.next().ok_or("the format ends behind `%`")?;
        Ok((placeholder, chars.as_str()))
    }

    fn write(&self, batch: &Batch, place: usize, value: Value, out: &mut String) -> Result<(), Failure> {
        let start = out.len();
        let wrong = |wanted| Failure::Wrong(place, value.kind(), wanted);
        let precision = self.precision.unwrap_or(6);
        if self.plus && self.letter != 's' && value.as_number().is_some_and(|x| x >= 0.0) {
            out.push('+');
        }
        // Writing into a string does not fail.
        match self.letter {
            's' => write_scalar(batch, value, out)?,
            'd' | 'f' | 'e' | 'x' if value.is_null() => out.push_str("null"),
            'd' => _ = write!(out, "{}", value.as_int().ok_or(wrong(Type::INT))?),
            'x' => _ = write!(out, "{:x}", value.as_int().ok_or(wrong(Type::INT))?),
            'f' => _ = write!(out, "{:.precision$}", value.as_number().ok_or(wrong(Type::NUMBER))?),
            'e' => _ = write!(out, "{:.precision$e}", value.as_number().ok_or(wrong(Type::NUMBER))?),
            other => return Err(format!("`%{other}` is no placeholder").into()),
        }
        if let (Some(most), 's') = (self.precision, self.letter) {
            let end = out[start..].char_indices().nth(most).map_or(out.len(), |(at, _)| start + at);
            out.truncate(end);
        }
        let missing = self.width.saturating_sub(out[start..].chars().count());
        if self.left {
            out.push_str(&" ".repeat(missing));
        } else if self.zeros && matches!(value.kind(), Kind::Int | Kind::Float) && self.letter != 's' {
            let sign = usize::from(out[start..].starts_with(['-', '+']));
            out.insert_str(start + sign, &"0".repeat(missing));
        } else {
            out.insert_str(start, &" ".repeat(missing));
        }
        Ok(())
    }
}

/// The number that the text starts with, 0 without digits, and what is behind it.
fn number(text: &str) -> Result<(usize, &str), Failure> {
    let (digits, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    match digits.parse() {
        Ok(number) if number <= MAX_WIDTH => Ok((number, rest)),
        _ if digits.is_empty() => Ok((0, rest)),
        _ => Err("a width or precision is above 1000".into()),
    }
}
