//! Text to time by a pattern of strftime directives.

use super::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{Error, SignedDuration};

/// The time that a text is by a pattern; in `zone` where the text has neither offset, zone nor seconds since the epoch. A
/// time of day that the zone skips is moved on, of one that it repeats the first is meant.
///
/// # Errors
/// The text is not of the pattern, or the pattern's parts are no time.
pub fn parse_time(pattern: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, Error> {
    let parts = BrokenDownTime::parse(pattern, text)?;
    let time = match (parts.timestamp(), parts.iana_time_zone(), parts.offset()) {
        (Some(seconds), ..) => with_fraction(seconds, &parts, text)?,
        (_, Some(_), _) => parts.to_zoned()?.timestamp(),
        (_, _, Some(_)) => parts.to_timestamp()?,
        _ => zone.to_timestamp(parts.to_datetime()?)?,
    };
    Ok(Timestamp::floor(time))
}

/// The seconds of `%s` with the fraction of a `%f`, which jiff leaves aside beside it: `%s%.f`.
fn with_fraction(
    seconds: jiff::Timestamp,
    parts: &BrokenDownTime,
    text: &str,
) -> Result<jiff::Timestamp, Error> {
    let fraction = SignedDuration::from_nanos(parts.subsec_nanosecond().unwrap_or_default().into());
    // A fraction leads away from zero; the sign of `-0.5` is in the text alone.
    let negative = seconds.as_second() < 0 || seconds.as_second() == 0 && text.contains("-0");
    if negative { seconds.checked_sub(fraction) } else { seconds.checked_add(fraction) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pattern: &str, text: &str) -> Option<i64> {
        let zone = TimeZone::get("America/New_York").unwrap();
        parse_time(pattern, text, &zone).ok().map(|time| time.0)
    }

    #[test]
    fn seconds_since_the_epoch_keep_their_fraction() {
        let cases = [
            ("1700000000.25", 1_700_000_000_250),
            ("1700000000", 1_700_000_000_000),
            ("1700000000.9999", 1_700_000_000_999),
            ("0.5", 500),
            ("-0.5", -500),
            ("-1.25", -1_250),
            ("-1.0001", -1_001),
        ];
        for (text, expected) in cases {
            assert_eq!(parse("%s%.f", text), Some(expected), "{text}");
        }
        assert_eq!(parse("%s.%f", "12.5"), Some(12_500));
        assert_eq!(parse("[%s,%f]", "[12,007]"), Some(12_007));
        assert_eq!(parse("%s%.f", "1.5 "), None);
    }

    #[test]
    fn the_text_knows_its_zone_better() {
        let noon = 1_717_243_200_000;
        assert_eq!(parse("%Y-%m-%d %H:%M", "2024-06-01 08:00"), Some(noon));
        assert_eq!(parse("%Y-%m-%d %H:%M %z", "2024-06-01 14:00 +0200"), Some(noon));
        assert_eq!(parse("%Y-%m-%d %H:%M %Q", "2024-06-01 14:00 Europe/Berlin"), Some(noon));
        // Skipped and repeated: 2024-03-10 02:30 and 2024-11-03 01:30.
        assert_eq!(parse("%F %H:%M", "2024-03-10 02:30"), parse("%F %H:%M", "2024-03-10 03:30"));
        assert_eq!(parse("%F %H:%M", "2024-11-03 01:30"), parse("%F %H:%M %z", "2024-11-03 01:30 -0400"));
        assert_eq!(parse("%H:%M", "08:00"), None);
    }
}
