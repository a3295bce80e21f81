//! What is known of a script while it is walked through: names, and what becomes of events.

use super::{Field, Fields, Whole};
use std::collections::BTreeSet;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Var {
    /// A global.
    Global,
    /// A local of no interest.
    Plain,
    /// The event, a local of the function at that depth.
    Event(usize),
    /// The list of events, a parameter of the function at that depth.
    List(usize),
}

/// What an expression may give.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// The event itself, or the list of events.
    pub(super) event: bool,
    /// One event, not the list.
    pub(super) single: bool,
    /// A new list that holds the event.
    pub(super) listed: bool,
    /// A table that is not the event.
    pub(super) other: bool,
    /// What a field holds, or something inside of that.
    pub(super) fields: Vec<usize>,
}

impl Flow {
    /// Anything but an event.
    pub(super) fn other() -> Flow {
        Flow { other: true, ..Flow::default() }
    }

    /// Either of two.
    pub(super) fn or(mut self, second: Flow) -> Flow {
        self.fields.extend(second.fields);
        Flow {
            event: self.event | second.event,
            single: self.single | second.single,
            listed: self.listed | second.listed,
            other: self.other | second.other,
            fields: self.fields,
        }
    }
}

/// The function that is given events, while it is walked through.
struct Inside {
    level: usize,
    /// In how many blocks of statements.
    nested: usize,
    /// Whether it may have returned, or jumped, before this place.
    left: bool,
}

/// See the module.
pub(super) struct Notes {
    /// The line of the next token.
    pub(super) line: u32,
    locals: Vec<(String, Var)>,
    level: usize,
    /// In how many blocks of statements of the script itself.
    nested: usize,
    inside: Option<Inside>,
    /// Globals that are given values.
    assigned: BTreeSet<String>,
    /// Where globals are relied on.
    trusted: Vec<(String, u32)>,
    /// Where something stands that can give globals other values unseen.
    unseen: Option<(String, u32)>,
    /// Whether a list or map could be changed of which the script has more than one name.
    changes: bool,
    found: Fields,
}

/// Globals behind which text can hide that is not walked through.
const UNSEEN: &[&str] = &["require", "load", "loadstring", "dofile", "loadfile", "rawset", "setmetatable"];

/// Functions of `table` that change no table.
const HARMLESS: &[&str] = &["concat", "unpack", "pack"];

impl Notes {
    pub(super) fn new() -> Notes {
        Notes {
            line: 1,
            locals: Vec::new(),
            level: 0,
            nested: 0,
            inside: None,
            assigned: BTreeSet::new(),
            trusted: Vec::new(),
            unseen: None,
            changes: false,
            found: Fields { reuse: true, ..Fields::default() },
        }
    }

    /// All that was found.
    pub(super) fn finish(mut self) -> Fields {
        for (name, line) in std::mem::take(&mut self.trusted) {
            if self.assigned.contains(&name) {
                self.whole(line, format!("`{name}` is a function of the script's own"));
            } else if let Some((by, at)) = self.unseen.clone() {
                self.whole(line, format!("`{name}` may be another function: line {at} has `{by}`"));
            }
        }
        for field in &mut self.found.fields {
            field.written |= field.shared && self.changes;
        }
        self.found
    }

    /// The whole event is needed; the first reason is the one that is told.
    pub(super) fn whole(&mut self, line: u32, why: impl Into<String>) {
        self.found.whole.get_or_insert(Whole { line, why: why.into() });
    }

    pub(super) fn whole_here(&mut self, why: &str) {
        self.whole(self.line, why);
    }

    pub(super) fn level(&self) -> usize {
        self.level
    }

    pub(super) fn mark(&self) -> usize {
        self.locals.len()
    }

    pub(super) fn forget(&mut self, mark: usize) {
        self.locals.truncate(mark);
    }

    pub(super) fn declare(&mut self, name: String, var: Var) {
        if name == "_ENV" {
            self.named("_ENV", Var::Plain);
        }
        self.locals.push((name, var));
    }

    pub(super) fn find(&self, name: &str) -> Var {
        self.locals.iter().rev().find(|(local, _)| local == name).map_or(Var::Global, |(_, var)| *var)
    }

    /// Whether the name is the list of events of the function at hand.
    pub(super) fn is_list_here(&self, name: &str) -> bool {
        self.find(name) == Var::List(self.level)
    }

    pub(super) fn event_here(&self) -> Var {
        Var::Event(self.level)
    }

    /// A function begins.
    pub(super) fn enter(&mut self, entry: Option<&'static str>) {
        self.level += 1;
        if let Some(entry) = entry {
            // What is written to one event of a list may not be written to another.
            let left = entry != "process";
            self.inside = Some(Inside { level: self.level, nested: 0, left });
        }
    }

    /// It ends.
    pub(super) fn leave(&mut self) {
        if self.here().is_some() {
            self.inside = None;
        }
        self.level -= 1;
    }

    /// The function that is given events, if this is it and not one inside of it.
    fn here(&mut self) -> Option<&mut Inside> {
        let level = self.level;
        self.inside.as_mut().filter(|inside| inside.level == level)
    }

    /// A block of a statement begins or ends.
    pub(super) fn inner(&mut self, begins: bool) {
        let change = |nested: usize| if begins { nested + 1 } else { nested.saturating_sub(1) };
        if let Some(inside) = self.here() {
            inside.nested = change(inside.nested);
        } else if self.level == 0 {
            self.nested = change(self.nested);
        }
    }

    pub(super) fn jumps(&mut self) {
        self.here().into_iter().for_each(|inside| inside.left = true);
    }

