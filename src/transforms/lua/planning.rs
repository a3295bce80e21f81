//! Planning of a script's step.

use super::call::Shared;
use super::needs::Needs;
use super::options::Options;
use super::plan::{Input, LuaPlan, OnError, Write};
use crate::config::{Setting, StateTtl};
use crate::dataflow::{
    Binding, KeyField, MAIN, NodePlanner, Origin, Point, Port, Ports, Scope, ScopeLayer, is_hidden, key_names,
};
use crate::event::Slot;
use crate::expr::{self, Type};

/// More ports than this are a mistake.
const MOST_PORTS: usize = 100;

pub(super) fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let options = Options::read(setting, planner.name)?;
    let needs = needs(&options)?;
    planner.plugins.note(&options.plugin.script);
    let ttl = if needs.keeps { planner.state_ttl() } else { StateTtl(None) };
    let (mut at, key) = place(planner, at, &options, &needs)?;
    let input = input(planner, &mut at, &options, &needs)?;
    let mut writes = writes(planner, &mut at, &options, &needs)?;
    let mut scope = at.scope.clone();
    if needs.stays {
        for write in &mut writes {
            write.slot = planner.draft.slot(at.stage, write.name.clone(), Type::ANY);
            scope = scope.with(write.name.clone(), Binding::Slot(write.slot, Type::ANY));
        }
    }
    let stages: Vec<Point> = if needs.stays {
        Vec::new()
    } else {
        needs.ports.iter().map(|_| behind(planner, &at, &needs)).collect()
    };
    let decodings = stages.iter().filter_map(|point| {
        point.scope.layers.iter().find_map(|layer| match layer {
            ScopeLayer::Parsed(id) => Some(*id),
            _ => None,
        })
    });
    let by = planner.by(&at, &key);
    let plan = LuaPlan {
        node: planner.name.to_owned(),
        by,
        names: key_names(&key),
        key: key.iter().map(|field| field.slot).collect(),
        key_names: key.iter().map(|field| field.name.clone()).collect(),
        input,
        writes,
        on_error: options.on_error,
        version: options.version,
        ttl,
        stage: at.stage,
        decodings: decodings.collect(),
        ports: stages.len() as u8,
        is_batch: needs.is_batch,
        stays: needs.stays,
        has_timers: needs.has_timers,
        asks: needs.keeps || options.plugin.script.text.contains("event_time"),
        plugin: options.plugin,
        needs: needs.clone(),
    };
    let step = planner.attach(&at, Box::new(plan));
    if needs.stays {
        return Some(vec![(String::new(), planner.behind(&at, step, MAIN, scope))]);
    }
    for (port, point) in stages.iter().enumerate() {
        planner.draft.emit_to(step, Port(port as u8), point.stage);
    }
    Some(needs.ports.into_iter().zip(stages).collect())
}

/// What goes into the script.
fn input(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    options: &Options<'_>,
    needs: &Needs,
) -> Option<Input> {
    match &needs.reads {
        Ok(names) => {
            let slots = names.iter().map(|name| slot_of(planner, at, options.script, name));
            slots.collect::<Option<_>>().map(Input::Fields)
        }
        Err(whole) => {
            let script = &options.plugin.script.name;
            let why = format!("{} ({script}:{}: {})", planner.name, whole.line, whole.why);
            Some(Input::Whole(planner.draft.view(at.stage, &at.scope, &why)))
        }
    }
}

/// The fields that it may write.
fn writes(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    options: &Options<'_>,
    needs: &Needs,
) -> Option<Vec<Write>> {
    let mut writes = Vec::new();
    for (name, always) in needs.write_names().iter().zip(&needs.always) {
        // What is written in any case does not matter as it came in, unless the event is to go on without the script.
        let matters = !always || options.on_error == OnError::Pass;
        let before = if matters { slot_of(planner, at, options.script, name)? } else { None };
        writes.push(Write { name: name.clone(), slot: Slot(0), before, always: *always });
    }
    Some(writes)
}

/// Loads the script, to find its faults and what it needs.
fn needs(options: &Options<'_>) -> Option<Needs> {
    let call = Shared::new(vec![String::new()], None, false);
    let loaded = match options.plugin.load(&call, &[], &[]) {
        Ok(loaded) => loaded,
        Err(fault) => {
            options.script.error(fault.to_string());
            return None;
        }
    };
    let needs = Needs::of(&options.plugin.script, &loaded, options.declared.clone());
    if needs.ports.len() > MOST_PORTS {
        options.script.error(format!("the script has {} ports, more than {MOST_PORTS}", needs.ports.len()));
        return None;
    }
    let mut names = needs.read_names().iter().chain(needs.write_names());
    if let Some(name) = names.find(|name| is_hidden(name)) {
        options.script.error(format!("`{name}`: the name of a field cannot start with `(`"));
        return None;
    }
    if let Some(port) = needs.ports.iter().find(|port| ["rejected", "late"].contains(&port.as_str())) {
        options.script.error(format!("the port `{port}` is there by itself"));
        return None;
    }
    let key = options.section.as_ref().and_then(|section| section.get("key"));
    if let Some(key) = key.filter(|_| needs.is_batch) {
        key.error("`process_batch` gets events of all keys at once, so there is none to keep anything for")
            .hint("define `process(event)` instead");
        return None;
    }
    Some(needs)
}

/// Where the step stands: where it keeps something, with the worker that owns an event's key.
fn place(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    options: &Options<'_>,
    needs: &Needs,
) -> Option<(Point, Vec<KeyField>)> {
    match (&options.section, needs.keeps) {
        (Some(section), true) => planner.keyed(at, section, &[], false),
        (None, true) => Some((planner.gather(at, &mut [], false), Vec::new())),
        _ if planner.ordered == Some(true) => Some((planner.gather(at, &mut [], true), Vec::new())),
        _ => Some((at.clone(), Vec::new())),
    }
}

/// Where a field of the event stands; None within if there is none of that name.
fn slot_of(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'_>,
    name: &str,
) -> Option<Option<Slot>> {
    let path = crate::event::Path::field(name);
    if !planner.draft.can_resolve(at.stage, &at.scope, &path) {
        return Some(None);
    }
    match planner.draft.resolve(at.stage, &at.scope, &path) {
        Ok(found) if found.rest.is_empty() => return Some(Some(found.slot)),
        Ok(_) => {}
        Err(_) => return Some(None),
    }
    // It is a part of what another field holds.
    let expr = expr::parse(&format!("`{}`", name.replace('`', "``"))).ok()?;
    planner.slot_of(at, setting, &expr, "read").map(Some)
}

/// A place behind the step, for events that it makes: what is read there is asked of the tables that the script gives.
fn behind(planner: &mut NodePlanner<'_>, at: &Point, needs: &Needs) -> Point {
    let stage = planner.draft.stage(Origin::Copied(vec![at.clone()]));
    let declared =
        needs.is_closed().then(|| needs.write_names().iter().map(|name| (name.clone(), Type::ANY)).collect());
    let decoding = planner.draft.decoding(declared);
    let mut scope = Scope::default();
    // What the script cannot have written comes from the event as it came in.
    if needs.writes.is_some() && needs.passes {
        scope.layers.push(ScopeLayer::Origin);
    }
    scope.layers.push(ScopeLayer::Parsed(decoding));
    Point { stage, behind: None, scope }
}
