//! What is done to the events of a branch of which only what comes in the end is known, whatever the order and the clock:
//! windows with triggers, joins, tables, scripts.

use crate::draw::Draw;

/// What is put out in place of events. Spans are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Whole {
    Triggered(Triggered),
    /// Pairs of events with even and with odd numbers, this far apart at most.
    Interval {
        within: i64,
        outer: Outer,
    },
    /// The same where both fall into one window.
    InWindow {
        size: i64,
        outer: Outer,
    },
    /// Of events with even numbers: with the latest one before that has an odd number.
    Temporal,
    /// With a row of a file.
    Lookup,
    /// Gathered for a key by a script, which gives what it has when a timer fires this long after an event.
    Script {
        after: i64,
    },
}

/// Windows that fire as a trigger says.
#[derive(Clone, Copy, Debug)]
pub struct Triggered {
    pub kind: Kind,
    lateness: i64,
    pub accumulation: Accumulation,
    /// What the trigger is drawn from.
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tumbling { size: i64 },
    Sliding { size: i64, every: i64 },
    Session { gap: i64 },
}

/// What a further pane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulation {
    Discarding,
    Accumulating,
    Retracting,
}

/// Whose events leave a join alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    pub left: bool,
    pub right: bool,
}

/// The file of a table: for keys up to 3 there is a row, whose value is the key ten times.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/rows.csv");
/// A trigger in Lua that fires at each third event, and a while after the last one.
const TRIGGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/third.lua");
/// Keeps what came for a key, and gives it when a timer fires.
const SCRIPT: &str = "
        function process(event)
          local ids = state.get('ids') or {}
          ids[#ids + 1] = event.id
          state.set('ids', ids)
          timer.at(event_time() + AFTER)
        end
        function on_timer(key, time)
          local ids = state.get('ids')
          state.delete('ids')
          if ids then return { k = key, ids = ids } end
        end
";
/// The greatest key of a row.
pub const LAST_ROW: usize = 3;

impl Whole {
    /// `late` if some events are: then joins do not say what comes.
    pub fn draw(draw: &mut Draw, late: bool) -> Whole {
        let span = draw.one_of(&[0, 5, 40, 300]);
        let outer = Outer { left: draw.often(500), right: draw.often(500) };
        match draw.below(if late { 6 } else { 10 }) {
            0..=3 => Whole::Triggered(Triggered::draw(draw)),
            4 => Whole::Lookup,
            5 => Whole::Script { after: span },
            6 => Whole::Temporal,
            7 => Whole::InWindow { size: span + 20, outer },
            _ => Whole::Interval { within: span, outer },
        }
    }

    /// The name of the last node.
    pub fn last(self, number: usize) -> String {
        match self {
            // What comes too late is counted in as well.
            Whole::Triggered(_) => format!("[w{number}, w{number}.late]"),
            _ => format!("p{number}"),
        }
    }

    /// Its transforms behind a node.
    pub fn transforms(self, number: usize, from: &str) -> String {
        let sides = format!(
            "  l{number}: {{ from: {from}, where: id % 2 = 0 }}\n  r{number}: {{ from: {from}, where: id % 2 = 1 }}\n"
        );
        let (left, right) = (format!("l{number}"), format!("r{number}"));
        let joined = |how: String, outer: Outer| {
            let kind = outer.name();
            format!(
                "{sides}  j{number}: {{ join: {{ left: {left}, right: {right}, match: {left}.k = {right}.k, {how}, type: {kind} }} }}\n  \
                 p{number}: {{ from: j{number}, select: {{ k: 'coalesce({left}.k, {right}.k)', l: {left}.id, r: {right}.id }} }}\n"
            )
        };
        match self {
            Whole::Triggered(_) => String::new(),
            Whole::Interval { within, outer } => joined(format!("within: {within}ms"), outer),
            Whole::InWindow { size, outer } => joined(format!("window: {{ tumbling: {size}ms }}"), outer),
            Whole::Temporal => format!(
                "{sides}  q{number}:\n    from: {left}\n    lookup: {{ table: v{number}, match: k = k, select: {{ partner: id }} }}\n  \
                 p{number}: {{ from: q{number}, select: {{ k: k, l: id, r: partner }} }}\n"
            ),
            Whole::Lookup => format!(
                "  q{number}: {{ from: {from}, lookup: {{ table: v{number}, match: k = k, select: [v] }} }}\n  \
                 p{number}: {{ from: q{number}, select: {{ k: k, l: id, r: v }} }}\n"
            ),
            Whole::Script { after } => {
                let script = SCRIPT.replace("AFTER", &after.to_string());
                format!("  p{number}:\n    from: {from}\n    lua:\n      key: k\n      script: |{script}")
            }
        }
    }

    /// Its window.
    pub fn window(self, number: usize, from: &str) -> Option<String> {
        let Whole::Triggered(window) = self else { return None };
        let aggregate = "{ ids: collect(id), timing: pane_timing() }";
        Some(format!("  w{number}: {{ from: {from}, key: k, {}, aggregate: {aggregate} }}\n", window.text()))
    }

    /// Its table.
    pub fn table(self, number: usize) -> Option<String> {
        match self {
            Whole::Temporal => Some(format!("  v{number}: {{ from: r{number}, key: [k] }}\n")),
            Whole::Lookup => {
                let format = "format: { csv: { types: { k: int, v: int } } }";
                Some(format!("  v{number}: {{ file: {{ path: '{TABLE}' }}, {format}, key: [k] }}\n"))
            }
            _ => None,
        }
    }

    /// What it is, for the coverage.
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Whole::Triggered(window) => {
                let text = window.trigger();
                let parts = [
                    ("processing_time", "trigger by the clock"),
                    ("event_time", "trigger by event time"),
                    ("count", "trigger by number"),
                    ("until", "trigger that closes"),
                    ("early", "trigger in phases"),
                    ("lua", "trigger in Lua"),
                ];
                let parts = parts.into_iter().filter(|(word, _)| text.contains(word)).map(|(_, name)| name);
                parts.chain([window.kind.name(), window.accumulation.name()]).collect()
            }
            Whole::Interval { .. } => vec!["interval join"],
            Whole::InWindow { .. } => vec!["join in windows"],
            Whole::Temporal => vec!["temporal join"],
            Whole::Lookup => vec!["table"],
            Whole::Script { .. } => vec!["script"],
        }
    }
}

