//! Times. Where one is wanted, an integer stands for its milliseconds since the epoch.

use super::cached::Cached;
use super::context::{Context, Failure, Outcome};
use super::convert::{constant_text, short};
use super::spec::{Arg, Body, FunctionSpec, Group, Instance, Made, Make, Returns, arg, optional};
use super::strftime;
use crate::event::Value;
use crate::expr::calendar::{self, Field, Unit, zone};
use crate::expr::cast::float_to_int;
use crate::expr::literal::Literal;
use crate::expr::types::Type;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

const ZONE: Arg = optional("zone", Type::TEXT);
const UNIT: Arg = arg("unit", Type::TEXT);
const T: Arg = arg("t", Type::TIME);
const TIMESTAMP: Returns = Returns::Is(Type::TIMESTAMP);
const INT: Returns = Returns::Is(Type::INT);

const fn made(name: &'static str, args: &'static [Arg], returns: Returns, make: Make) -> FunctionSpec {
    FunctionSpec::new(Group::Time, name, args, returns, Body::Made(make))
}

const fn clock(name: &'static str, body: fn(&mut Context, &[Value]) -> Outcome) -> FunctionSpec {
    FunctionSpec::new(Group::Time, name, &[], TIMESTAMP, Body::Plain(body)).volatile()
}

/// The functions of this group.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    clock("now", |cx, _| Ok(Value::timestamp(cx.env.now.0)))
        .doc("The time of day while the event is processed.", &[("now() > TIMESTAMP '1970-01-01'", "true")]),
    clock("event_time", |cx, _| Ok(Value::timestamp(cx.batch.times[cx.row.index()].0)))
        .doc("The event's time.", &[("event_time()", "1000")]),
    clock("ingest_time", |cx, _| Ok(Value::timestamp(cx.batch.ingested.0)))
        .doc("The time of day when the event was read.", &[("ingest_time()", "2000")]),
    made("to_timestamp", &[arg("n", Type::NUMBER), UNIT], TIMESTAMP, |constants| {
        with(constants, 1, scale, to_timestamp)
    })
    .doc(
        "The time that a number of `s`, `ms`, `us` or `ns` since the epoch is; finer than a millisecond is floored.",
        &[("to_timestamp(1700000000.5, 's')", "1700000000500"), ("to_timestamp(-1, 'us')", "-1")],
    ),
    made("epoch", &[T, UNIT], INT, |constants| with(constants, 1, scale, epoch)).doc(
        "The whole `s`, `ms`, `us` or `ns` since the epoch.",
        &[("epoch(TIMESTAMP '2026-01-31T08:00:00Z', 's')", "1769846400")],
    ),
    made(
        "parse_time",
        &[arg("s", Type::TEXT), arg("format", Type::TEXT), ZONE],
        TIMESTAMP,
        strftime::parse_time,
    )
    .doc(
        "The time that a text is, by a strftime format; in `zone` (default UTC) where the text has no offset.",
        &[
            ("parse_time('31/Jan/2026:08:00:00 +0100', '%d/%b/%Y:%H:%M:%S %z')", "1769842800000"),
            ("parse_time('31.01.2026 08:00', '%d.%m.%Y %H:%M', 'Europe/Berlin')", "1769842800000"),
        ],
    ),
    made(
        "format_time",
        &[T, arg("format", Type::TEXT), ZONE],
        Returns::Is(Type::TEXT),
        strftime::format_time,
    )
    .doc(
        "The time as text, by a strftime format, in `zone` (default UTC).",
        &[
            ("format_time(0, '%Y-%m-%d %H:%M')", "\"1970-01-01 00:00\""),
            ("format_time(1769842800000, '%a %H:%M', 'Europe/Berlin')", "\"Sat 08:00\""),
        ],
    ),
    made("date_trunc", &[UNIT, T, ZONE], TIMESTAMP, |constants| {
        with(constants, 0, calendar::unit, |unit, cx, zone, args| {
            calendar::truncate(*unit, args[1], zone_of(cx, zone, args, 2)?)
        })
    })
    .doc(
        "The start of the unit that the time falls into, by the clocks of `zone` (default UTC); weeks start on Monday.",
        &[
            ("date_trunc('hour', 1769842800123)", "1769842800000"),
            ("date_trunc('day', TIMESTAMP '2026-01-31T23:30:00Z', 'Europe/Berlin')", "1769900400000"),
            ("date_trunc('week', TIMESTAMP '2026-01-31') = TIMESTAMP '2026-01-26'", "true"),
        ],
    ),
    made("date_part", &[arg("part", Type::TEXT), T, ZONE], INT, |constants| {
        with(constants, 0, Field::by_name, |field, cx, zone, args| {
            field.of(args[1], zone_of(cx, zone, args, 2)?)
        })
    })
    .doc(
        "A part of the time by the clocks of `zone` (default UTC): year, quarter, month, week (ISO), day, weekday \
         (1 is Monday), yearday, hour, minute, second, millisecond.",
        &[
            ("date_part('hour', 1769842800000, 'Europe/Berlin')", "8"),
            ("date_part('weekday', TIMESTAMP '2026-01-31')", "6"),
        ],
    ),
    made("date_add", &[UNIT, arg("n", Type::INT), T], TIMESTAMP, |constants| {
        with(constants, 0, calendar::unit, |unit: &Unit, _, _, args| {
            calendar::add(args[2], args[1].as_int().unwrap_or_default(), *unit)
        })
    })
    .doc(
        "The time `n` units later, by the calendar in UTC; a day that the month has not becomes its last.",
        &[("date_add('month', 1, TIMESTAMP '2026-01-31') = TIMESTAMP '2026-02-28'", "true")],
    ),
    made("date_diff", &[UNIT, arg("a", Type::TIME), arg("b", Type::TIME)], INT, |constants| {
        with(constants, 0, calendar::unit, |unit: &Unit, _, _, args| {
            calendar::difference(*unit, args[1], args[2])
        })
    })
    .doc(
        "How many whole units lie between `a` and `b`, in UTC; negative if `b` is earlier.",
        &[
            ("date_diff('minute', 0, 150000)", "2"),
            ("date_diff('month', TIMESTAMP '2026-01-31', TIMESTAMP '2026-03-30')", "1"),
        ],
    ),
    made(
        "make_time",
        &[
            arg("year", Type::INT),
            arg("month", Type::INT),
            arg("day", Type::INT),
            arg("hour", Type::INT),
            arg("minute", Type::INT),
            arg("second", Type::NUMBER),
            ZONE,
        ],
        TIMESTAMP,
        |constants| with(constants, 6, zone, |_, cx, zone, args| make_time(cx, zone, args)),
    )
    .doc(
        "The time of a date and time of day in `zone` (default UTC); seconds may have a fraction. What the zone skips \
         is moved on.",
        &[("make_time(2026, 1, 31, 8, 0, 0.5, 'Europe/Berlin')", "1769842800500")],
    ),
];

