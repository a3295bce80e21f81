//! `key`: the fields by which a node keeps events apart, and the way of events to the worker that owns their key.

use super::draft::is_hidden;
use super::planning::NodePlanner;
use super::scope::{Binding, Point, Scope};
use crate::config::Setting;
use crate::event::{Path, Slot};
use crate::expr::Type;

/// A key field: its name outside, and where it stands in the input.
#[derive(Clone, Debug)]
pub struct KeyField {
    /// What it is called in what the node puts out.
    pub name: String,
    /// Where it stands.
    pub slot: Slot,
    /// Its type, as far as it is known.
    pub ty: Type,
}

impl KeyField {
    /// Its name for people, with the expression behind it where that is another. `slots` are those of the stage that
    /// it stands in.
    pub fn written(&self, slots: &[(String, Type)]) -> String {
        let expr = &slots[self.slot.0 as usize].0;
        if *expr == self.name || is_hidden(expr) {
            self.name.clone()
        } else {
            format!("{expr} as {}", self.name)
        }
    }
}

/// The names of a key, for [`super::StepPlan::state`]: the same for any number of workers.
pub fn key_names(key: &[KeyField]) -> String {
    let names: Vec<&str> = key.iter().map(|field| field.name.as_str()).collect();
    format!("by {names:?}")
}

impl NodePlanner<'_> {
    /// Reads `key`: a field, a list of fields, or a map of names and expressions. `taken` are names of other fields
    /// that the node puts out beside the key.
    pub fn key_fields(
        &mut self,
        at: &mut Point,
        setting: Setting<'_>,
        taken: &[&str],
    ) -> Option<Vec<KeyField>> {
        let named = setting.node.entries().is_some();
        let items = if named { setting.entries()? } else { setting.one_or_items() };
        let mut fields: Vec<KeyField> = Vec::new();
        for item in items {
            let expr = self.parse(item)?;
            let name = match expr.as_path() {
                _ if named => item.name.to_owned(),
                Some(path) => path.name().to_owned(),
                None => {
                    item.error("expected a field")
                        .hint("write a map to name what is computed: `key: { name: expression }`");
                    return None;
                }
            };
            if fields.iter().any(|field| field.name == name) || taken.contains(&name.as_str()) {
                item.error(format!("the output has a field `{name}` already"))
                    .hint("name it: `key: { name: field }`");
                return None;
            }
            let ty = self.type_of(at, item, &expr)?;
            let slot = self.slot_of(at, item, &expr, "key")?;
            fields.push(KeyField { name, slot, ty });
        }
        Some(fields)
    }

    /// The key behind what a node does, for people: ` by device, line`, or nothing. It stands in the stage of the point.
    pub fn by(&mut self, at: &Point, key: &[KeyField]) -> String {
        let slots = &self.draft.at(at.stage).slots;
        let names: Vec<String> = key.iter().map(|field| field.written(slots)).collect();
        if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) }
    }

    /// Lets rows move to the worker that owns their key, if there are several workers; from there on the key stands in
    /// slots of the new stage.
    pub fn exchange(&mut self, at: &Point, key: &mut [KeyField]) -> Point {
        if !self.parallel {
            return at.clone();
        }
        let from = with_key(at, key);
        let stage = self.draft.join(vec![from]);
        self.draft.at(stage).exchange = Some(key.iter().map(|field| field.slot).collect());
        let to = Point { stage, behind: None, scope: Scope::origin() };
        self.find_key(&to, key);
        to
    }

    /// Finds key fields again in a stage that is copied from [`with_key`].
    pub(super) fn find_key(&mut self, at: &Point, key: &mut [KeyField]) {
        for (i, field) in key.iter_mut().enumerate() {
            if let Ok(found) = self.draft.resolve(at.stage, &at.scope, &Path::field(hidden(i))) {
                field.slot = found.slot;
            }
        }
    }
}

/// The point with the key in hidden fields, so that a stage that is copied from it can find the key.
pub(super) fn with_key(at: &Point, key: &[KeyField]) -> Point {
    let mut from = at.clone();
    for (i, field) in key.iter().enumerate() {
        from.scope = from.scope.with(hidden(i), Binding::Slot(field.slot, field.ty));
    }
    from
}

fn hidden(i: usize) -> String {
    format!("(key {i})")
}