impl Outer {
    fn name(self) -> &'static str {
        match (self.left, self.right) {
            (false, false) => "inner",
            (true, false) => "left",
            (false, true) => "right",
            (true, true) => "full",
        }
    }
}

impl Accumulation {
    pub fn name(self) -> &'static str {
        match self {
            Accumulation::Discarding => "discarding",
            Accumulation::Accumulating => "accumulating",
            Accumulation::Retracting => "retracting",
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Tumbling { .. } => "triggered tumbling",
            Kind::Sliding { .. } => "triggered sliding",
            Kind::Session { .. } => "triggered session",
        }
    }
}

impl Triggered {
    fn draw(draw: &mut Draw) -> Triggered {
        let size = draw.one_of(&[20, 100, 500]);
        let kind = match draw.below(3) {
            0 => Kind::Tumbling { size },
            1 => Kind::Sliding { size, every: size / draw.one_of(&[2, 5]) },
            _ => Kind::Session { gap: draw.one_of(&[5, 20, 100]) },
        };
        let lateness = draw.one_of(&[0, 0, 10, 60, 400]);
        use Accumulation::{Accumulating, Discarding, Retracting};
        let accumulation = draw.one_of(&[Discarding, Accumulating, Retracting]);
        Triggered { kind, lateness, accumulation, seed: draw.seed() }
    }

    fn text(self) -> String {
        let kind = match self.kind {
            Kind::Tumbling { size } => format!("tumbling: {size}ms"),
            Kind::Sliding { size, every } => format!("sliding: {{ size: {size}ms, every: {every}ms }}"),
            Kind::Session { gap } => format!("session: {{ gap: {gap}ms }}"),
        };
        let (panes, trigger) = (self.accumulation.name(), self.trigger());
        // What only happens behind the end is refused where nothing does.
        let lateness = if trigger.contains("late:") { self.lateness.max(10) } else { self.lateness };
        format!("{kind}, allowed_lateness: {lateness}ms, accumulation: {panes}, trigger: {trigger}")
    }

    /// Its trigger: a tree.
    fn trigger(self) -> String {
        tree(&mut Draw::new(self.seed), 3)
    }

    /// When the windows of an event start; none where that depends on others.
    pub fn starts(self, time: i64) -> Option<Vec<i64>> {
        let (size, every) = match self.kind {
            Kind::Tumbling { size } => (size, size),
            Kind::Sliding { size, every } => (size, every),
            Kind::Session { .. } => return None,
        };
        let last = time - time.rem_euclid(every);
        Some((0..size / every).map(|back| last - back * every).collect())
    }
}

fn tree(draw: &mut Draw, depth: usize) -> String {
    if depth == 0 || draw.often(300) {
        let span = draw.one_of(&[1, 5, 30, 200]);
        return match draw.below(6) {
            5 => format!("{{ lua: '{TRIGGER}' }}"),
            0 => "watermark".to_owned(),
            1 | 2 => format!("{{ count: {} }}", 1 + draw.below(6)),
            3 => format!("{{ processing_time: {span}ms }}"),
            _ => format!("{{ event_time: {span}ms }}"),
        };
    }
    let mut part = || tree(draw, depth - 1);
    let [one, other] = [part(), part()];
    match draw.below(8) {
        0 => format!("{{ any: [{one}, {other}] }}"),
        1 => format!("{{ all: [{one}, {other}] }}"),
        2 => format!("{{ each: [{one}, {other}] }}"),
        3 => format!("{{ repeat: {one} }}"),
        4 => format!("{{ once: {one} }}"),
        5 => format!("{{ do: {one}, until: {other} }}"),
        6 => format!("{{ watermark: {{ early: {one} }} }}"),
        _ => format!("{{ watermark: {{ early: {one}, late: {other} }} }}"),
    }
}
