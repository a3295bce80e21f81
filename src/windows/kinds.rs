//! The kinds of window and how their options are read.

use super::plan::{Gap, Grid, WindowKind};
use crate::config::{Role, Setting, read};
use crate::dataflow::{ComponentSpec, NodePlanner, OptionKind, OptionSpec, Point};
use crate::expr::{Literal, Type};
use crate::time::{Cuts, Every, Millis};

/// A kind of window, as the registry lists it.
pub struct WindowSpec {
    /// What documents it.
    pub spec: &'static ComponentSpec,
    /// Whether `offset` and `timezone` say where it is cut.
    pub cut: bool,
    /// Whether windows have an end that event time reaches, so that lateness means something.
    pub ends: bool,
    /// Reads the options; None if something was reported.
    pub plan: fn(&mut NodePlanner<'_>, &mut Point, Setting<'_>, Grid) -> Option<WindowKind>,
}

/// All kinds.
pub const WINDOWS: &[WindowSpec] = &[TUMBLING, SLIDING, SESSION, CUMULATE, CALENDAR, GLOBAL, COUNT];

const TUMBLING: WindowSpec = WindowSpec {
    spec: &ComponentSpec {
        name: "tumbling",
        role: Role::Window,
        summary: "Windows of one length, back to back.",
        short: Some(OptionKind::Duration),
        options: &[],
        later: &[],
        example: "\
sources:
  bought: { stdin: {}, event_time: { field: ts } }
windows:
  spend:
    from: bought
    key: [user]
    tumbling: 1m
    aggregate: { total: sum(amount) }
tests:
  - name: a minute ends before the next begins
    steps:
      - send:
          bought:
            - { user: u1, amount: 2.5, ts: 1000 }
            - { user: u1, amount: 1.0, ts: 59999 }
            - { user: u1, amount: 7.0, ts: 60000 }
      - watermark: { bought: 60s }
      - expect: { out: [{ user: u1, total: 3.5, window_start: 0, window_end: 60000 }] }
      - close: bought
      - expect: { out: [{ user: u1, total: 7.0 }] }
",
    },
    cut: true,
    ends: true,
    plan: |_, _, setting, grid| {
        let size = length(setting, &grid)?;
        Some(WindowKind::Tumbling { size, grid })
    },
};

const SLIDING: WindowSpec = WindowSpec {
    spec: &ComponentSpec {
        name: "sliding",
        role: Role::Window,
        summary: "Windows of one length that start every so often and overlap.",
        short: None,
        options: &[
            OptionSpec::required("size", OptionKind::Duration, "The length of a window."),
            OptionSpec::required("every", OptionKind::Duration, "The time from one start to the next."),
        ],
        later: &[],
        example: "\
sources:
  readings: { stdin: {}, event_time: { field: ts } }
windows:
  trend:
    from: readings
    sliding: { size: 20s, every: 10s }
    aggregate: { mean: avg(temp) }
tests:
  - name: an event is in two windows
    steps:
      - send: { readings: [{ temp: 20, ts: 1000 }, { temp: 22, ts: 11000 }] }
      - close: readings
      - expect:
          out:
            - { mean: 20.0, window_start: -10000, window_end: 10000 }
            - { mean: 21.0, window_start: 0, window_end: 20000 }
            - { mean: 22.0, window_start: 10000, window_end: 30000 }
",
    },
    cut: true,
    ends: true,
    plan: |_, _, setting, grid| {
        let section = SLIDING.spec.open(setting);
        let size = section.required("size", |setting| length(setting, &grid));
        let every = section.required("every", |setting| length(setting, &grid));
        let (size, every) = (size?, every?);
        if every > size {
            let message = "`every` is longer than `size`: events between two windows belong to none";
            setting.faults.warning(setting.place(), message);
        }
        let kind = WindowKind::Sliding { size, every, grid };
        checked(setting, kind)
    },
};

const SESSION: WindowSpec = WindowSpec {
    spec: &ComponentSpec {
        name: "session",
        role: Role::Window,
        summary: "As long as events follow one another closely; events exactly `gap` apart belong together, unless the \
                  watermark stood at the end of the session before the second came: then it has fired. It begins with its \
                  first event and ends `gap` behind its last.",
        short: None,
        options: &[
            OptionSpec::required(
                "gap",
                OptionKind::Any(&[OptionKind::Duration, OptionKind::Expression]),
                "The silence that ends a session; an expression gives milliseconds or an interval.",
            ),
            OptionSpec::optional("max", OptionKind::Duration, "The longest a session may be."),
        ],
        later: &[],
        example: "\
sources:
  clicks: { stdin: {}, event_time: { field: ts } }
windows:
  visits:
    from: clicks
    key: [user]
    session: { gap: 30s, max: 1h }
    aggregate: { clicks: count(*) }
tests:
  - name: a longer pause ends a visit
    steps:
      - send: { clicks: [{ user: u1, ts: 0 }, { user: u1, ts: 30000 }, { user: u1, ts: 70000 }] }
      - close: clicks
      - expect:
          out:
            - { user: u1, clicks: 2, window_start: 0, window_end: 60000 }
            - { user: u1, clicks: 1, window_start: 70000, window_end: 100000 }
",
    },
    cut: false,
    ends: true,
    plan: |planner, at, setting, _| {
        let section = SESSION.spec.open(setting);
        let gap = section.required("gap", |setting| gap(planner, at, setting));
        let max = section.optional("max", read::positive_duration);
        let kind = WindowKind::Session { gap: gap?, max };
        checked(setting, kind)
    },
};

