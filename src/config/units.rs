//! Durations, sizes and times as people write them.

use crate::time::{Millis, Timestamp};

/// What a text should have been, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// How it is written.
    pub hint: String,
}

/// The longest duration: a hundred years.
const MAX_DURATION_MS: i64 = 36_525 * 86_400_000;

const DURATIONS: [(&str, i64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Other ways to write a unit of time, understood only to say how it is written here.
const OTHER_DURATIONS: [(&str, i64); 16] = [
    ("milliseconds", 1),
    ("millis", 1),
    ("seconds", 1_000),
    ("second", 1_000),
    ("secs", 1_000),
    ("sec", 1_000),
    ("minutes", 60_000),
    ("minute", 60_000),
    ("mins", 60_000),
    ("min", 60_000),
    ("hours", 3_600_000),
    ("hour", 3_600_000),
    ("hr", 3_600_000),
    ("days", 86_400_000),
    ("day", 86_400_000),
    ("w", 7 * 86_400_000),
];

const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// `250ms`, `10s`, `5m`, `1h`, `7d`: a whole number and one unit, at most a hundred years.
pub fn duration(text: &str) -> Result<Millis, Unreadable> {
    let (number, unit) = split(text);
    let known = DURATIONS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms);
    let value = number.parse::<i64>().ok().zip(known).and_then(|(count, ms)| count.checked_mul(ms));
    match value {
        Some(ms) if (0..=MAX_DURATION_MS).contains(&ms) => Ok(Millis(ms)),
        _ => Err(Unreadable { hint: duration_hint(text) }),
    }
}

fn duration_hint(text: &str) -> String {
    match loose_duration(text.trim()) {
        Some(ms) if (0..=MAX_DURATION_MS).contains(&ms) => format!("write `{}`", Millis(ms)),
        Some(_) => "the longest duration is `36525d`, a hundred years".to_owned(),
        None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("a duration needs its unit: `{text}ms`, `{text}s`, `{text}m`, `{text}h`, `{text}d`")
        }
        None => "durations are written `250ms`, `10s`, `5m`, `1h`, `7d`".to_owned(),
    }
}

/// What a duration probably means that is written another way: `1.5s`, `1h30m`, `5 min`.
fn loose_duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0f64;
    while !rest.is_empty() {
        let (number, tail) = split(rest);
        let unit = &tail.trim_start()
            [..tail.trim_start().find(|c: char| !c.is_alphabetic()).unwrap_or(tail.trim_start().len())];
        let lower = unit.to_lowercase();
        let ms = DURATIONS.iter().chain(&OTHER_DURATIONS).find(|(name, _)| *name == lower)?.1;
        total += number.parse::<f64>().ok()? * ms as f64;
        rest = tail.trim_start()[unit.len()..].trim_start();
    }
    (!text.is_empty() && total.is_finite() && total == total.floor()).then_some(total as i64)
}

/// `64KiB`, `10MB`: a whole number and one unit, in bytes.
pub fn size(text: &str) -> Result<u64, Unreadable> {
    let (number, unit) = split(text);
    let known = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    let value = number.parse::<u64>().ok().zip(known).and_then(|(count, bytes)| count.checked_mul(bytes));
    value.filter(|bytes| *bytes <= i64::MAX as u64).ok_or_else(|| Unreadable { hint: size_hint(text) })
}

fn size_hint(text: &str) -> String {
    let (number, unit) = split(text.trim());
    let unit = unit.trim();
    let whole = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let meant = SIZES.iter().find(|(name, _)| {
        name.eq_ignore_ascii_case(unit)
            || name.strip_suffix('B').is_some_and(|n| n.eq_ignore_ascii_case(unit))
    });
    match meant {
        Some((name, _)) if whole && !unit.is_empty() && format!("{number}{name}") != text => {
            format!("write `{number}{name}`")
        }
        _ if whole && unit.is_empty() => {
            format!("a size needs its unit: `{number}B`, `{number}KiB`, `{number}MB`")
        }
        _ => "sizes are written `512B`, `64KiB`, `10MB`, `1GiB`".to_owned(),
    }
}

