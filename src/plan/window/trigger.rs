//! `trigger`: when panes leave.

use crate::config::{Keys, Section, Setting, read};
use crate::dataflow::plugin::{Plugin, RegisterKind};
use crate::dataflow::{NodePlanner, Point};
use crate::event::{Path, Slot};
use crate::lua::Script;
use crate::windows::triggers::{Custom, PluginTrigger, Trigger};
use std::sync::Arc;

/// The keys of a trigger that is a map, each with what reads it.
const KINDS: &[&str] = &[
    "watermark",
    "processing_time",
    "event_time",
    "count",
    "any",
    "all",
    "each",
    "repeat",
    "once",
    "do",
    "lua",
];

/// Most parts of a trigger: each is a cell of every pane.
const MOST_PARTS: usize = 64;

/// Reads triggers of a window.
pub struct Triggers<'a, 'n, 'p> {
    /// What scripts are found by.
    pub planner: &'n NodePlanner<'p>,
    /// The fields that triggers of plugins want of events.
    pub reads: Vec<Setting<'a>>,
}

/// Reads a trigger; None if something was reported.
pub fn read<'a>(setting: Setting<'a>, of: &mut Triggers<'a, '_, '_>) -> Option<Trigger> {
    let trigger = trigger(setting, of)?;
    if parts(&trigger) > MOST_PARTS {
        setting.error(format!("this trigger has more than {MOST_PARTS} parts"));
        return None;
    }
    Some(trigger)
}

fn parts(trigger: &Trigger) -> usize {
    trigger.parts().into_iter().map(parts).sum::<usize>() + 1
}

fn trigger<'a>(setting: Setting<'a>, of: &mut Triggers<'a, '_, '_>) -> Option<Trigger> {
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
    let section = setting.section("a trigger", Keys { known: &known, later: &[], hints: HINTS });
    if section.is_broken() {
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
    kind(&section, chosen, of)
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
        "lua" => "{ lua: ../plugins/my_trigger.lua }",
        _ => "{ any: [watermark, { count: 5 }] }",
    }
}

fn kind<'a>(section: &Section<'a>, chosen: Setting<'a>, of: &mut Triggers<'a, '_, '_>) -> Option<Trigger> {
    let mut boxed = |setting| trigger(setting, of).map(Box::new);
    Some(match chosen.name {
        "watermark" => phases(chosen, of)?,
        "lua" => Trigger::Custom(plugin(chosen, of)?),
        "processing_time" => Trigger::ProcessingTime(read::positive_duration(chosen)?),
        "event_time" => Trigger::EventTime(read::positive_duration(chosen)?),
        "count" => Trigger::Count(read::integer(1..)(chosen)? as u64),
        "any" => Trigger::Any(several(chosen, of)?),
        "all" => Trigger::All(several(chosen, of)?),
        "each" => Trigger::Each(several(chosen, of)?),
        "repeat" => Trigger::Repeat(boxed(chosen)?),
        "once" => Trigger::Once(boxed(chosen)?),
        _ => {
            let work = boxed(chosen);
            let until = section.required("until", boxed);
            Trigger::Until { work: work?, until: until? }
        }
    })
}

fn several<'a>(setting: Setting<'a>, of: &mut Triggers<'a, '_, '_>) -> Option<Vec<Trigger>> {
    let items = read::list(Some)(setting)?;
    let parts: Vec<Option<Trigger>> = items.into_iter().map(|item| trigger(item, of)).collect();
    let parts: Vec<Trigger> = parts.into_iter().collect::<Option<_>>()?;
    if parts.is_empty() {
        setting
            .error(format!("`{}` has no triggers", setting.name))
            .hint(format!("write `{}`", example(setting.name)));
        return None;
    }
    Some(parts)
}

/// What stands under `watermark`.
fn phases<'a>(setting: Setting<'a>, of: &mut Triggers<'a, '_, '_>) -> Option<Trigger> {
    let section = setting.section("`watermark`", Keys::of(&["early", "late"]));
    if section.is_broken() {
        return None;
    }
    let [early, late] =
        ["early", "late"].map(|key| section.optional(key, |part| trigger(part, of).map(Box::new)));
    if section.has("early") && early.is_none() || section.has("late") && late.is_none() {
        return None;
    }
    Some(match (early, late) {
        (None, None) => Trigger::Watermark,
        (early, late) => Trigger::Phases { early, late },
    })
}

