//! `plugins`: scripts that register functions, aggregates and triggers for all nodes.

use super::Planning;
use crate::config::{Place, Role};
use crate::dataflow::plugin::{Plugin, PluginScalar, RegisterKind, Registered, report_line};
use crate::expr::functions::{AGGREGATES, GENERATORS, LATER, PANE};
use crate::expr::{self, Expr};
use crate::lua::Script;
use crate::windows::aggregates;
use std::path::PathBuf;
use std::sync::Arc;

/// Most files that a pattern may stand for.
const MOST_FILES: usize = 256;

/// What a script says that registers something.
const REGISTERS: [&str; 3] = ["register.scalar", "register.aggregate", "register.trigger"];

impl Planning<'_> {
    /// Loads the scripts that the file names, and those of `lua` nodes that register something.
    pub(super) fn plugins(&mut self) {
        let mut seen: Vec<String> = Vec::new();
        for (given, place) in &self.file.plugins {
            for path in self.plugin_files(given, *place) {
                if !seen.contains(&path) {
                    self.offer_script(&path, *place);
                    seen.push(path);
                }
            }
        }
        for (script, place) in self.scripts_of_nodes() {
            if Script::is_inline(&script) || seen.contains(&script) {
                continue;
            }
            // What cannot be read is reported by the node, which also has the functions that such scripts call.
            let text = Script::read(&self.folder.join(&script));
            if text.is_ok_and(|read| REGISTERS.iter().any(|call| read.text.contains(call))) {
                self.offer_script(&script, place);
            }
            seen.push(script);
        }
    }

    fn offer_script(&mut self, path: &str, place: Place) {
        let Some(plugin) = self.plugins.read(self.folder, path, place, self.faults) else { return };
        for registered in &plugin.registered {
            self.offer(&plugin, registered, place);
        }
    }

    /// The scripts of `lua` nodes, as they are written.
    fn scripts_of_nodes(&self) -> Vec<(String, Place)> {
        let transforms = self.file.nodes.iter().filter(|node| node.role == Role::Transform);
        let written = transforms.filter_map(|node| {
            let entry = node.node.get("lua")?;
            let script = entry.value.get("script").map_or(&entry.value, |script| &script.value);
            Some((script.scalar()?.to_owned(), script.place))
        });
        written.collect()
    }

    /// The files that a path or pattern stands for, as paths from the pipeline's folder.
    fn plugin_files(&self, given: &str, place: Place) -> Vec<String> {
        if !given.contains(['*', '?', '[']) {
            return vec![given.to_owned()];
        }
        let pattern = self.folder.join(given);
        let found = match glob::glob(&pattern.to_string_lossy()) {
            Ok(found) => found,
            Err(error) => {
                self.faults.error(place, format!("`{given}` is no pattern of paths: {error}"));
                return Vec::new();
            }
        };
        let found: Vec<PathBuf> = found.filter_map(Result::ok).take(MOST_FILES + 1).collect();
        if found.is_empty() || found.len() > MOST_FILES {
            let count = if found.is_empty() { "no".to_owned() } else { format!("more than {MOST_FILES}") };
            self.faults.error(place, format!("`{given}` stands for {count} files"));
            return Vec::new();
        }
        let shown = |path: PathBuf| path.strip_prefix(self.folder).unwrap_or(&path).display().to_string();
        found.into_iter().map(shown).collect()
    }

    /// Offers one thing to all nodes, unless its name is taken.
    fn offer(&mut self, plugin: &Arc<Plugin>, registered: &Registered, place: Place) {
        let Registered { kind, name, line, .. } = registered;
        if let Some(why) = self.why_taken(*kind, name) {
            report_line(&plugin.script, *line, why, place, self.faults);
            return;
        }
        if self.plugins.offer(*kind, name, plugin).is_some() {
            return;
        }
        if *kind == RegisterKind::Scalar {
            self.functions.add(Arc::new(PluginScalar { plugin: plugin.clone(), name: name.clone() }));
        }
    }

    /// Why a plugin cannot have that name.
    fn why_taken(&self, kind: RegisterKind, name: &str) -> Option<String> {
        if let Some(other) = self.plugins.find(kind, name) {
            return Some(format!("`{}` registers a {} `{name}` too", other.script.name, kind.noun()));
        }
        if kind == RegisterKind::Trigger {
            return None;
        }
        let other = if kind == RegisterKind::Scalar { RegisterKind::Aggregate } else { RegisterKind::Scalar };
        if let Some(plugin) = self.plugins.find(other, name) {
            return Some(format!("`{}` registers `{name}` as {}", plugin.script.name, other.noun()));
        }
        let is_function = self.functions.get(name).is_some();
        let is_aggregate = aggregates::find(name).is_some();
        let panes = PANE.iter().map(|function| function.name);
        let reserved: Vec<&str> = [AGGREGATES, GENERATORS, LATER].concat().into_iter().chain(panes).collect();
        if is_function || is_aggregate || reserved.contains(&name) {
            let noun = if is_aggregate { "an aggregate" } else { "a function" };
            return Some(format!("`{name}` is {noun} of the language, which no plugin can replace"));
        }
        let called = expr::parse(&format!("{name}(1)"));
        let is_call = called.is_ok_and(|expr: Expr| expr.as_call().is_some_and(|call| call.name == *name));
        (!is_call).then(|| format!("`{name}` is a word of the language and cannot name a {}", kind.noun()))
    }
}
