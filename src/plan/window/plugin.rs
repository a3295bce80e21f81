//! Aggregates and triggers of plugins in windows.

use super::aggregate::{PlannedCall, place};
use super::options::Paning;
use crate::config::{Section, Setting};
use crate::dataflow::plugin::RegisterKind;
use crate::dataflow::{NodePlanner, Point};
use crate::event::Slot;
use crate::expr::{Expr, Type};
use crate::windows::aggregates::{CUSTOM, Call, CustomAggregate, Own, PluginAggregate};
use crate::windows::triggers::Trigger;
use crate::windows::{Aggregate, WindowKind};
use std::sync::Arc;

/// The aggregate that a call calls, if it is one of a plugin.
pub fn aggregate(planner: &NodePlanner<'_>, part: &Expr) -> Option<Arc<dyn CustomAggregate>> {
    let name = &part.as_call()?.name;
    let plugin = planner.plugins.find(RegisterKind::Aggregate, name)?.clone();
    Some(Arc::new(PluginAggregate { plugin, name: name.clone() }))
}

/// Plans a call of it: any arguments, each computed for each event.
pub fn plan_call(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'_>,
    part: &Expr,
    aggregate: Arc<dyn CustomAggregate>,
) -> Option<PlannedCall> {
    let call = part.as_call()?;
    let refused = match call {
        _ if call.distinct => Some("DISTINCT"),
        _ if call.over.is_some() => Some("OVER"),
        _ if call.star => Some("`*`"),
        _ => None,
    };
    if let Some(refused) = refused {
        let message = format!("`{}` of `{}` takes no {refused}", call.name, aggregate.origin());
        planner.faults.error(place(setting, part), message);
        return None;
    }
    let mut slots = Vec::new();
    for arg in &call.args {
        slots.push(planner.slot_of(at, setting, arg, "aggregate")?);
    }
    let filter = match &call.filter {
        Some(filter) => Some(super::aggregate::plan_filter(planner, at, setting, filter)?),
        None => None,
    };
    let call = Call { slots, constants: Vec::new(), own: None };
    Some(PlannedCall {
        written: part.clone(),
        spec: &CUSTOM,
        own: Some(aggregate),
        call,
        filter,
        ty: Type::ANY,
    })
}

/// The calls with the slots of their results, and of why there are none, which stand behind all others.
pub fn place_results(
    calls: Vec<PlannedCall>,
    slots: &[Slot],
    failed: &[Slot],
) -> (Vec<Aggregate>, Vec<Slot>) {
    let mut rest = failed.iter().copied();
    let mut used = Vec::new();
    let aggregates = calls.into_iter().zip(slots).map(|(mut call, into)| {
        if let Some(aggregate) = call.own.take()
            && let Some(failed) = rest.next()
        {
            used.push(failed);
            call.call.own = Some(Own { aggregate, failed });
        }
        call.into(*into)
    });
    (aggregates.collect(), used)
}

/// Whether what must become one in these windows can: sessions that merge, and the parts of a window that moves on.
pub fn check_merging(
    section: &Section<'_>,
    kind: &WindowKind,
    panes: &Paning,
    calls: &[PlannedCall],
) -> Option<()> {
    let noun = match kind {
        WindowKind::Session { .. } => "session",
        WindowKind::Count { .. } => "count",
        _ => return Some(()),
    };
    let stiff = calls.iter().filter_map(|call| call.own.as_ref()).find(|own| !own.merges());
    if let Some(own) = stiff {
        let message = format!(
            "`{noun}` windows become one with others, and `{}` of `{}` has no `merge`",
            own.name(),
            own.origin()
        );
        let at = section.get("aggregate").map_or(section.place(), |setting| setting.key);
        section
            .faults()
            .error(at, message)
            .hint("`merge = function(state, other) … end` makes one of two states");
        return None;
    }
    if let Some(name) = stiff_trigger(&panes.trigger) {
        let message = format!("sessions become one with others, and the trigger `{name}` has no `on_merge`");
        let at = section.get("trigger").map_or(section.place(), |setting| setting.key);
        section
            .faults()
            .error(at, message)
            .hint("`on_merge = function(pane, other) … end` is given the other's state");
        return None;
    }
    Some(())
}

/// The first trigger of a plugin that cannot become one with another.
fn stiff_trigger(trigger: &Trigger) -> Option<String> {
    match trigger {
        Trigger::Custom(custom) => (!custom.0.merges()).then(|| custom.0.name()),
        other => other.parts().into_iter().find_map(stiff_trigger),
    }
}