/// What stands under `lua`: a script, or a map of what is called in which script, with what of each event.
fn plugin<'a>(setting: Setting<'a>, of: &mut Triggers<'a, '_, '_>) -> Option<Custom> {
    if let Some(script) = setting.node.scalar() {
        return chosen(setting, load(setting, script, of), None);
    }
    let section = setting.section("`lua`", Keys::of(&["script", "name", "reads"]));
    if section.is_broken() {
        return None;
    }
    let name = section.optional("name", read::text);
    of.reads.extend(section.get("reads").into_iter().flat_map(|reads| reads.one_or_items()));
    let script = match (section.get("script"), name) {
        (Some(script), _) => read::any_text(script).and_then(|text| load(script, text, of)),
        (None, Some(name)) => registered(section.get("name").unwrap_or(setting), name, of),
        (None, None) => {
            let reported = section.error("`lua` needs `script`");
            reported.hint("or the `name` of a trigger that a script under `plugins` registers");
            None
        }
    };
    chosen(section.get("name").unwrap_or(setting), script, name)
}

/// The fields that triggers of plugins are given of an event, each by its last name, and where they stand.
pub fn fields(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    reads: &[Setting<'_>],
) -> Option<Vec<(String, Slot)>> {
    let mut fields: Vec<(String, Slot)> = Vec::new();
    for setting in reads {
        let expr = planner.parse(*setting)?;
        let Some(name) = expr.as_path().map(Path::name) else {
            setting.error("`reads` takes names of fields").hint("compute others by `set` before the window");
            return None;
        };
        let slot = planner.slot_of(at, *setting, &expr, "trigger")?;
        if !fields.iter().any(|(known, _)| known == name) {
            fields.push((name.to_owned(), slot));
        }
    }
    Some(fields)
}

fn load(setting: Setting<'_>, text: &str, of: &Triggers<'_, '_, '_>) -> Option<Arc<Plugin>> {
    let NodePlanner { plugins, folder, faults, name, .. } = of.planner;
    if !Script::is_inline(text) {
        return plugins.read(folder, text, setting.place(), faults);
    }
    plugins.load(Script::inline(&format!("the trigger of {name}"), text, None), setting.place(), faults)
}

/// The plugin that offers a trigger of that name to the whole pipeline.
fn registered(setting: Setting<'_>, name: &str, of: &Triggers<'_, '_, '_>) -> Option<Arc<Plugin>> {
    let plugins = of.planner.plugins;
    let found = plugins.find(RegisterKind::Trigger, name).cloned();
    if found.is_none() {
        let message = format!("no script under `plugins` registers a trigger `{name}`");
        setting.faults.unknown(setting.place(), message, name, plugins.names(RegisterKind::Trigger));
    }
    found
}

/// The trigger of that name, or the only one.
fn chosen(setting: Setting<'_>, plugin: Option<Arc<Plugin>>, name: Option<&str>) -> Option<Custom> {
    let plugin = plugin?;
    let triggers = plugin.registered.iter().filter(|known| known.kind == RegisterKind::Trigger);
    let names: Vec<&str> = triggers.map(|known| known.name.as_str()).collect();
    let script = &plugin.script.name;
    let name = match (name, &names[..]) {
        (Some(name), _) if names.contains(&name) => name,
        (Some(name), _) => {
            let message = format!("`{script}` registers no trigger `{name}`");
            setting.faults.unknown(setting.place(), message, name, names);
            return None;
        }
        (None, [only]) => only,
        (None, []) => {
            let reported = setting.error(format!("`{script}` registers no trigger"));
            reported.hint("it calls `register.trigger(name, { on_event = function(pane, event) … end })`");
            return None;
        }
        (None, _) => {
            let reported = setting.error(format!("`{script}` registers several triggers"));
            reported.hint(format!("write `{{ lua: {{ script: {script}, name: {} }} }}`", names[0]));
            return None;
        }
    };
    let name = name.to_owned();
    Some(Custom(Arc::new(PluginTrigger { plugin: plugin.clone(), name })))
}
