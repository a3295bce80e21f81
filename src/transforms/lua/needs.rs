//! What a script needs of the plan: which fields go in, which come out, and by which way.

use super::runner::Loaded;
use crate::lua::Script;
use crate::lua::fields::{Fields, Whole};

/// What the options say of fields and ports.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    pub(super) reads: Option<Vec<String>>,
    pub(super) writes: Option<Vec<String>>,
    pub(super) ports: Vec<String>,
    /// Whether there is a key.
    pub(super) keyed: bool,
}

/// What a script needs.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    declared: Declared,
    pub(super) is_batch: bool,
    /// The fields that go in; None: all of the event, for that reason.
    pub(super) reads: Result<Vec<String>, Whole>,
    /// The fields that an event may differ in when it comes back; None: it is what its table then holds.
    pub(super) writes: Option<Vec<String>>,
    /// Of those, which are always written.
    pub(super) always: Vec<bool>,
    /// Whether the fields were declared and could not be proven, so that it is looked after them.
    pub(super) is_judged: bool,
    /// Whether the table may be used again for the next event.
    pub(super) reuse: bool,
    /// Whether events that come in may go on.
    pub(super) passes: bool,
    /// Whether events go on in the batch in which they came.
    pub(super) stays: bool,
    /// The ports, that of the main one first, with an empty name.
    pub(super) ports: Vec<String>,
    /// Whether there is state.
    pub(super) keeps: bool,
    /// Whether there is an `on_timer`.
    pub(super) has_timers: bool,
}

impl Needs {
    /// What the text of a script, which was loaded, and the options say.
    pub(super) fn of(script: &Script, loaded: &Loaded, declared: Declared) -> Needs {
        let mut found = Fields::of(&script.text);
        let name = if loaded.is_batch { "process_batch" } else { "process" };
        let line = found.entries.iter().find(|(entry, _)| *entry == name).map(|(_, line)| *line);
        let info = loaded.entry.info();
        let is_same = line.is_some()
            && line.map(|line| line as usize) == info.line_defined
            && info.source.as_deref().map(|source| source.trim_start_matches('=')) == Some(&script.name);
        if found.whole.is_none() && !is_same {
            let line = line.unwrap_or(1);
            found.whole =
                Some(Whole { line, why: format!("`{name}` is not the function that the text shows") });
        }
        let is_proven = found.whole.is_none();
        let names = |which: &dyn Fn(&crate::lua::fields::Field) -> bool| -> Vec<String> {
            found.fields.iter().filter(|field| which(field)).map(|field| field.name.clone()).collect()
        };
        let reads = match (&declared.reads, &found.whole) {
            (Some(reads), _) => Ok(reads.clone()),
            (None, None) => Ok(names(&|field| field.goes_in())),
            (None, Some(whole)) => Err(whole.clone()),
        };
        let writes = match &declared.writes {
            Some(writes) => Some(writes.clone()),
            None if is_proven => Some(names(&|field| field.written)),
            None if declared.reads.is_some() => Some(Vec::new()),
            None => None,
        };
        let is_always = |name: &String| {
            is_proven && found.fields.iter().any(|field| field.name == *name && field.always && !field.read)
        };
        let always = writes.iter().flatten().map(is_always).collect();
        let mut ports = vec![String::new()];
        for port in found.ports.iter().chain(&declared.ports) {
            if !ports.contains(port) {
                ports.push(port.clone());
            }
        }
        let has_timers = loaded.on_timer.is_some();
        // A list stays one if nothing else is given: its events may be used again, and nothing of them is kept.
        let is_one = !loaded.is_batch || (is_proven && found.reuse && !found.returns_single);
        let stays = is_one
            && !found.emits
            && !has_timers
            && !found.returns_other
            && ports.len() == 1
            && (is_proven || (writes.is_some() && !found.entries.is_empty()));
        Needs {
            is_batch: loaded.is_batch,
            is_judged: !is_proven && writes.is_some(),
            reuse: is_proven && found.reuse && !loaded.is_batch,
            passes: !is_proven || found.returns_event,
            keeps: (found.keeps || has_timers || declared.keyed) && !loaded.is_batch,
            declared,
            reads,
            writes,
            always,
            stays,
            ports,
            has_timers,
        }
    }

    /// The fields that go in by name.
    pub(super) fn read_names(&self) -> &[String] {
        self.reads.as_deref().unwrap_or_default()
    }

    /// The fields that come out by name.
    pub(super) fn write_names(&self) -> &[String] {
        self.writes.as_deref().unwrap_or_default()
    }

    /// Whether events that a script makes have only the fields that are declared.
    pub(super) fn is_closed(&self) -> bool {
        self.declared.writes.is_some()
    }

    /// What another text in place of this one needs, within what is planned.
    ///
    /// # Errors
    /// Why the plan does not fit it.
    pub(super) fn replaced(&self, script: &Script, loaded: &Loaded) -> Result<Needs, String> {
        let new = Needs::of(script, loaded, self.declared.clone());
        let within =
            |new: &[String], known: &[String]| new.iter().find(|name| !known.contains(name)).cloned();
        if new.is_batch != self.is_batch {
            return Err("it takes events in another way, by `process` or by `process_batch`".to_owned());
        }
        if self.stays && !new.stays {
            return Err("it now makes events of its own, which needs a new start".to_owned());
        }
        if new.has_timers && !self.has_timers || new.keeps && !self.keeps {
            return Err("it now keeps state or sets timers, which needs a new start".to_owned());
        }
        if let Some(port) = within(&new.ports, &self.ports) {
            return Err(format!("it has a new port, `{port}`, which needs a new start"));
        }
        if self.reads.is_ok() {
            if let Err(whole) = &new.reads {
                return Err(format!(
                    "it needs the whole event (line {}: {}), which needs a new start",
                    whole.line, whole.why
                ));
            }
            if let Some(field) = within(new.read_names(), self.read_names()) {
                return Err(format!("it also needs the field `{field}`, which needs a new start"));
            }
        }
        if let Some(known) = &self.writes {
            if let Some(field) = within(new.write_names(), known) {
                return Err(format!("it also writes the field `{field}`, which needs a new start"));
            }
            if new.passes && !self.passes {
                return Err("it now lets events pass, which needs a new start".to_owned());
            }
        }
        // Fields go in and come out as they were planned: what it does not need, it does not look at.
        let always = vec![false; self.always.len()];
        let always = if new.writes == self.writes { new.always } else { always };
        Ok(Needs {
            reads: self.reads.clone(),
            writes: self.writes.clone(),
            always,
            ports: self.ports.clone(),
            passes: self.passes,
            stays: self.stays,
            keeps: self.keeps,
            ..new
        })
    }
}