/// The number that a text starts with, and the rest.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

/// A time by RFC 3339, such as `2026-03-01T08:00:00Z`; finer than a millisecond is floored.
pub fn time(text: &str) -> Result<Timestamp, Unreadable> {
    let unreadable = || Unreadable {
        hint: "times are written `2026-03-01T08:00:00Z`, or as milliseconds since the epoch".to_owned(),
    };
    if !has_rfc3339_shape(text) {
        return Err(unreadable());
    }
    let parsed: jiff::Timestamp = text.parse().map_err(|_| unreadable())?;
    let ms = parsed.as_nanosecond().div_euclid(1_000_000);
    i64::try_from(ms).map(Timestamp).map_err(|_| unreadable())
}

/// The parser behind [`time`] takes more than RFC 3339 does.
fn has_rfc3339_shape(text: &str) -> bool {
    let Some((date_time, tail)) = text.split_at_checked(19) else { return false };
    let digits = |pattern: &str, text: &str| {
        pattern.len() == text.len()
            && pattern
                .bytes()
                .zip(text.bytes())
                .all(|(p, t)| if p == b'0' { t.is_ascii_digit() } else { p == t })
    };
    let zone = match tail.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => tail,
    };
    let date_time = date_time.replace('t', "T");
    digits("0000-00-00T00:00:00", &date_time)
        && (matches!(zone, "Z" | "z") || digits("+00:00", zone) || digits("-00:00", zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (text, ms) in [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Millis(ms)), "{text}");
        }
        assert_eq!(duration("7d"), Ok(Millis(7 * 86_400_000)));
    }

    #[test]
    fn other_durations_say_how_to_write_them() {
        let hints = [
            ("10", "a duration needs its unit: `10ms`, `10s`, `10m`, `10h`, `10d`"),
            ("1.5s", "write `1500ms`"),
            ("1h30m", "write `90m`"),
            ("5 min", "write `5m`"),
            ("10S", "write `10s`"),
            ("2w", "write `14d`"),
            ("1 hour", "write `1h`"),
            ("99999999d", "the longest duration is `36525d`, a hundred years"),
            ("99999999999999999999s", "the longest duration is `36525d`, a hundred years"),
            ("-1s", "durations are written `250ms`, `10s`, `5m`, `1h`, `7d`"),
            ("0.5ms", "durations are written `250ms`, `10s`, `5m`, `1h`, `7d`"),
            ("", "durations are written `250ms`, `10s`, `5m`, `1h`, `7d`"),
            ("soon", "durations are written `250ms`, `10s`, `5m`, `1h`, `7d`"),
        ];
        for (text, hint) in hints {
            assert_eq!(duration(text).unwrap_err().hint, hint, "{text}");
        }
    }

    #[test]
    fn sizes_are_a_whole_number_and_a_unit() {
        for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("10MB", 10_000_000), ("1GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        let hints = [
            ("64", "a size needs its unit: `64B`, `64KiB`, `64MB`"),
            ("64 KiB", "write `64KiB`"),
            ("64kib", "write `64KiB`"),
            ("10M", "write `10MB`"),
            ("1.5MB", "sizes are written `512B`, `64KiB`, `10MB`, `1GiB`"),
            ("99999999999TiB", "sizes are written `512B`, `64KiB`, `10MB`, `1GiB`"),
            ("", "sizes are written `512B`, `64KiB`, `10MB`, `1GiB`"),
        ];
        for (text, hint) in hints {
            assert_eq!(size(text).unwrap_err().hint, hint, "{text}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        for (text, ms) in [
            ("1970-01-01T00:00:01Z", 1_000),
            ("1970-01-01T01:00:00.0019+01:00", 1),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("1970-01-01t00:00:00z", 0),
        ] {
            assert_eq!(time(text), Ok(Timestamp(ms)), "{text}");
        }
        for text in
            ["1970-01-01", "1970-01-01 00:00:00Z", "1970-01-01T00:00Z", "1970-13-01T00:00:00Z", "noon", ""]
        {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
