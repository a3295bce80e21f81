//! Options of windows beside their kind: where they are cut, when they fire, what they start with.

use super::aggregate::PlannedCall;
use super::trigger::{self, Triggers};
use crate::config::{Section, read};
use crate::event::{Slot, nearest};
use crate::time::Millis;
use crate::windows::triggers::Trigger;
use crate::windows::{Accumulation, CARRY, FiringPlan, Grid, WindowSpec};
use jiff::tz::TimeZone;

/// Reads `offset` and `timezone`, which only windows that are cut can have.
pub fn grid(section: &Section<'_>, spec: Option<&WindowSpec>) -> Option<Grid> {
    let cut = spec.is_none_or(|spec| spec.cut);
    for key in ["offset", "timezone"] {
        if let (false, Some(setting), Some(spec)) = (cut, section.get(key), spec) {
            let message = format!("`{key}` means nothing for `{}` windows", spec.spec.name);
            section.faults().error(setting.key, message);
        }
    }
    let offset = section.or("offset", Millis::ZERO, read::duration);
    let Some(setting) = section.get("timezone") else { return Some(Grid { offset, zone: None }) };
    let name = read::text(setting)?;
    match TimeZone::get(name) {
        Ok(zone) => Some(Grid { offset, zone: Some(zone) }),
        Err(_) => {
            let names: Vec<String> =
                jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
            let reported = setting.error(format!("there is no time zone `{name}`"));
            match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => reported.hint(format!("did you mean `{near}`?")),
                None => reported.hint("a zone is named like `Europe/Berlin`"),
            }
            None
        }
    }
}

/// When panes leave, and what they hold.
#[derive(Clone)]
pub struct Paning {
    /// How long after its end a window takes events.
    pub lateness: Millis,
    /// What makes panes leave.
    pub trigger: Trigger,
    /// What a pane that fires again holds.
    pub accumulation: Accumulation,
    /// Whether a pane that is on time leaves without anything new, too.
    pub emit_empty: bool,
    /// Whether each window has one pane, at its end.
    pub is_single: bool,
}

impl Paning {
    /// What the operator is told of it, if that is more than that the watermark makes panes leave.
    pub fn plan(&self, asked: bool, fields: Vec<(String, Slot)>) -> Option<FiringPlan> {
        let retracts = self.accumulation == Accumulation::Retracting;
        let plain = self.trigger == Trigger::Watermark && !retracts && !asked;
        (!plain).then(|| FiringPlan { trigger: self.trigger.clone(), emit_empty: self.emit_empty, fields })
    }
}

/// Reads `allowed_lateness`, `trigger`, `accumulation`, which must be written where a window can fire twice, and
/// `emit_empty`.
pub fn panes<'a>(
    section: &Section<'a>,
    spec: Option<&WindowSpec>,
    triggers: &mut Triggers<'a, '_, '_>,
) -> Option<Paning> {
    let lateness = section.or("allowed_lateness", Millis::ZERO, read::duration);
    if let (Some(setting), Some(spec)) = (section.get("allowed_lateness"), spec.filter(|spec| !spec.ends)) {
        let message = format!(
            "`allowed_lateness` means nothing for `{}` windows: they take every event",
            spec.spec.name
        );
        section.faults().error(setting.key, message);
    }
    let lateness = if spec.is_none_or(|spec| spec.ends) { lateness } else { Millis::ZERO };
    let trigger = section.optional("trigger", |setting| trigger::read(setting, triggers));
    let counts = spec.is_some_and(|spec| spec.spec.name == "count");
    for key in ["trigger", "emit_empty"] {
        if let (true, Some(setting)) = (counts, section.get(key)) {
            let message =
                format!("`{key}` means nothing for `count` windows: each has one pane, when it is full");
            section
                .faults()
                .error(setting.key, message)
                .hint("`global: {}` takes a trigger: `{ count: 100 }`");
        }
    }
    let words = [
        ("discarding", Accumulation::Discarding),
        ("accumulating", Accumulation::Accumulating),
        ("retracting", Accumulation::Retracting),
    ];
    let accumulation = section.optional("accumulation", read::word(&words, &[]));
    if let (true, Some(Accumulation::Retracting), Some(setting)) =
        (counts, accumulation, section.get("accumulation"))
    {
        setting.error("`count` windows have one pane each, and nothing to take back");
    }
    let emit_empty = section.or("emit_empty", false, read::boolean);
    if section.has("trigger") && trigger.is_none() || section.has("accumulation") && accumulation.is_none() {
        return None;
    }
    let trigger = trigger.unwrap_or(Trigger::Watermark);
    check_late(section, &trigger, lateness)?;
    let is_single = lateness == Millis::ZERO && !trigger.fires_early();
    if let (true, true, Some(setting)) = (is_single, emit_empty && !counts, section.get("emit_empty")) {
        let message =
            "`emit_empty` changes nothing here: a window has one pane, and is there because of an event";
        section.faults().warning(setting.key, message).hint("it says something where a trigger fires early");
    }
    if !is_single && accumulation.is_none() {
        tell_accumulation(section, lateness);
        return None;
    }
    let accumulation = accumulation.unwrap_or_default();
    Some(Paning { lateness, trigger, accumulation, emit_empty, is_single })
}

