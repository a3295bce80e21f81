use super::*;
use proptest::prelude::*;

fn unit(unit: TimeUnit) -> TimeForm {
    TimeForm::Unit(unit)
}

fn read(form: TimeForm, value: Value) -> Result<i64, String> {
    let reader = TimeReader { name: "ts".into(), form };
    let time = reader.read(&Batch::new(0, b""), value);
    time.map(|t| t.0).map_err(|reason| {
        assert_eq!(reason.kind, RejectKind::Time);
        reason.text.into_owned()
    })
}

fn read_text(form: TimeForm, text: &str) -> Result<i64, String> {
    let mut batch = Batch::new(0, b"");
    let value = Value::text(batch.store(text.as_bytes()));
    let reader = TimeReader { name: "ts".into(), form };
    reader.read(&batch, value).map(|t| t.0).map_err(|reason| reason.text.into_owned())
}

fn pattern(text: &str) -> TimeForm {
    TimeForm::Pattern(TimePattern::new(text).unwrap())
}

#[test]
fn integers_of_each_unit_are_floored() {
    let cases = [
        (TimeUnit::Millis, 1_700_000_000_123, 1_700_000_000_123),
        (TimeUnit::Millis, -1, -1),
        (TimeUnit::Seconds, 1_700_000_000, 1_700_000_000_000),
        (TimeUnit::Seconds, -1, -1_000),
        (TimeUnit::Micros, 1_999, 1),
        (TimeUnit::Micros, -1, -1),
        (TimeUnit::Micros, -1_000, -1),
        (TimeUnit::Micros, -1_001, -2),
        (TimeUnit::Nanos, 1_999_999, 1),
        (TimeUnit::Nanos, -1, -1),
    ];
    for (of, number, expected) in cases {
        assert_eq!(read(unit(of), Value::int(number)), Ok(expected), "{number} {}", of.name());
    }
}

#[test]
fn fractions_are_floored_as_the_decimals_they_stand_for() {
    let cases = [
        (TimeUnit::Seconds, 1.001, 1_001),
        (TimeUnit::Seconds, 1_700_000_000.123, 1_700_000_000_123),
        (TimeUnit::Seconds, 1_700_000_000.123_9, 1_700_000_000_123),
        (TimeUnit::Seconds, 0.0009999, 0),
        (TimeUnit::Seconds, -0.0001, -1),
        (TimeUnit::Seconds, -1.5, -1_500),
        (TimeUnit::Seconds, -1.0019, -1_002),
        (TimeUnit::Millis, 1.9, 1),
        (TimeUnit::Millis, -0.1, -1),
        (TimeUnit::Micros, 2_999.999_999_999_999_5, 2),
        (TimeUnit::Nanos, 1.7e18, 1_700_000_000_000),
    ];
    for (of, number, expected) in cases {
        assert_eq!(read(unit(of), Value::float(number)), Ok(expected), "{number} {}", of.name());
    }
}

#[test]
fn the_range_is_that_of_the_calendar() {
    assert_eq!(EARLIEST.0, jiff::Timestamp::MIN.as_millisecond());
    assert_eq!(LATEST.0, jiff::Timestamp::MAX.as_millisecond());
}

#[test]
fn numbers_out_of_range_are_unreadable() {
    let late =
        Err("the event time `ts` is beyond the year 9999 or before -9999; is `unit: ms` right?".into());
    assert_eq!(read(unit(TimeUnit::Millis), Value::int(i64::MAX)), late);
    assert_eq!(read(unit(TimeUnit::Millis), Value::int(1_700_000_000_000_000)), late, "microseconds");
    assert_eq!(read(unit(TimeUnit::Millis), Value::int(LATEST.0)), Ok(LATEST.0));
    assert_eq!(read(unit(TimeUnit::Millis), Value::int(EARLIEST.0)), Ok(EARLIEST.0));
    assert!(read(unit(TimeUnit::Millis), Value::int(LATEST.0 + 1)).is_err());
    assert!(read(unit(TimeUnit::Seconds), Value::int(i64::MIN)).is_err());
    assert!(read(unit(TimeUnit::Millis), Value::timestamp(i64::MIN)).is_err());
    for of in [TimeUnit::Millis, TimeUnit::Seconds, TimeUnit::Micros, TimeUnit::Nanos] {
        assert!(read(unit(of), Value::float(1e300)).is_err());
        assert!(read(unit(of), Value::float(-1e300)).is_err());
    }
}

