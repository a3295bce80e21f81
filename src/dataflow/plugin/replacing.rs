//! Plugins whose files are replaced while pipelines use them.

use super::register::Plugin;
use crate::lua::{LoadedFile, Script, Watch};
use crate::time::Millis;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The script that came in place of the one that a plugin was planned with.
#[derive(Debug, Default)]
pub(super) struct Latest {
    /// How often it was replaced.
    version: AtomicU64,
    script: Mutex<Option<Script>>,
}

impl Latest {
    /// How often it was replaced.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn script(&self) -> Option<Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, script: Script) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Some(script);
        self.version.fetch_add(1, Ordering::Release);
    }
}

impl Plugin {
    /// Goes on with another script at all places, from the next call of each on. It must register what the plan was made
    /// with; what it registers besides is known when the pipeline is planned anew.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn replace(&self, script: Script) -> Result<Vec<LoadedFile>, String> {
        let new = Plugin::load(script, self.budget).map_err(|fault| fault.to_string())?;
        let is_lost =
            |old: &&super::Registered| new.find(old.kind, &old.name).is_none_or(|now| now.parts != old.parts);
        if let Some(old) = self.registered.iter().find(is_lost) {
            let (kind, name) = (old.kind.noun(), &old.name);
            return Err(match new.find(old.kind, name) {
                None => format!("it registers no {kind} `{name}` any more"),
                Some(_) => format!("its {kind} `{name}` is made of other functions"),
            });
        }
        self.latest.put(new.script);
        Ok(new.files)
    }
}

/// Looks at the files of the plugins of a pipeline.
pub struct PluginWatch(Vec<(Arc<Plugin>, Watch)>);

impl PluginWatch {
    /// For plugins that were just loaded.
    pub fn new(plugins: &[Arc<Plugin>]) -> PluginWatch {
        let watch = |plugin: &Arc<Plugin>| {
            let mut watch = Watch::default();
            watch.follow(&plugin.files);
            (plugin.clone(), watch)
        };
        PluginWatch(plugins.iter().map(watch).collect())
    }

    /// Looks whether files were replaced, and goes on with the new ones if they fit.
    pub fn look(&mut self, elapsed: Millis) {
        for (plugin, watch) in &mut self.0 {
            if watch.is_changed(elapsed) {
                let script = plugin.script.reread().map_err(|error| error.to_string());
                let result = script.and_then(|script| plugin.replace(script));
                watch.conclude("plugins", &plugin.script.name, result);
            }
        }
    }
}
