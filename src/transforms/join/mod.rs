//! `join`: events of two nodes that belong together, as pairs.
//!
//! Both inputs come together in one stage, as in a union, where each is a map under its node's name; rows are marked with
//! their side and go to the worker that owns their key. Behind the join both maps stand in one row.

mod interval;
mod late;
mod matching;
mod meeting;
mod side;
mod store;
mod temporal;
mod window;

use crate::config::{Role, SIDES, Section, Setting, read};
use crate::dataflow::{
    Binding, ComponentSpec, MAIN, NodePlanner, OptionKind, OptionSpec, Origin, Point, Port, Ports, Scope,
    StepPlan, TransformSpec, open_options,
};
use crate::event::{Batch, Path, Row, Slot};
use crate::expr::Type;
use crate::time::Millis;
use interval::IntervalPlan;
use matching::Matching;
use meeting::{Input, Meeting, Part, mark, meet};
use std::sync::Arc;
pub use temporal::{Temporal, plan as plan_temporal};
use window::{WindowJoinPlan, Windows};

/// The registry entry.
pub const SPEC: TransformSpec = TransformSpec { spec: &JOIN, plan, gathers: true };

const WITHIN: &[OptionSpec] = &[
    OptionSpec::or("before", "0s", OptionKind::Duration, "How much earlier the right event may be."),
    OptionSpec::or("after", "0s", OptionKind::Duration, "How much later the right event may be."),
];

const WINDOW: &[OptionSpec] = &[
    OptionSpec::optional("tumbling", OptionKind::Duration, "Windows of this length, back to back."),
    OptionSpec::optional("sliding", OptionKind::Options(SLIDING), "Windows that overlap."),
];

/// Windows of the language that joins do not have.
const LATER_WINDOWS: &[&str] = &["session", "cumulate", "calendar", "global", "count", "offset", "timezone"];

const SLIDING: &[OptionSpec] = &[
    OptionSpec::required("size", OptionKind::Duration, "The length of a window."),
    OptionSpec::required("every", OptionKind::Duration, "The time from one start to the next."),
];

const JOIN: ComponentSpec = ComponentSpec {
    name: "join",
    role: Role::Transform,
    summary: "Pairs of events of two nodes: each event is a map of both, `{ a: {…}, b: {…} }`, under the names of the nodes, \
              with the time of the later one. It has no `from`. An event that is behind the watermark leaves by `NAME.late`.",
    short: None,
    options: &[
        OptionSpec::required(SIDES[0], OptionKind::Text, "The node, or port of one, on the left side."),
        OptionSpec::required(SIDES[1], OptionKind::Text, "That on the right side, another node."),
        OptionSpec::required(
            "match",
            OptionKind::Expression,
            "What must hold of a pair: an equality of the two sides, such as `a.id = b.id`, or several behind AND. Null is \
             equal to nothing. An `inner` join takes further conditions.",
        ),
        OptionSpec::optional(
            "within",
            OptionKind::Any(&[OptionKind::Duration, OptionKind::Options(WITHIN)]),
            "How far apart the two may be in event time: a span for both directions, or how much earlier (`before`) and later \
             (`after`) the right one may be, both included. This or `window`.",
        ),
        OptionSpec::optional(
            "window",
            OptionKind::Options(WINDOW),
            "The windows in which the two must be together: each gives its pairs when the watermark reaches its end, so in \
             overlapping ones a pair comes several times. An event that misses one leaves by `NAME.late` as well. What \
             follows sees the watermark at the start of the first window that has not ended.",
        ),
        OptionSpec::or(
            "type",
            "inner",
            OptionKind::Word(&["inner", "left", "right", "full"]),
            "Whose events leave without a partner as well, the other side being null: nobody's, those of the `left` or \
             `right` side, or all. They leave once the watermark says that no partner will come.",
        ),
    ],
    later: &[],
    example: "\
sources:
  orders: { file: { path: orders.ndjson }, event_time: { field: ts } }
  payments: { file: { path: payments.ndjson }, event_time: { field: ts } }
transforms:
  paid:
    join:
      left: orders
      right: payments
      match: orders.id = payments.order
      within: { after: 1h }
    select: { id: orders.id, amount: payments.amount }
tests:
  - name: a payment follows its order
    steps:
      - send: { orders: { id: 7, ts: 0 }, payments: { order: 7, amount: 12.5, ts: 60000 } }
      - expect: { out: { id: 7, amount: 12.5 } }
",
};