#[test]
fn timestamps_need_no_unit() {
    for form in [unit(TimeUnit::Seconds), TimeForm::Rfc3339, pattern("%Y-%m-%d")] {
        assert_eq!(read(form, Value::timestamp(42)), Ok(42));
    }
}

#[test]
fn rfc3339_is_read_with_its_offset() {
    let cases = [
        ("2024-06-01T12:30:00Z", 1_717_245_000_000),
        ("2024-06-01T14:30:00+02:00", 1_717_245_000_000),
        ("2024-06-01 14:30:00.9999+02:00", 1_717_245_000_999),
        ("1969-12-31T23:59:59.9995Z", -1),
    ];
    for (text, expected) in cases {
        assert_eq!(read_text(TimeForm::Rfc3339, text), Ok(expected), "{text}");
    }
    for text in ["", "yesterday", "2024-06-01T12:30:00", "2024-13-01T12:30:00Z", "1717245000"] {
        let error = read_text(TimeForm::Rfc3339, text).unwrap_err();
        assert!(error.starts_with(&format!("the event time `ts` cannot be read from '{text}': ")), "{error}");
    }
}

#[test]
fn patterns_are_read() {
    let cases = [
        ("%d/%b/%Y:%H:%M:%S %z", "01/Jun/2024:14:30:00 +0200", 1_717_245_000_000),
        ("%Y-%m-%d %H:%M:%S", "2024-06-01 12:30:00", 1_717_245_000_000),
        ("%Y-%m-%d %H:%M:%S%.f", "2024-06-01 12:30:00.9999", 1_717_245_000_999),
        ("%Y-%m-%d", "1970-01-02", 86_400_000),
        ("%Y-%m-%d %H:%M %Q", "2024-06-01 14:30 Europe/Berlin", 1_717_245_000_000),
        ("%s", "1717245000", 1_717_245_000_000),
        ("%s%.f", "1717245000.25", 1_717_245_000_250),
    ];
    for (form, text, expected) in cases {
        assert_eq!(read_text(pattern(form), text), Ok(expected), "{form}");
    }
    assert!(read_text(pattern("%Y-%m-%d"), "2024-06-01T00").is_err());
}

#[test]
fn patterns_that_give_no_time_are_refused() {
    for text in ["", "%H:%M", "%b %d %H:%M:%S", "%Y-%m-%d %J", "%", "no directive"] {
        assert!(TimePattern::new(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_no_time_says_so() {
    let ms = || unit(TimeUnit::Millis);
    let text = read_text(ms(), "1717245000000").unwrap_err();
    assert_eq!(text, "the event time `ts` is text: give it `unit: rfc3339` or a `format`");
    assert_eq!(read(ms(), Value::NULL).unwrap_err(), "the event time `ts` is null or missing");
    let boolean = read(ms(), Value::bool(true)).unwrap_err();
    assert_eq!(boolean, "the event time `ts` is no time but of type boolean");
    let number = read(TimeForm::Rfc3339, Value::int(1)).unwrap_err();
    assert_eq!(number, "the event time `ts` is a number, but `unit: rfc3339` reads text");
    let number = read(pattern("%Y-%m-%d"), Value::float(1.0)).unwrap_err();
    assert_eq!(number, "the event time `ts` is a number, but `format` reads text");
}

#[test]
fn units_are_named() {
    for of in [TimeUnit::Millis, TimeUnit::Seconds, TimeUnit::Micros, TimeUnit::Nanos] {
        assert_eq!(TimeUnit::named(of.name()), Some(of));
    }
    assert_eq!(TimeUnit::named("m"), None);
}

proptest! {
    /// A decimal of seconds with any digits behind the milliseconds is its milliseconds.
    #[test]
    fn decimals_of_seconds_are_exact(ms in -2_000_000_000_000i64..2_000_000_000_000) {
        let text = format!("{}{}.{:03}", if ms < 0 { "-" } else { "" }, ms.abs() / 1000, ms.abs() % 1000);
        let seconds: f64 = text.parse().unwrap();
        prop_assert_eq!(TimeUnit::Seconds.fraction(seconds), Some(Timestamp(ms)));
    }

    #[test]
    fn flooring_seconds_is_exact(seconds in -1e6f64..1e6) {
        let ms = TimeUnit::Seconds.fraction(seconds).unwrap().0;
        // Either the shortest decimal is whole, or the exact product lies in [ms, ms + 1).
        let whole = ms as f64 / 1000.0 == seconds;
        let from = seconds.mul_add(1000.0, -(ms as f64));
        prop_assert!(whole || (0.0..=1.0).contains(&from), "{seconds} {ms} {from}");
    }
}
