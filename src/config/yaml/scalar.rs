//! What a plain scalar means: the core schema of YAML 1.2 as serde_yaml reads it, which a test compares.

use crate::config::node::Meaning;

/// The meaning of a plain scalar. Never a list or map.
pub fn resolve(text: &str) -> Meaning<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        _ => {}
    }
    // Most texts are words: nothing that starts with a letter is a number.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Meaning::Text(text);
    }
    if let Some(int) = integer(text) {
        return match i64::try_from(int) {
            Ok(int) => Meaning::Int(int),
            Err(_) => Meaning::Float(int as f64),
        };
    }
    match float(text) {
        Some(float) => Meaning::Float(float),
        None => Meaning::Text(text),
    }
}

/// `12`, `+12`, `-12`, `0x1f`, `0o17`, `0b11`; digits behind a leading zero are text, as in a postal code.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => return None,
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let int = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -int } else { int })
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let leading_zero = unsigned.len() > 1 && unsigned.starts_with('0');
    if unsigned.starts_with(['+', '-']) || (leading_zero && unsigned.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}
