//! Times and spans as people read them.

use crate::time::{Millis, Timestamp};

/// A time; in words where there is none yet, or none any more.
pub fn shown_time(time: Timestamp) -> String {
    match time {
        Timestamp::MIN => "nowhere yet".to_owned(),
        Timestamp::MAX => "the end of input".to_owned(),
        time => jiff::Timestamp::from_millisecond(time.0)
            .map_or_else(|_| format!("{} ms", time.0), |shown| shown.to_string()),
    }
}

/// A span of time, in the largest unit of which there are two.
pub fn shown_span(span: Millis) -> String {
    let units = [(86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1_000, "s")];
    let unit = units.iter().find(|(ms, _)| span.0 >= 2 * ms);
    unit.map_or_else(|| format!("{} ms", span.0), |(ms, name)| format!("{} {name}", span.0 / ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let all = [999, 2_500, 180_000, 86_400_000, 9 * 86_400_000].map(|ms| shown_span(Millis(ms)));
        assert_eq!(all, ["999 ms", "2 s", "3 minutes", "24 hours", "9 days"]);
        assert_eq!(shown_time(Timestamp(0)), "1970-01-01T00:00:00Z");
    }
}
