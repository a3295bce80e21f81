//! What `aggregate` and `having` may ask of the pane that leaves.

use super::aggregate::place;
use super::options::Paning;
use super::{END, RETRACTED, START};
use crate::config::Setting;
use crate::dataflow::NodePlanner;
use crate::event::Path;
use crate::expr::{Expr, Literal, Type};
use crate::windows::Accumulation;

/// What can be asked of a pane, with the field behind the window that holds it.
pub const PANE: [(&str, &str, Type); 3] = [
    ("pane_index", "(pane_index())", Type::INT),
    ("pane_timing", "(pane_timing())", Type::TEXT),
    ("is_last_pane", "(is_last_pane())", Type::BOOL),
];

/// What panes are told with.
pub struct Told {
    /// Whether each window has one pane.
    is_single: bool,
    /// Whether that may leave before the end of the window.
    may_be_early: bool,
    /// Windows over numbers of events have no panes that anything could be said of.
    counts: bool,
    /// Whether panes are taken back.
    pub retracts: bool,
    /// Whether rows that come in may be taken back.
    pub follows: bool,
    /// Whether something was asked that is not the same for all panes.
    pub asked: bool,
}

impl Told {
    /// For panes that leave so; of windows over numbers of events if `counts`.
    pub fn new(panes: Option<&Paning>, counts: bool) -> Told {
        let retracts = panes.is_some_and(|panes| panes.accumulation == Accumulation::Retracting);
        let is_single = panes.is_none_or(|panes| panes.is_single && !retracts);
        let may_be_early = panes.is_some_and(|panes| panes.trigger.precedes_end());
        Told { is_single, may_be_early, counts, retracts, follows: false, asked: false }
    }

    /// Whether the output of the window has a field of that name anyway, the key aside.
    pub fn has_field(&self, name: &str) -> bool {
        [START, END].contains(&name) || self.retracts && name == RETRACTED
    }

    /// What stands for a call that asks something of the pane; None if it does not.
    pub fn replace(&mut self, planner: &NodePlanner<'_>, setting: Setting<'_>, part: &Expr) -> Option<Expr> {
        let call = part.as_call()?;
        let is = |name: &str| call.name.eq_ignore_ascii_case(name);
        let bound = [("window_start", START), ("window_end", END)].into_iter().find(|(name, _)| is(name));
        let pane = PANE.into_iter().find(|(name, ..)| is(name));
        let takes = call.star || !call.args.is_empty();
        if takes && (bound.is_some() || pane.is_some()) {
            planner.faults.error(place(setting, part), format!("`{}` takes no arguments", call.name));
            return Some(Expr::literal(Literal::Null));
        }
        if let Some((_, field)) = bound {
            return Some(Expr::field(Path::field(field)));
        }
        let (name, field, _) = pane?;
        if self.counts {
            let message =
                format!("`{name}` means nothing in `count` windows: each has one pane, when it is full");
            planner.faults.error(place(setting, part), message);
        }
        if self.is_single && !(self.may_be_early && name == "pane_timing") {
            return Some(Expr::literal(match name {
                "pane_index" => Literal::Int(0),
                "pane_timing" => Literal::Text("on_time".into()),
                _ => Literal::Bool(true),
            }));
        }
        self.asked = true;
        Some(Expr::field(Path::field(field)))
    }

    /// The same in a whole expression.
    pub fn replace_all(&mut self, planner: &NodePlanner<'_>, setting: Setting<'_>, expr: &mut Expr) {
        expr.map(&mut |part| self.replace(planner, setting, part));
    }
}