/// A function of something that is made of a text argument (a unit), and of a time zone.
struct Prepared<T> {
    /// The place of the text.
    place: usize,
    make: fn(&str) -> Result<T, String>,
    made: Cached<T>,
    zone: Cached<TimeZone>,
    body: PreparedBody<T>,
}

type PreparedBody<T> = fn(&T, &mut Context, &mut Cached<TimeZone>, &[Value]) -> Outcome;

fn with<T: Clone + Send + 'static>(
    constants: &[Option<&Literal>],
    place: usize,
    make: fn(&str) -> Result<T, String>,
    body: PreparedBody<T>,
) -> Made {
    if let Some(text) = constant_text(constants, place) {
        make(text)?;
    }
    // A zone is always the last argument, behind the one that is made something of.
    if let Some(name) = constants.len().checked_sub(1).and_then(|last| constant_text(constants, last.max(2)))
    {
        calendar::check_zone(name)?;
    }
    Ok(Box::new(Prepared { place, make, made: Cached::default(), zone: Cached::default(), body }))
}

impl<T: Clone + Send + 'static> Instance for Prepared<T> {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let text = args.get(self.place).map_or("UTC", |value| context.text(*value));
        let made = self.made.get(text, self.make)?;
        (self.body)(made, context, &mut self.zone, args)
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        let (made, zone) = (Cached::default(), Cached::default());
        Box::new(Prepared { place: self.place, make: self.make, made, zone, body: self.body })
    }
}

/// The time zone that an argument names, or UTC without it.
pub(super) fn zone_of<'a>(
    context: &Context,
    cached: &'a mut Cached<TimeZone>,
    args: &[Value],
    place: usize,
) -> Result<&'a TimeZone, Failure> {
    const UTC: &TimeZone = &TimeZone::UTC;
    match args.get(place) {
        Some(name) => Ok(cached.get(context.text(*name), zone)?),
        None => Ok(UTC),
    }
}

/// How many of a unit of epoch time make a second.
fn scale(unit: &str) -> Result<i64, String> {
    Ok(match unit.to_ascii_lowercase().as_str() {
        "s" | "second" | "seconds" => 1,
        "ms" | "millisecond" | "milliseconds" => 1_000,
        "us" | "microsecond" | "microseconds" => 1_000_000,
        "ns" | "nanosecond" | "nanoseconds" => 1_000_000_000,
        _ => return Err(format!("`{}` is no unit of epoch time: s, ms, us, ns", short(unit))),
    })
}

fn to_timestamp(scale: &i64, _: &mut Context, _: &mut Cached<TimeZone>, args: &[Value]) -> Outcome {
    let millis = match args[0].as_int() {
        Some(n) if *scale > 1_000 => n.div_euclid(scale / 1_000),
        Some(n) => n.checked_mul(1_000 / scale).ok_or("the time is out of range")?,
        None => {
            let n = args[0].as_float().unwrap_or_default();
            float_to_int((n * 1_000.0 / *scale as f64).floor())?
        }
    };
    Ok(Value::timestamp(millis))
}

fn epoch(scale: &i64, _: &mut Context, _: &mut Cached<TimeZone>, args: &[Value]) -> Outcome {
    let millis = args[0].as_timestamp().or(args[0].as_int()).unwrap_or_default();
    let count = match scale {
        1 => Some(millis.div_euclid(1_000)),
        scale => millis.checked_mul(scale / 1_000),
    };
    count.map(Value::int).ok_or("integer overflow".into())
}

fn make_time(context: &mut Context, cached: &mut Cached<TimeZone>, args: &[Value]) -> Outcome {
    let int = |place: usize| args[place].as_int().unwrap_or_default();
    let second = args[5].as_number().unwrap_or_default();
    let wrong = |_| Failure::from("there is no such date or time of day");
    let small = |place: usize| i8::try_from(int(place)).map_err(|_| "there is no such date or time of day");
    let year = i16::try_from(int(0)).map_err(|_| "there is no such date or time of day")?;
    let date = Date::new(year, small(1)?, small(2)?).map_err(wrong)?;
    if !(0.0..60.0).contains(&second) {
        return Err("seconds go from 0 to below 60".into());
    }
    let millis = (second * 1_000.0).floor() as i32;
    let time = Time::new(small(3)?, small(4)?, (millis / 1_000) as i8, millis % 1_000 * 1_000_000);
    calendar::local(date, time.map_err(wrong)?, zone_of(context, cached, args, 6)?)
}
