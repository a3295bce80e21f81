//! How two inputs come together in one stage, by key.

use super::side::SidePlan;
use crate::dataflow::{Binding, KeyField, MAIN, NodePlanner, Point, Scope, is_hidden};
use crate::event::{Path, Slot};
use crate::expr::Type;

/// Where rows are marked with their side.
const MARK: &str = "(side)";

/// A value of the key on one side.
pub struct Part {
    /// What is equal on both sides, as written.
    pub written: String,
    /// Where it stands.
    pub slot: Slot,
    /// Its type, as far as it is known.
    pub ty: Type,
}

/// One of the two inputs.
pub struct Input {
    /// What its rows are, for people.
    pub text: String,
    /// Whether it is the right one.
    pub right: bool,
    /// Whether rows without a key stay.
    pub kept: bool,
    /// The fields by which its events are known where both are.
    pub scope: Scope,
}

/// Where both inputs are.
pub struct Meeting {
    /// The point at which they are.
    pub at: Point,
    /// Where the key stands there.
    pub key: Vec<Slot>,
    /// Where the side stands.
    pub mark: Slot,
}

/// Marks the rows of one input at a point with their side and their key.
pub fn mark(planner: &mut NodePlanner<'_>, at: &Point, key: &[Part], input: Input) -> Point {
    let (mut parts, mut scope) = (Vec::new(), input.scope);
    for Part { written, slot, ty } in key {
        let ty = if ty.meets(Type::FLOAT) { ty.or(Type::INT) } else { *ty };
        // The name that `explain` shows.
        let to = planner.draft.slot(at.stage, written.clone(), ty);
        parts.push((*slot, to));
        scope = scope.with(hidden(written), Binding::Slot(to, ty));
    }
    let mark = planner.draft.slot(at.stage, MARK, Type::BOOL);
    scope = scope.with(MARK, Binding::Slot(mark, Type::BOOL));
    let side = SidePlan { text: input.text, mark, right: input.right, key: parts, kept: input.kept };
    let step = planner.attach(at, Box::new(side));
    planner.behind(at, step, MAIN, scope)
}

/// Brings two marked inputs together, at the workers that own their keys. `written` are the parts of the key.
pub fn meet(planner: &mut NodePlanner<'_>, inputs: Vec<Point>, written: &[String]) -> Option<Meeting> {
    let stage = planner.draft.join(inputs);
    let at = Point { stage, behind: None, scope: Scope::origin() };
    let mut key = Vec::new();
    for written in written {
        let found = planner.draft.resolve(at.stage, &at.scope, &Path::field(hidden(written))).ok()?;
        key.push(KeyField { name: hidden(written), slot: found.slot, ty: found.ty });
    }
    let at = planner.exchange(&at, &mut key);
    let mark = planner.draft.resolve(at.stage, &at.scope, &Path::field(MARK)).ok()?.slot;
    Some(Meeting { at, key: key.iter().map(|field| field.slot).collect(), mark })
}

/// The name of a part of the key in the stage where both inputs are.
fn hidden(written: &str) -> String {
    let name = format!("({written})");
    debug_assert!(is_hidden(&name), "no user can name it");
    name
}
