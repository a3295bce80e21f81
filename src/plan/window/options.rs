//! Options of windows beside their kind: where they are cut, when they fire, what they start with.

use super::aggregate::PlannedCall;
use crate::config::{Section, read};
use crate::event::nearest;
use crate::time::Millis;
use crate::windows::{Accumulation, CARRY, Grid, WindowSpec};
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

/// Reads `allowed_lateness`, `trigger` and `accumulation`, which must be written where a window can fire twice.
pub fn panes(section: &Section<'_>, spec: Option<&WindowSpec>) -> Option<(Millis, Accumulation)> {
    let lateness = section.or("allowed_lateness", Millis::ZERO, read::duration);
    if let (Some(setting), Some(spec)) = (section.get("allowed_lateness"), spec.filter(|spec| !spec.ends)) {
        let message = format!(
            "`allowed_lateness` means nothing for `{}` windows: they take every event",
            spec.spec.name
        );
        section.faults().error(setting.key, message);
    }
    let words = [("discarding", Accumulation::Discarding), ("accumulating", Accumulation::Accumulating)];
    let accumulation = section.optional("accumulation", read::word(&words, &["retracting"]));
    section.optional("trigger", |setting| {
        if setting.node.scalar() != Some("watermark") {
            setting.error("a trigger other than `watermark` is not in this version");
        }
        Some(())
    });
    if lateness > Millis::ZERO && !section.has("accumulation") {
        let reported = section.error(format!(
            "{} needs `accumulation`: with `allowed_lateness` it can fire more than once",
            section.what()
        ));
        reported.hint("`discarding` gives what came since the last pane, `accumulating` all so far");
        return None;
    }
    if section.has("accumulation") && accumulation.is_none() {
        return None;
    }
    Some((lateness, accumulation.unwrap_or_default()))
}

/// Reads `carry`, which means something only where an aggregate starts with what was before the window. These cannot be
/// added up from panes that each hold a part of the window.
pub fn carry(
    section: &Section<'_>,
    spec: Option<&WindowSpec>,
    calls: &[PlannedCall],
    panes: Option<(Millis, Accumulation)>,
) -> Option<Millis> {
    let carriers: Vec<&str> =
        calls.iter().filter(|call| call.spec.carries).map(|call| call.spec.name).collect();
    let fires_again = panes.is_some_and(|(lateness, _)| lateness > Millis::ZERO);
    if let (Some(first), Some((_, Accumulation::Discarding)), true) = (carriers.first(), panes, fires_again) {
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
