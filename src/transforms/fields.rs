//! `set`, `select`, `drop`: which fields an event has.

use crate::config::{Role, Setting, read};
use crate::dataflow::{
    Binding, ComponentSpec, ComputePlan, MAIN, NodePlanner, OptionKind, Point, Ports, Scope, TransformSpec,
};
use crate::expr::Expr;
use std::sync::Arc;

/// The registry entry of `set`.
pub const SET: TransformSpec = TransformSpec {
    spec: &ComponentSpec {
        name: "set",
        role: Role::Transform,
        summary: "Adds fields, or overwrites them in their place. All see the event as it came in.",
        short: Some(OptionKind::Map(&OptionKind::Expression)),
        options: &[],
        later: &[],
        example: "\
transforms:
  celsius:
    from: readings
    set: { temp: (fahrenheit - 32) / 1.8 }
tests:
  - name: boiling water
    steps:
      - send: { readings: { device: d1, fahrenheit: 212 } }
      - expect: { out: [{ device: d1, fahrenheit: 212, temp: 100.0 }] }
",
    },
    plan: set,
    gathers: false,
};

/// The registry entry of `select`.
pub const SELECT: TransformSpec = TransformSpec {
    spec: &ComponentSpec {
        name: "select",
        role: Role::Transform,
        summary: "Keeps only these fields, in this order: a map of names and expressions, or a list of fields.",
        short: Some(OptionKind::Any(&[
            OptionKind::Map(&OptionKind::Expression),
            OptionKind::OneOrList(&OptionKind::Text),
        ])),
        options: &[],
        later: &[],
        example: "\
transforms:
  slim:
    from: readings
    select: { device: id, temp: data.temperature }
tests:
  - name: the rest is gone
    steps:
      - send: { readings: { id: d1, battery: 88, data: { temperature: 21.5 } } }
      - expect: { out: [{ device: d1, temp: 21.5 }] }
        exact: true
",
    },
    plan: select,
    gathers: false,
};

/// The registry entry of `drop`.
pub const DROP: TransformSpec = TransformSpec {
    spec: &ComponentSpec {
        name: "drop",
        role: Role::Transform,
        summary: "Removes fields.",
        short: Some(OptionKind::OneOrList(&OptionKind::Text)),
        options: &[],
        later: &[],
        example: "\
transforms:
  public:
    from: logins
    drop: [password, token]
tests:
  - name: secrets are gone
    steps:
      - send: { logins: { user: u1, password: p, ok: true } }
      - expect: { out: [{ user: u1, ok: true }] }
        exact: true
",
    },
    plan: drop_fields,
    gathers: false,
};

/// A field that an expression computes, and where the expression stands.
struct Entry<'a> {
    name: String,
    expr: Expr,
    setting: Setting<'a>,
}

fn set(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let (mut entries, good) = named_expressions(planner, setting)?;
    let mut at = at.clone();
    let good = history(planner, &mut at, &mut entries) && good;
    let point = compute(planner, &at, &entries, "set", at.scope.clone()).filter(|_| good)?;
    Some(vec![(String::new(), point)])
}

fn select(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let (mut entries, good) = match setting.node.entries() {
        Some(_) => named_expressions(planner, setting)?,
        None => (selected_paths(planner, setting)?, true),
    };
    let mut at = at.clone();
    let good = history(planner, &mut at, &mut entries) && good;
    let point = compute(planner, &at, &entries, "select", Scope::default()).filter(|_| good)?;
    Some(vec![(String::new(), point)])
}

fn drop_fields(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let mut scope = at.scope.clone();
    for item in setting.one_or_items() {
        let name = field_name(planner, item)?;
        if let Some(known) = planner.draft.known(at.stage, &scope)
            && !known.contains(&name)
        {
            let message = format!("there is no field `{name}` to drop");
            planner.faults.unknown(item, message, &name, known.iter().map(String::as_str));
            return None;
        }
        scope = scope.without(name);
    }
    Some(vec![(String::new(), Point { scope, ..at.clone() })])
}

/// Computes what the entries ask of earlier events. Returns whether all is well.
fn history(planner: &mut NodePlanner<'_>, at: &mut Point, entries: &mut [Entry<'_>]) -> bool {
    let mut exprs: Vec<_> = entries.iter_mut().map(|entry| (entry.setting, &mut entry.expr)).collect();
    planner.history(at, &mut exprs)
}

/// The entries that can be read, and whether those are all: the others were reported.
fn named_expressions<'a>(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'a>,
) -> Option<(Vec<Entry<'a>>, bool)> {
    let settings = setting.entries()?;
    if settings.is_empty() {
        setting.error(format!("`{}` has no fields", setting.name));
        return None;
    }
    let read = settings.iter().filter_map(|entry| {
        let expr = planner.parse(*entry).filter(|_| planner.is_name(*entry))?;
        Some(Entry { name: planner.field_name(*entry), expr, setting: *entry })
    });
    let read: Vec<Entry<'a>> = read.collect();
    let good = read.len() == settings.len();
    Some((read, good))
}

/// The entries of the short form `select: [a, b.c]`.
fn selected_paths<'a>(planner: &mut NodePlanner<'_>, setting: Setting<'a>) -> Option<Vec<Entry<'a>>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for item in setting.one_or_items() {
        let expr = planner.parse(item)?;
        let Some(path) = expr.as_path() else {
            item.error("expected a field")
                .hint("write a map to select what is computed: `{ name: expression }`");
            return None;
        };
        let name = path.name().to_owned();
        if entries.iter().any(|entry| entry.name == name) {
            item.error(format!("two selected fields would be named `{name}`"))
                .hint("write a map to name them: `{ name: path }`");
            return None;
        }
        entries.push(Entry { name, expr, setting: item });
    }
    Some(entries)
}

/// The name of a top-level field.
fn field_name(planner: &NodePlanner<'_>, item: Setting<'_>) -> Option<String> {
    read::text(item)?;
    let expr = planner.parse(item)?;
    match expr.as_path() {
        Some(path) if path.rest().is_empty() => Some(path.root().to_owned()),
        _ => {
            item.error("expected the name of a field").hint("only whole top-level fields can be dropped");
            None
        }
    }
}

/// Attaches what must be computed; plain references become other names for what is there already.
fn compute(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    entries: &[Entry<'_>],
    verb: &'static str,
    onto: Scope,
) -> Option<Point> {
    let below = Arc::new(at.scope.clone());
    let mut scope = onto;
    let mut fields = Vec::new();
    let mut failed = false;
    for entry in entries {
        let binding = match entry.expr.as_path() {
            Some(path) if planner.is_alias(at, path) => Binding::Alias(below.clone(), path.clone()),
            _ => match planner.compile(at, entry.setting, &entry.expr) {
                Some(program) => {
                    let ty = program.ty();
                    let slot = planner.draft.slot(at.stage, entry.name.clone(), ty);
                    fields.push((entry.name.clone(), slot, program));
                    Binding::Slot(slot, ty)
                }
                None => {
                    failed = true;
                    continue;
                }
            },
        };
        scope = scope.with(entry.name.clone(), binding);
    }
    if failed {
        return None;
    }
    if fields.is_empty() {
        return Some(Point { scope, ..at.clone() });
    }
    let step = planner.attach(at, Box::new(ComputePlan { fields, verb }));
    Some(planner.behind(at, step, MAIN, scope))
}