const CUMULATE: WindowSpec = WindowSpec {
    spec: &ComponentSpec {
        name: "cumulate",
        role: Role::Window,
        summary: "What there is so far: windows that begin together and end one step after the other, until all begin anew.",
        short: None,
        options: &[
            OptionSpec::required("max", OptionKind::Duration, "The length of the longest window."),
            OptionSpec::required(
                "step",
                OptionKind::Duration,
                "The time from one window's end to the next one's; `max` is a multiple of it.",
            ),
        ],
        later: &[],
        example: "\
sources:
  orders: { stdin: {}, event_time: { field: at, unit: rfc3339 } }
windows:
  today:
    from: orders
    key: [shop]
    cumulate: { max: 1d, step: 1h }
    timezone: Europe/Berlin
    aggregate: { total: sum(amount) }
tests:
  - name: each hour the day so far
    steps:
      - send:
          orders:
            - { shop: a, amount: 5, at: \"2026-03-02T08:30:00+01:00\" }
            - { shop: a, amount: 7, at: \"2026-03-02T09:30:00+01:00\" }
      - watermark: { orders: \"2026-03-02T11:00:00+01:00\" }
      - expect: { out: [{ shop: a, total: 5 }, { shop: a, total: 12 }, { shop: a, total: 12 }] }
",
    },
    cut: true,
    ends: true,
    plan: |_, _, setting, grid| {
        let section = CUMULATE.spec.open(setting);
        let max = section.required("max", |setting| length(setting, &grid));
        let step = section.required("step", |setting| length(setting, &grid));
        let kind = WindowKind::Cumulate { max: max?, step: step?, grid };
        checked(setting, kind)
    },
};

const CALENDAR: WindowSpec = WindowSpec {
    spec: &ComponentSpec {
        name: "calendar",
        role: Role::Window,
        summary: "Days, weeks from Monday, months, years, or shifts that begin at times of day, by the wall clock of \
                  `timezone`. A cut that the clock skips is where it skips; one that it shows twice is at the first time.",
        short: None,
        options: &[
            OptionSpec::optional(
                "every",
                OptionKind::Word(&["day", "week", "month", "year"]),
                "The stretch of the calendar that a window covers.",
            ),
            OptionSpec::optional(
                "at",
                OptionKind::OneOrList(&OptionKind::Text),
                "Times of day at which windows begin, instead of `every`: `[\"06:00\", \"14:00\", \"22:00\"]`.",
            ),
        ],
        later: &[],
        example: "\
sources:
  parts: { stdin: {}, event_time: { field: at, unit: rfc3339 } }
windows:
  shifts:
    from: parts
    key: [machine]
    calendar: { at: [\"06:00\", \"14:00\", \"22:00\"] }
    timezone: Europe/Berlin
    aggregate: { made: count(*) }
tests:
  - name: the night shift ends at six
    steps:
      - send:
          parts:
            - { machine: m1, at: \"2026-03-01T23:15:00+01:00\" }
            - { machine: m1, at: \"2026-03-02T05:59:59+01:00\" }
            - { machine: m1, at: \"2026-03-02T06:00:00+01:00\" }
      - close: parts
      - expect: { out: [{ machine: m1, made: 2 }, { machine: m1, made: 1 }] }
",
    },
    cut: true,
    ends: true,
    plan: |_, _, setting, grid| {
        let section = CALENDAR.spec.open(setting);
        let chosen = section.exactly_one(&["every", "at"], "cut")?;
        let words =
            [("day", &Every::Day), ("week", &Every::Week), ("month", &Every::Month), ("year", &Every::Year)];
        let every =
            if chosen.name == "at" { times_of_day(chosen) } else { read::word(&words, &[])(chosen).cloned() };
        Some(WindowKind::Calendar { every: every?, grid })
    },
};

const GLOBAL: WindowSpec = WindowSpec {
    spec: &ComponentSpec {
        name: "global",
        role: Role::Window,
        summary: "One window a key; gives its results when its `trigger` says so, and at the end of bounded input.",
        short: None,
        options: &[],
        later: &[],
        example: "\
windows:
  totals:
    from: orders
    key: [shop]
    global: {}
    aggregate: { total: sum(amount) }
tests:
  - name: the end of input gives the totals
    steps:
      - send: { orders: [{ shop: a, amount: 3 }, { shop: b, amount: 4 }, { shop: a, amount: 5 }] }
      - close: orders
      - expect: { out: [{ shop: a, total: 8 }, { shop: b, total: 4 }] }
",
    },
    cut: false,
    ends: false,
    plan: |_, _, setting, _| {
        GLOBAL.spec.open(setting);
        Some(WindowKind::Global)
    },
};

const COUNT: WindowSpec = WindowSpec {
    spec: &ComponentSpec {
        name: "count",
        role: Role::Window,
        summary: "A result every so many events of a key, over its last `size`; what is left gives one at the end of input.",
        short: None,
        options: &[
            OptionSpec::required("size", OptionKind::Integer, "The most events of a window."),
            OptionSpec::optional(
                "every",
                OptionKind::Integer,
                "Events from one firing to the next; absent: `size`.",
            ),
        ],
        later: &[],
        example: "\
windows:
  threes:
    from: readings
    count: { size: 3, every: 2 }
    aggregate: { mean: avg(temp) }
tests:
  - name: the last three, after every second
    steps:
      - send: { readings: [{ temp: 1 }, { temp: 2 }, { temp: 3 }, { temp: 4 }] }
      - expect: { out: [{ mean: 1.5 }, { mean: 3.0 }] }
",
    },
    cut: false,
    ends: false,
    plan: |_, _, setting, _| {
        let section = COUNT.spec.open(setting);
        let count = || read::integer(1..=i64::from(i32::MAX));
        let size = section.required("size", count())? as u64;
        let every = section.optional("every", count()).map_or(size, |every| every as u64);
        checked(setting, WindowKind::Count { size, every })
    },
};

/// A length of time that can be cut where the grid says.
fn length(setting: Setting<'_>, grid: &Grid) -> Option<Millis> {
    let size = read::positive_duration(setting)?;
    let in_days = setting.node.scalar().is_some_and(|text| text.trim().ends_with('d'));
    if grid.zone.is_some()
        && let Err(message) = Cuts::check(size, in_days)
    {
        setting.error(message);
        return None;
    }
    Some(size)
}

/// Times of day, sorted.
fn times_of_day(setting: Setting<'_>) -> Option<Every> {
    let mut times = read::one_or_list(time_of_day)(setting)?;
    times.sort_unstable();
    if times.windows(2).any(|pair| pair[0] == pair[1]) {
        setting.error("a time of day stands here twice");
        return None;
    }
    Some(Every::At(times))
}

/// `06:00` or `06:00:30`.
fn time_of_day(setting: Setting<'_>) -> Option<Millis> {
    let text = setting.node.scalar().unwrap_or_default();
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<i64> = text
        .split(':')
        .map(|part| part.parse().ok().filter(|_| two_digits(part)).unwrap_or(i64::MAX))
        .collect();
    let seconds = match parts[..] {
        [hours @ 0..24, minutes @ 0..60] => hours * 3600 + minutes * 60,
        [hours @ 0..24, minutes @ 0..60, seconds @ 0..60] => hours * 3600 + minutes * 60 + seconds,
        _ => {
            setting.wrong("a time of day").hint("times of day are written `\"06:00\"`, up to `\"23:59:59\"`");
            return None;
        }
    };
    Some(Millis(seconds * 1000))
}

fn checked(setting: Setting<'_>, kind: WindowKind) -> Option<WindowKind> {
    match kind.check() {
        Ok(()) => Some(kind),
        Err(message) => {
            setting.error(message);
            None
        }
    }
}

/// A duration, or an expression for each event's own gap.
fn gap(planner: &mut NodePlanner<'_>, at: &mut Point, setting: Setting<'_>) -> Option<Gap> {
    let text = setting.node.scalar().unwrap_or_default().trim();
    // A number without a unit is read as a duration too, which says what is missing.
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return read::positive_duration(setting).map(Gap::Fixed);
    }
    let expr = planner.parse(setting)?;
    let program = planner.compile(at, setting, &expr)?;
    match program.constant() {
        Some(Literal::Int(millis)) => return Some(Gap::Fixed(Millis(*millis))),
        _ if program.ty().meets(Type::INT) && program.ty() != Type::NULL => {}
        _ => {
            setting
                .error(format!("`gap` is {}, not an integer of milliseconds", program.ty().noun()))
                .hint("write a duration such as `30s`, or an expression of milliseconds");
            return None;
        }
    }
    planner.slot_of(at, setting, &expr, "gap").map(Gap::Slot)
}