    pub(super) fn parameter(&self, entry: Option<&'static str>) -> Var {
        match entry {
            Some("process") => Var::Event(self.level),
            Some(_) => Var::List(self.level),
            None => Var::Plain,
        }
    }

    /// A function's first parameter is `...`.
    pub(super) fn takes_any(&mut self, entry: Option<&'static str>) {
        if let Some(name) = entry {
            self.whole_here(&format!("`{name}` takes any number of arguments"));
        }
    }

    /// A name is given a value. If that is a function that is given events: which.
    pub(super) fn assigns_name(
        &mut self,
        name: &str,
        var: Var,
        is_function: bool,
        line: u32,
    ) -> Option<&'static str> {
        match var {
            Var::Event(_) | Var::List(_) => self.whole(line, format!("`{name}` is given another value")),
            Var::Plain => {}
            Var::Global => {
                self.assigned.insert(name.to_owned());
                return self.defines(name, is_function, line);
            }
        }
        None
    }

    fn defines(&mut self, name: &str, is_function: bool, line: u32) -> Option<&'static str> {
        let entry = ["process", "process_batch"].into_iter().find(|entry| *entry == name)?;
        if !is_function || self.level > 0 || self.nested > 0 {
            self.whole(line, format!("`{name}` is computed"));
            return None;
        }
        if self.found.entries.iter().any(|(known, _)| *known == entry) {
            self.whole(line, format!("`{name}` is defined twice"));
            return None;
        }
        self.found.entries.push((entry, line));
        Some(entry)
    }

    /// A name is used.
    pub(super) fn named(&mut self, name: &str, var: Var) {
        if matches!(name, "_G" | "_ENV") {
            self.whole_here(&format!("`{name}` gives every global another name"));
            self.changes = true;
        }
        if var != Var::Global {
            return;
        }
        if UNSEEN.contains(&name) {
            self.unseen.get_or_insert((name.to_owned(), self.line));
            self.changes = true;
        }
        self.found.keeps |= matches!(name, "state" | "timer");
    }

    /// A member of a global is used, or, without one, all of it.
    pub(super) fn member(&mut self, base: &str, name: Option<&str>) {
        self.changes |= base == "table" && !name.is_some_and(|name| HARMLESS.contains(&name));
    }

    /// A global is used as a value.
    pub(super) fn aliases(&mut self, name: &str) {
        if name == "emit" {
            self.emits(None);
        }
    }

    /// A global must be what it is at the beginning.
    pub(super) fn trust(&mut self, name: &str) {
        self.trusted.push((name.to_owned(), self.line));
    }

    /// The field of that name, of an event of the function at that depth.
    pub(super) fn field(&mut self, name: String, level: usize) -> usize {
        // A function inside may be called when the next event is at hand.
        self.found.reuse &= level == self.level;
        let found = self.found.fields.iter().position(|field| field.name == name);
        found.unwrap_or_else(|| {
            self.found.fields.push(Field { name, ..Field::default() });
            self.found.fields.len() - 1
        })
    }

    pub(super) fn reads(&mut self, field: usize) {
        self.found.fields[field].read = true;
    }

    pub(super) fn writes(&mut self, field: usize) {
        let always = self.here().is_some_and(|inside| inside.nested == 0 && !inside.left);
        let field = &mut self.found.fields[field];
        field.written = true;
        field.always |= always;
    }

    /// Something inside of what a field holds is given a value: it may be inside of another field as well.
    pub(super) fn writes_inside(&mut self, field: usize) {
        self.found.fields[field].written = true;
        self.changes = true;
    }

    /// Something inside of a table is given a value.
    pub(super) fn changes_inside(&mut self, var: Var) {
        if matches!(var, Var::Event(_) | Var::List(_)) {
            self.whole_here("a function becomes a field of the event");
        }
        self.changes = true;
    }

    /// The event itself, a local of the function at that depth.
    pub(super) fn event_flow(&mut self, level: usize) -> Flow {
        Flow { single: true, ..self.list_flow(level) }
    }

    /// The list of events, a parameter of the function at that depth.
    pub(super) fn list_flow(&mut self, level: usize) -> Flow {
        if level != self.level {
            self.whole_here("the event is used in a function inside");
        }
        Flow { event: true, ..Flow::default() }
    }

    /// Values go where they are not followed.
    pub(super) fn consume(&mut self, flows: &[Flow], what: &str) {
        for flow in flows {
            if flow.event || flow.listed {
                self.whole_here(&format!("the event {what}"));
            }
            flow.fields.iter().for_each(|field| self.found.fields[*field].shared = true);
        }
    }

    /// A function returns.
    pub(super) fn returned(&mut self, flows: &[Flow], line: u32) {
        let Some(inside) = self.here() else {
            return self.consume(flows, "is returned by another function");
        };
        inside.left = true;
        match flows {
            [] => {}
            [flow] => {
                self.found.returns_event |= flow.event | flow.listed;
                self.found.returns_single |= flow.event && flow.single;
                self.found.returns_other |= flow.other;
                self.consume(&[Flow { event: false, listed: false, ..flow.clone() }], "");
            }
            _ => self.whole(line, "several values are returned"),
        }
    }

    /// The first argument of `emit`.
    pub(super) fn emits_first(&mut self, flow: &mut Flow) {
        if std::mem::take(&mut flow.event) {
            self.trust("emit");
            self.found.returns_event = true;
        }
    }

    /// An event is emitted by a port; None if that is computed.
    pub(super) fn emits(&mut self, port: Option<Option<String>>) {
        self.found.emits = true;
        match port {
            Some(Some(port)) if !self.found.ports.contains(&port) => self.found.ports.push(port),
            Some(_) => {}
            None => self.found.computes_port |= true,
        }
    }
}
