//! Times and lengths of time as text.

use super::literal::Literal;
use crate::time::Timestamp;

/// Reads RFC 3339, or a date and time (or date alone) without offset, which is UTC. Finer than a millisecond is
/// floored.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let time = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        // jiff reads over an offset or zone behind a civil time; we must not.
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b"-:.T ".contains(&b));
        jiff::tz::TimeZone::UTC.to_timestamp(civil).ok().filter(|_| plain)
    })?;
    Some(Timestamp::floor(time).0)
}

/// Milliseconds of a unit of fixed length, or None.
pub(super) fn unit_millis(unit: &str) -> Option<i64> {
    Some(match unit {
        "millisecond" => 1,
        "second" => 1_000,
        "minute" => 60_000,
        "hour" => 3_600_000,
        "day" => 86_400_000,
        "week" => 604_800_000,
        _ => return None,
    })
}

/// Calendar months of a unit, or None.
pub(super) fn unit_months(unit: &str) -> Option<i64> {
    Some(match unit {
        "month" => 1,
        "quarter" => 3,
        "year" => 12,
        _ => return None,
    })
}

/// A unit's name in lower case and singular.
pub(super) fn unit_name(unit: &str) -> String {
    let unit = unit.to_ascii_lowercase();
    unit.strip_suffix('s').unwrap_or(&unit).to_owned()
}

/// The literal of an interval: milliseconds for units of fixed length, months for those of the calendar.
pub(super) fn parse_interval(count: &str, unit: &str) -> Result<Literal, String> {
    let name = unit_name(unit);
    let whole = count.parse::<i64>().ok();
    if let Some(months) = unit_months(&name) {
        let months = whole.and_then(|n| n.checked_mul(months));
        return months.map(Literal::Months).ok_or_else(|| format!("`{count}` is no whole number of {name}s"));
    }
    let Some(millis) = unit_millis(&name) else {
        return Err(format!("`{unit}` is no unit of time"));
    };
    let fraction = || {
        let product = count.parse::<f64>().ok()? * millis as f64;
        (product.fract() == 0.0 && product.abs() < 9e15).then_some(product as i64)
    };
    let millis = whole.and_then(|n| n.checked_mul(millis)).or_else(fraction);
    millis.map(Literal::Int).ok_or_else(|| format!("`{count}` {name} is no whole number of milliseconds"))
}