/// The port of events that came behind the watermark.
const LATE: Port = Port(1);

/// What a join joins, whatever the times of its pairs.
#[derive(Clone, Debug)]
struct Shape {
    /// For people: `a and b by a.id = b.id`.
    text: String,
    /// Whether rows of a side leave that have no partner.
    kept: [bool; 2],
    /// Where the key stands.
    key: Vec<Slot>,
    /// Where the side stands.
    mark: Slot,
}

impl Shape {
    /// What of it the state depends on.
    fn state(&self) -> String {
        let [left, right] = self.kept;
        let kind = match (left, right) {
            (false, false) => "inner",
            (true, false) => "left",
            (false, true) => "right",
            (true, true) => "full",
        };
        format!("{kind} {}", self.text)
    }

    /// The side of a row.
    fn side_of(&self, batch: &Batch, row: Row) -> usize {
        usize::from(batch.get(row, self.mark).as_bool() == Some(true))
    }

    /// Whether a value of the key is null, so that it is equal to none.
    fn has_null(&self, batch: &Batch, row: Row) -> bool {
        self.key.iter().any(|slot| batch.get(row, *slot).is_null())
    }
}

fn plan(planner: &mut NodePlanner<'_>, _at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = JOIN.open(setting);
    SIDES.iter().for_each(|side| _ = section.required(side, Some));
    let kinds = [
        ("inner", [false, false]),
        ("left", [true, false]),
        ("right", [false, true]),
        ("full", [true, true]),
    ];
    let kept = section.or("type", [false, false], read::word(&kinds, &[]));
    let nearness = nearness(&section);
    let sides: [(String, Point); 2] = planner.sides.clone().try_into().ok()?;
    let names = [sides[0].0.as_str(), sides[1].0.as_str()];
    if planner.ordered.is_some() {
        section
            .error("`ordered` means nothing for a join")
            .hint("it pairs events whatever order they come in");
        return None;
    }
    if names[0] == names[1] {
        let other = section.get(SIDES[1]).unwrap_or(setting);
        let reported = other.error(format!("both sides are called `{}`", names[0]));
        reported.hint("give one of them another name by a transform between: `where: true`");
        return None;
    }
    let condition = section.get("match");
    let matching = section.required("match", |setting| matching::read(planner, names, setting));
    let (nearness, matching, condition) = (nearness?, matching?, condition?);
    refuse_rest(&matching, kept, condition)?;
    let points = [&sides[0], &sides[1]].map(|(_, point)| point.clone());
    let (at, shape) = together(planner, names, points, &matching, kept, condition)?;
    let plan: Box<dyn StepPlan> = match nearness {
        Nearness::Within(reach) => Box::new(IntervalPlan { shape, reach }),
        Nearness::Windows(windows) => Box::new(WindowJoinPlan { shape, windows }),
    };
    let output = leave(planner, names, &at, plan);
    let output = match &matching.rest {
        None => output,
        Some(rest) => {
            let program = planner.condition_of(&output, condition, rest)?;
            let filter = super::FilterPlan { program, text: rest.to_string() };
            let step = planner.attach(&output, Box::new(filter));
            planner.behind(&output, step, MAIN, output.scope.clone())
        }
    };
    Some(vec![(String::new(), output)])
}

/// When two events are together.
enum Nearness {
    /// How much later a partner may be: that of a left event, and that of a right one.
    Within([Millis; 2]),
    /// In each window that holds both.
    Windows(Windows),
}

/// Reads `within` or `window`, one of which must be there.
fn nearness(section: &Section<'_>) -> Option<Nearness> {
    let setting = section.exactly_one(&["within", "window"], "span")?;
    match setting.name {
        "window" => windows(setting).map(Nearness::Windows),
        _ => within(setting).map(Nearness::Within),
    }
}

fn windows(setting: Setting<'_>) -> Option<Windows> {
    let section = open_options(setting, "`window`", WINDOW, LATER_WINDOWS);
    let kind = section.exactly_one(&["tumbling", "sliding"], "window kind")?;
    if kind.name == "tumbling" {
        return read::positive_duration(kind).map(|size| Windows { size, every: size });
    }
    let section = open_options(kind, "`sliding`", SLIDING, &[]);
    let size = section.required("size", read::positive_duration);
    let every = section.required("every", read::positive_duration);
    let (size, every) = (size?, every?);
    if every > size {
        kind.error("`every` is longer than `size`: events between two windows belong to none");
        return None;
    }
    Some(Windows { size, every })
}

