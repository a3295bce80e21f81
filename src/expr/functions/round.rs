//! Rounding in decimal.

use super::context::{Context, Outcome, finite};
use crate::event::Value;

/// Powers of ten that a float holds exactly.
const EXACT: usize = 22;

/// `round(x[, n])`.
pub(super) fn round(_: &mut Context, args: &[Value]) -> Outcome {
    let places = args.get(1).and_then(|n| n.as_int()).unwrap_or(0);
    match args[0].as_int() {
        Some(n) => round_int(n, places),
        None => finite(round_float(args[0].as_float().unwrap_or_default(), places)),
    }
}

/// `trunc(x)`.
pub(super) fn trunc(_: &mut Context, args: &[Value]) -> Outcome {
    Ok(args[0].as_float().map_or(args[0], |x| Value::float(x.trunc())))
}

fn round_int(n: i64, places: i64) -> Outcome {
    if places >= 0 {
        return Ok(Value::int(n));
    }
    let unit = u32::try_from(places.unsigned_abs()).ok().and_then(|zeros| 10i128.checked_pow(zeros));
    // Beyond 128 bits every integer is nearer to zero.
    let Some(unit) = unit else { return Ok(Value::int(0)) };
    let n = i128::from(n);
    let half = unit / 2;
    let rounded = (n + if n < 0 { -half } else { half }) / unit * unit;
    i64::try_from(rounded).map(Value::int).map_err(|_| "integer overflow".into())
}

/// Rounds the shortest decimal that reads back as `x`, halves away from zero.
fn round_float(x: f64, places: i64) -> f64 {
    if let Some(rounded) = quickly(x, places) {
        return rounded;
    }
    round_digits(x, places)
}

/// Scales, rounds and scales back where that is exact: the quotient of two integers that floats hold is the
/// float nearest to the decimal. None near a half, where scaling could have gone to the wrong side, and out
/// of range.
fn quickly(x: f64, places: i64) -> Option<f64> {
    let power = 10f64.powi(i32::try_from(places).ok().filter(|n| (0..=EXACT as i32).contains(n))?);
    let scaled = x * power;
    let off_half = (scaled.fract().abs() - 0.5).abs();
    (scaled.abs() < 1e12 && off_half > 1e-3).then(|| scaled.round() / power)
}

fn round_digits(x: f64, places: i64) -> f64 {
    // The shortest digits with an exponent: "-1.2345e-7".
    let text = format!("{:e}", x.abs());
    let Some((mantissa, exponent)) = text.split_once('e') else { return x };
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
    let exponent: i64 = exponent.parse().unwrap_or(0);
    // How many of the digits stay; the first of those that go decides.
    let keep = places.saturating_add(exponent).saturating_add(1);
    if keep >= digits.len() as i64 {
        return x;
    }
    if keep < 0 {
        return 0.0f64.copysign(x);
    }
    let up = digits[keep as usize] >= 5;
    digits.truncate(keep as usize);
    // A leading zero takes the carry of 9.99.
    digits.insert(0, 0);
    if up {
        let mut at = digits.len() - 1;
        while digits[at] == 9 {
            digits[at] = 0;
            at -= 1;
        }
        digits[at] += 1;
    }
    let text: String = digits.iter().map(|d| char::from(b'0' + d)).collect();
    let rounded = format!("{text}e{}", exponent - keep + 1).parse::<f64>();
    rounded.unwrap_or(x).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_round_as_they_are_written() {
        for (x, places, rounded) in [
            (2.675, 2, 2.68),
            (1.005, 2, 1.01),
            (-2.5, 0, -3.0),
            (0.5, 0, 1.0),
            (0.49999999999999994, 0, 0.0),
            (9.995, 2, 10.0),
            (999.5, 0, 1000.0),
            (1250.0, -2, 1300.0),
            (49.0, -2, 0.0),
            (50.0, -2, 100.0),
            (1e300, 2, 1e300),
            (1.5e-7, 7, 2e-7),
            (1.5e-300, 2, 0.0),
            (123.456, 400, 123.456),
            (123.456, i64::MAX, 123.456),
            (123.456, i64::MIN, 0.0),
            (f64::MAX, -308, f64::INFINITY),
            (4503599627370497.5, 0, 4503599627370498.0),
        ] {
            assert_eq!(round_float(x, places), rounded, "round({x}, {places})");
            assert_eq!(round_float(-x, places), -rounded, "round(-{x}, {places})");
        }
    }

    #[test]
    fn the_quick_way_agrees_with_the_digits() {
        let mut random = crate::time::Random::seeded(7);
        for _ in 0..100_000 {
            let x = (random.unit() - 0.5) * 10f64.powi((random.bits() % 14) as i32);
            let places = (random.bits() % 9) as i64;
            if let Some(rounded) = quickly(x, places) {
                assert_eq!(rounded, round_digits(x, places), "round({x:?}, {places})");
            }
        }
    }

    #[test]
    fn integers_round_to_tens() {
        let round = |n, places| round_int(n, places).map(|v| v.as_int().unwrap());
        assert_eq!(round(15, -1), Ok(20));
        assert_eq!(round(-15, -1), Ok(-20));
        assert_eq!(round(14, -1), Ok(10));
        assert!(round(i64::MAX, -19).is_err());
        assert!(round(i64::MAX, -18).is_ok());
        assert!(round(i64::MAX, -1).is_err());
        assert_eq!(round(5, -400), Ok(0));
        assert_eq!(round(5, i64::MIN), Ok(0));
    }
}
