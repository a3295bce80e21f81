//! What the text of a JSON number means.

use crate::event::Value;
use std::fmt;

/// A number that no 64-bit float can hold, such as `1e999`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("number out of range")
    }
}

impl std::error::Error for OutOfRange {}

/// Powers of ten that a float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The value of a number's text, which must be valid JSON: an integer where it is written as one and fits 64
/// signed bits, otherwise the nearest float (`-0` is the float -0.0).
pub fn number(text: &[u8]) -> Result<Value, OutOfRange> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (mut mantissa, mut point) = (0u64, None);
    if digits.len() > 19 {
        return slow(text);
    }
    for (i, &b) in digits.iter().enumerate() {
        match b {
            b'0'..=b'9' => mantissa = mantissa * 10 + (b - b'0') as u64,
            b'.' => point = Some(i + 1),
            _ => return slow(text),
        }
    }
    let value = match point {
        None => whole_number(negative, mantissa),
        Some(at) => decimal(negative, mantissa, digits.len() - at),
    };
    value.map_or_else(|| slow(text), Ok)
}

/// The number without decimals, if it fits an integer or is -0.0.
#[inline(always)]
pub(crate) fn whole_number(negative: bool, digits: u64) -> Option<Value> {
    let int = i64::try_from(digits).ok()?;
    if negative && int == 0 {
        return Some(Value::float(-0.0));
    }
    Some(Value::int(if negative { -int } else { int }))
}

/// `mantissa` with its last `decimals` digits behind the point, if that needs no rounding but one. (Clinger 1990:
/// a division of two exact floats is rounded once, hence correctly.)
#[inline(always)]
pub(crate) fn decimal(negative: bool, mantissa: u64, decimals: usize) -> Option<Value> {
    if mantissa >= 1 << 53 {
        return None;
    }
    let float = mantissa as f64 / POWERS.get(decimals)?;
    Some(Value::float(if negative { -float } else { float }))
}

/// Any number, by the standard library, which rounds correctly.
#[cold]
pub(crate) fn slow(text: &[u8]) -> Result<Value, OutOfRange> {
    let text = str::from_utf8(text).map_err(|_| OutOfRange)?;
    if let Ok(int) = text.parse::<i64>()
        && text != "-0"
    {
        return Ok(Value::int(int));
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Value::float(float)),
        _ => Err(OutOfRange),
    }
}
