//! The scripts of a pipeline.

use super::register::{Plugin, RegisterKind};
use crate::config::{Faults, Place, SourceFile};
use crate::lua::{Budget, LuaFault, Script, Usage};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Most scripts that a pipeline may load.
const MOST: usize = 256;

/// The scripts of a pipeline, and what they register for all of its nodes. While planning, each is loaded once.
#[derive(Debug, Default)]
pub struct Plugins {
    /// By file; None where it could not be loaded, which was reported.
    loaded: RefCell<BTreeMap<String, Option<Arc<Plugin>>>>,
    offered: BTreeMap<(RegisterKind, String), Arc<Plugin>>,
    /// Scripts of nodes, by name.
    at_nodes: RefCell<Vec<(String, Arc<Usage>)>>,
}

impl Plugins {
    /// Loads the script in a file of the folder, which stands at a place of the pipeline's file. None if something was
    /// reported, now or before.
    pub fn read(&self, folder: &Path, given: &str, place: Place, faults: &Faults) -> Option<Arc<Plugin>> {
        if let Some(known) = self.loaded.borrow().get(given) {
            return known.clone();
        }
        let plugin = match Script::read(&folder.join(given)) {
            Ok(script) => self.load(Script { name: given.to_owned(), ..script }, place, faults),
            Err(error) => {
                let message = format!("the script `{given}` cannot be read: {}", error.why);
                faults.error(place, message).hint("paths start at the pipeline's file");
                None
            }
        };
        self.loaded.borrow_mut().insert(given.to_owned(), plugin.clone());
        plugin
    }

    /// Loads a script.
    pub fn load(&self, script: Script, place: Place, faults: &Faults) -> Option<Arc<Plugin>> {
        if self.loaded.borrow().len() >= MOST {
            faults.error(place, format!("more than {MOST} scripts"));
            return None;
        }
        match Plugin::load(script.clone(), Budget::default()) {
            Ok(plugin) => Some(Arc::new(plugin)),
            Err(fault) => {
                report(&script, &fault, place, faults);
                None
            }
        }
    }

    /// Offers something of a plugin to all nodes. Says whose it is already.
    pub fn offer(&mut self, kind: RegisterKind, name: &str, plugin: &Arc<Plugin>) -> Option<Arc<Plugin>> {
        let key = (kind, name.to_owned());
        let known = self.offered.get(&key).cloned();
        self.offered.entry(key).or_insert_with(|| plugin.clone());
        known
    }

    /// The plugin that offers that.
    pub fn find(&self, kind: RegisterKind, name: &str) -> Option<&Arc<Plugin>> {
        self.offered.get(&(kind, name.to_owned()))
    }

    /// The names of all that are offered of that kind.
    pub fn names(&self, kind: RegisterKind) -> impl Iterator<Item = &str> {
        self.offered.keys().filter(move |(own, _)| *own == kind).map(|(_, name)| name.as_str())
    }

    /// A node runs that script by itself.
    pub fn note(&self, script: &Script) {
        self.at_nodes.borrow_mut().push((script.name.clone(), script.usage.clone()));
    }

    /// What tells what the scripts of the pipeline use, by their names; those of several nodes stand there once for each.
    pub fn usages(&self) -> Vec<(String, Arc<Usage>)> {
        let of = |plugin: Arc<Plugin>| (plugin.script.name.clone(), plugin.script.usage.clone());
        self.all().into_iter().map(of).chain(self.at_nodes.borrow().iter().cloned()).collect()
    }

    /// All scripts that were read, by name.
    pub fn all(&self) -> Vec<Arc<Plugin>> {
        self.loaded.borrow().values().flatten().cloned().collect()
    }
}

/// Reports what is wrong with a script: in its own line where that is known, else where it is named.
fn report(script: &Script, fault: &LuaFault, place: Place, faults: &Faults) {
    let line = fault.line.filter(|_| fault.script == script.name);
    match line {
        Some(line) => report_line(script, line, fault.message.clone(), place, faults),
        None => faults.error(place, fault.to_string()).hint("it is loaded once by `check`"),
    }
}

/// Reports what is wrong with a line of a script that is named at that place.
pub fn report_line(script: &Script, line: u32, message: String, place: Place, faults: &Faults) {
    let file = SourceFile::new(script.name.clone(), script.text.as_bytes().to_vec());
    match file.ok().filter(|_| script.path.is_some() && line > 0) {
        Some(file) => faults.error_in(file, line, message),
        None => _ = faults.error(place, format!("{}:{line}: {message}", script.name)),
    }
}
