//! `trigger`: when panes leave.

use crate::config::{Keys, Section, Setting, read};
use crate::windows::triggers::Trigger;

/// The keys of a trigger that is a map, each with what reads it.
const KINDS: &[&str] =
    &["watermark", "processing_time", "event_time", "count", "any", "all", "each", "repeat", "once", "do"];

/// Most parts of a trigger: each is a cell of every pane.
const MOST_PARTS: usize = 64;

/// Reads a trigger; None if something was reported.
pub fn read(setting: Setting<'_>) -> Option<Trigger> {
    let trigger = trigger(setting)?;
    if parts(&trigger) > MOST_PARTS {
        setting.error(format!("this trigger has more than {MOST_PARTS} parts"));
        return None;
    }
    Some(trigger)
}

fn parts(trigger: &Trigger) -> usize {
    trigger.parts().into_iter().map(parts).sum::<usize>() + 1
}

fn trigger(setting: Setting<'_>) -> Option<Trigger> {
    if let Some(text) = setting.node.scalar() {
        if text == "watermark" {
            return Some(Trigger::Watermark);
        }
        let reported = setting.error(format!("{} is no trigger", setting.node.describe()));
        match KINDS.contains(&text) {
            true => reported.hint(format!("`{text}` stands with a value: `{}`", example(text))),
            false => reported
                .hint("the only trigger that is a word is `watermark`; others are maps: `{ count: 100 }`"),
        };
        return None;
    }
    let known: Vec<&'static str> = KINDS.iter().copied().chain(["until"]).collect();
    let section = setting.section("a trigger", Keys { known: &known, later: &["lua"], hints: HINTS });
    if section.is_broken() || section.has("lua") {
        return None;
    }
    let Some(chosen) = section.at_most_one(KINDS, "kind") else {
        if section.has("until") {
            section
                .error("`until` ends what `do` does")
                .hint("write `{ do: { repeat: { count: 5 } }, until: { count: 100 } }`");
        } else {
            section.exactly_one(KINDS, "kind");
        }
        return None;
    };
    if chosen.name != "do"
        && let Some(until) = section.get("until")
    {
        until.faults.error(until.key, format!("`until` cannot stand beside `{}`", chosen.name));
        return None;
    }
    kind(&section, chosen)
}

const HINTS: &[(&str, &str)] = &[
    ("early", "it stands inside `watermark`: `{ watermark: { early: { count: 100 } } }`"),
    ("late", "it stands inside `watermark`: `{ watermark: { late: { count: 10 } } }`"),
];

fn example(kind: &str) -> &'static str {
    match kind {
        "processing_time" => "{ processing_time: 10s }",
        "event_time" => "{ event_time: 1m }",
        "count" => "{ count: 100 }",
        "do" => "{ do: { repeat: { count: 5 } }, until: { count: 100 } }",
        "repeat" => "{ repeat: { count: 5 } }",
        "once" => "{ once: { count: 5 } }",
        "all" => "{ all: [watermark, { count: 5 }] }",
        "each" => "{ each: [{ count: 1 }, { count: 5 }] }",
        _ => "{ any: [watermark, { count: 5 }] }",
    }
}

fn kind(section: &Section<'_>, chosen: Setting<'_>) -> Option<Trigger> {
    let boxed = |setting| trigger(setting).map(Box::new);
    Some(match chosen.name {
        "watermark" => phases(chosen)?,
        "processing_time" => Trigger::ProcessingTime(read::positive_duration(chosen)?),
        "event_time" => Trigger::EventTime(read::positive_duration(chosen)?),
        "count" => Trigger::Count(read::integer(1..)(chosen)? as u64),
        "any" => Trigger::Any(several(chosen)?),
        "all" => Trigger::All(several(chosen)?),
        "each" => Trigger::Each(several(chosen)?),
        "repeat" => Trigger::Repeat(boxed(chosen)?),
        "once" => Trigger::Once(boxed(chosen)?),
        _ => {
            let (work, until) = (boxed(chosen), section.required("until", boxed));
            Trigger::Until { work: work?, until: until? }
        }
    })
}

fn several(setting: Setting<'_>) -> Option<Vec<Trigger>> {
    let parts = read::list(trigger)(setting)?;
    if parts.is_empty() {
        setting
            .error(format!("`{}` has no triggers", setting.name))
            .hint(format!("write `{}`", example(setting.name)));
        return None;
    }
    Some(parts)
}

/// What stands under `watermark`.
fn phases(setting: Setting<'_>) -> Option<Trigger> {
    let section = setting.section("`watermark`", Keys::of(&["early", "late"]));
    if section.is_broken() {
        return None;
    }
    let [early, late] =
        ["early", "late"].map(|key| section.optional(key, |part| trigger(part).map(Box::new)));
    if section.has("early") && early.is_none() || section.has("late") && late.is_none() {
        return None;
    }
    Some(match (early, late) {
        (None, None) => Trigger::Watermark,
        (early, late) => Trigger::Phases { early, late },
    })
}