fn tell_accumulation(section: &Section<'_>, lateness: Millis) {
    let why = if lateness > Millis::ZERO { "allowed_lateness" } else { "trigger" };
    let message = format!("{} needs `accumulation`: with `{why}` it can fire more than once", section.what());
    section.error(message).hint(
        "`discarding` gives what came since the last pane, `accumulating` all so far, `retracting` takes the last one back \
         first",
    );
}

/// A `late` trigger needs something late.
fn check_late(section: &Section<'_>, trigger: &Trigger, lateness: Millis) -> Option<()> {
    if lateness > Millis::ZERO || !has_late_part(trigger) {
        return Some(());
    }
    let place = section.get("trigger").map_or(section.place(), |setting| setting.key);
    let message = "`late` never fires: a window takes nothing behind its end without `allowed_lateness`";
    section.faults().error(place, message).hint("write `allowed_lateness: 1m`, or leave `late` away");
    None
}

fn has_late_part(trigger: &Trigger) -> bool {
    let own = matches!(trigger, Trigger::Phases { late: Some(_), .. });
    own || trigger.parts().iter().any(|part| has_late_part(part))
}

/// Reads `carry`, which means something only where an aggregate starts with what was before the window. These cannot be
/// added up from panes that each hold a part of the window.
pub fn carry(
    section: &Section<'_>,
    spec: Option<&WindowSpec>,
    calls: &[PlannedCall],
    panes: Option<&Paning>,
) -> Option<Millis> {
    let carriers: Vec<&str> =
        calls.iter().filter(|call| call.spec.carries).map(|call| call.spec.name).collect();
    let in_parts =
        panes.is_some_and(|panes| !panes.is_single && panes.accumulation == Accumulation::Discarding);
    if let (Some(first), true) = (carriers.first(), in_parts) {
        let place = section.get("accumulation").map_or(section.place(), |setting| setting.place());
        let message = format!(
            "`{first}` follows a key through the whole window, of which `discarding` panes hold a part"
        );
        section.faults().error(place, message).hint("write `accumulation: accumulating`");
        return None;
    }
    let Some(setting) = section.get("carry") else { return Some(CARRY) };
    if let Some(spec) = spec.filter(|spec| !spec.ends) {
        let message =
            format!("`carry` means nothing for `{}` windows: nothing is carried into them", spec.spec.name);
        section.faults().error(setting.key, message);
        return None;
    }
    if carriers.is_empty() {
        let reported = section
            .faults()
            .error(setting.key, "`carry` means nothing here: no aggregate carries a value in");
        reported.hint("`delta`, `rate`, `time_in` and `time_weighted_avg` do");
        return None;
    }
    read::duration(setting)
}