/// How much later a partner may be: that of a left event, and that of a right one.
fn within(setting: Setting<'_>) -> Option<[Millis; 2]> {
    if setting.node.entries().is_none() {
        return read::duration(setting).map(|span| [span, span]);
    }
    let section = open_options(setting, "`within`", WITHIN, &[]);
    let side = |name| section.or(name, Millis::ZERO, read::duration);
    Some([side("after"), side("before")])
}

/// A row without partner of which conditions would have to be known that the join does not look at.
fn refuse_rest(matching: &Matching, kept: [bool; 2], condition: Setting<'_>) -> Option<()> {
    let rest = matching.rest.as_ref().filter(|_| kept != [false, false]);
    let Some(rest) = rest else { return Some(()) };
    let snippet = read::expression(condition)?;
    let reported = snippet
        .error(rest.span.clone(), "of an outer join, `match` can hold equalities of the two sides only");
    reported.hint("filter one side before the join, or its pairs behind it");
    None
}

/// Brings both sides together in one stage, by key.
fn together(
    planner: &mut NodePlanner<'_>,
    names: [&str; 2],
    points: [Point; 2],
    matching: &Matching,
    kept: [bool; 2],
    condition: Setting<'_>,
) -> Option<(Point, Shape)> {
    let mut types: Vec<Type> = Vec::new();
    let mut sides = Vec::new();
    for (number, mut at) in points.into_iter().enumerate() {
        let scope = Scope::default().with(names[number], Binding::Map(Arc::new(at.scope.clone())));
        let (mut key, mut texts) = (Vec::new(), Vec::new());
        for (i, (operands, written)) in matching.equal.iter().enumerate() {
            let ty = planner.type_of(&at, condition, &operands[number])?;
            match types.get(i) {
                None => types.push(ty),
                Some(left) => check_types(*left, ty, written, condition)?,
            }
            let slot = planner.slot_of(&mut at, condition, &operands[number], "join")?;
            key.push(Part { written: written.clone(), slot, ty });
            texts.push(operands[number].to_string());
        }
        let text = format!("{} side of the join, by {}", SIDES[number], texts.join(", "));
        let input = Input { text, right: number == 1, kept: kept[number], scope };
        sides.push(mark(planner, &at, &key, input));
    }
    let written: Vec<String> = matching.equal.iter().map(|(_, written)| written.clone()).collect();
    let Meeting { at, key, mark } = meet(planner, sides, &written)?;
    let text = format!("{} and {} by {}", names[0], names[1], written.join(" AND "));
    Some((at, Shape { text, kept, key, mark }))
}

/// Values of types that have nothing in common are never equal.
fn check_types(left: Type, right: Type, written: &str, condition: Setting<'_>) -> Option<()> {
    if left.meets(right) || (left.meets(Type::NUMBER) && right.meets(Type::NUMBER)) {
        return Some(());
    }
    condition.error(format!("`{written}` is never true: {} is not {}", left.noun(), right.noun()));
    None
}

/// Attaches the join, and the stages of pairs and of what comes too late. Returns the point of pairs.
fn leave(planner: &mut NodePlanner<'_>, names: [&str; 2], at: &Point, plan: Box<dyn StepPlan>) -> Point {
    let below = Arc::new(at.scope.clone());
    let side = |name: &str| {
        let scope = Scope::default().with(name, Binding::Alias(below.clone(), Path::field(name)));
        Point { scope, ..at.clone() }
    };
    let both = || Origin::Copied(names.map(side).to_vec());
    let step = planner.attach(at, plan);
    let pairs = planner.draft.stage(both());
    planner.draft.emit_to(step, MAIN, pairs);
    planner.is_ordered = true;
    if planner.is_listened("late") {
        let late = planner.draft.stage(both());
        planner.draft.emit_to(step, LATE, late);
        planner.late = Some(Point { stage: late, behind: None, scope: Scope::origin() });
    }
    Point { stage: pairs, behind: None, scope: Scope::origin() }
}
