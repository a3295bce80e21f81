//! Why, as a savepoint says, or a data directory that no process uses.
//!
//! State says itself how far sources were read. What a window makes of its bytes only its pipeline's file says: where
//! that is given, operators take back what they kept, as at a start, and are asked as a running process asks them.

use super::super::args::{Paths, WhyArgs};
use super::super::data_dir::{pipeline_folder, pipelines};
use super::super::exit::Exit;
use super::super::load::{self, Loaded};
use super::super::process::Process;
use super::super::savepoint;
use super::super::state::folders::{self, Folders, Whereabouts};
use super::super::state::key::readable;
use super::super::state::list;
use super::super::terminal::Terminal;
use super::{shown, unknown};
use crate::dataflow::SharedSink;
use crate::runtime::{Layout, kept_watermark};
use crate::sinks::DropSink;
use crate::state::disk::{Disk, SimulatedDisk};
use crate::state::savepoint::{OnState, restore};
use crate::state::{self, OnCorruption, OpenOptions, StateBackend, StateLimits};
use crate::time::Timestamp;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A pipeline and a node of it.
type Node<'a> = (&'a str, &'a str);

/// State that was kept.
struct Kept {
    backend: StateBackend,
    as_of: Timestamp,
    /// The savepoint, if it is one.
    file: Option<String>,
}

/// What a savepoint says.
///
/// # Errors
/// It cannot be read, is of another pipeline, or there is no such node.
pub fn of_savepoint(
    node: Node<'_>,
    file: &Path,
    args: &WhyArgs,
    process: (&Process, &Terminal),
) -> Result<Value, Exit> {
    let failed = |error: state::StateError| Exit::failed(error.to_string());
    let savepoint = savepoint::open(file).map_err(failed)?;
    let origin = savepoint.head().origin.clone();
    if origin.pipeline != node.0 {
        let (name, of) = (file.display(), &origin.pipeline);
        return Err(Exit::failed(format!("{name} is of pipeline `{of}`: ask for `{of}.NODE`")));
    }
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(0));
    let on_corruption = OnCorruption::Refuse;
    let how = OpenOptions { limits: StateLimits::default(), on_corruption, entropy: 1, now: origin.taken };
    restore(&disk, &how, savepoint, OnState::Refuse).map_err(failed)?;
    let (backend, _) = state::open(&disk, &how).map_err(failed)?;
    let kept = Kept { backend, as_of: origin.taken, file: Some(file.display().to_string()) };
    kept.say(node, args, process)
}

/// What a data directory says that no process uses.
///
/// # Errors
/// There is no state of the pipeline, it cannot be read, or there is no such node.
pub fn of_data_dir(
    node: Node<'_>,
    whereabouts: &Whereabouts,
    args: &WhyArgs,
    process: (&Process, &Terminal),
) -> Result<Value, Exit> {
    let (path, pipeline) = (whereabouts.data_dir()?, node.0);
    if !pipelines(path).is_ok_and(|known| known.iter().any(|name| name == pipeline)) {
        let path = path.display();
        return Err(Exit::failed(format!(
            "no process runs with the data directory `{path}`, and no state of a pipeline `{pipeline}` is in it"
        )));
    }
    let folders = Folders::existing(whereabouts)?;
    // Before anything is opened, which may write.
    let changed = list::files(&pipeline_folder(path, pipeline)).map(|(_, changed)| changed);
    let (backend, _) = folders.open(pipeline, OnCorruption::Refuse)?;
    let kept = Kept { backend, as_of: changed.unwrap_or(Timestamp(0)), file: None };
    kept.say(node, args, process)
}

impl Kept {
    fn say(
        &self,
        (pipeline, node): Node<'_>,
        args: &WhyArgs,
        (process, terminal): (&Process, &Terminal),
    ) -> Result<Value, Exit> {
        let (mut said, sources) = match planned(pipeline, args, process, terminal)? {
            Some(loaded) => self.explained(&loaded, node)?,
            None => self.bare(pipeline, node)?,
        };
        let progress = self.backend.progress().whole();
        let survey = self.backend.survey().map_err(|error| Exit::failed(folders::said(pipeline, &error)))?;
        let own = progress.nodes.iter().filter(|known| known.name == node || is_part(&known.name, node));
        let own: Vec<_> = own.filter_map(|known| survey.get(&known.id)).collect();
        let positions = progress.sources.iter().map(|source| list::source_entry(&progress, source));
        let positions = positions.filter_map(|mut entry| {
            let name = entry["name"].as_str()?.strip_prefix(SOURCE)?.to_owned();
            let leads = sources.contains(&name);
            entry["name"] = name.into();
            leads.then_some(entry)
        });
        said["kept"] = json!({
            "savepoint": self.file,
            "as_of": self.as_of.0,
            "epoch": progress.epoch.0,
            "keys": own.iter().map(|node| node.keys).sum::<u64>(),
            "bytes": own.iter().map(|node| node.bytes).sum::<u64>(),
            "positions": positions.collect::<Value>(),
        });
        Ok(said)
    }

    /// With the pipeline's file: all but what only a process knows; and the sources that lead to the node.
    fn explained(&self, loaded: &Loaded, node: &str) -> Result<(Value, Vec<String>), Exit> {
        let (plan, layout) = (&loaded.plan, Layout::of(&loaded.plan));
        let (id, _) =
            layout.find(node).ok_or_else(|| Exit::failed(unknown(&plan.name, node, layout.names())))?;
        let sinks: Vec<SharedSink> = plan.sinks.iter().map(|_| SharedSink::new(Box::new(DropSink))).collect();
        let facts = layout.kept_facts(plan, &sinks, &self.backend, id, self.as_of, &readable);
        let facts = facts.map_err(|why| Exit::failed(format!("pipeline `{}`: {why}", plan.name)))?;
        let sources = facts.sources.iter().map(|source| source.name.clone()).collect();
        Ok((shown::to_json(&plan.name, node, &facts), sources))
    }

    /// Without it: how far sources have come, of which any may lead to the node.
    fn bare(&self, pipeline: &str, node: &str) -> Result<(Value, Vec<String>), Exit> {
        let progress = self.backend.progress().whole();
        let names = || {
            progress
                .nodes
                .iter()
                .map(|known| known.name.rsplit_once(':').map_or(&*known.name, |(_, name)| name))
        };
        if !names().any(|name| name == node || is_part(name, node)) {
            let message = format!("{}, or none that keeps anything", unknown(pipeline, node, names()));
            return Err(Exit::failed(format!(
                "{message}; give the pipeline's file: `headwater why {pipeline}.{node} PATH`"
            )));
        }
        let (mut sources, mut reached) = (Vec::new(), Vec::new());
        for known in &progress.nodes {
            let Some(name) = known.name.strip_prefix(SOURCE) else { continue };
            let watermark = kept_watermark(&self.backend, known.id);
            let watermark = watermark.map_err(|error| Exit::failed(folders::said(pipeline, &error)))?;
            let watermark = watermark.and_then(shown::time);
            sources.push(name.to_owned());
            reached.push(json!({ "name": name, "watermark": watermark }));
        }
        let said = json!({
            "pipeline": pipeline,
            "node": node,
            "now": shown::time(self.as_of),
            "sources": reached,
            "path": null,
        });
        Ok((said, sources))
    }
}

/// What the names of what sources keep begin with.
const SOURCE: &str = "source:";

/// Whether it is one of several states of a node.
fn is_part(name: &str, node: &str) -> bool {
    name.strip_prefix(node).is_some_and(|rest| rest.starts_with('/'))
}

/// The pipeline, where its file was given.
fn planned(
    pipeline: &str,
    args: &WhyArgs,
    process: &Process,
    terminal: &Terminal,
) -> Result<Option<Loaded>, Exit> {
    if args.paths.is_empty() {
        return Ok(None);
    }
    let paths = Paths { paths: args.paths.clone(), set: args.set.clone() };
    let mut findings = load::load(&paths, process, &|_| Vec::new())?;
    // Other pipelines beside it may be as wrong as they like.
    if let Some(at) = findings.loaded.iter().position(|loaded| loaded.plan.name == pipeline) {
        return Ok(Some(findings.loaded.swap_remove(at)));
    }
    load::report(&findings, terminal)?;
    let names = findings.loaded.iter().map(|loaded| loaded.plan.name.as_str());
    let near = crate::event::nearest(pipeline, names).map(|near| format!("; did you mean `{near}`?"));
    Err(Exit::failed(format!(
        "there is no pipeline `{pipeline}` in what was given{}",
        near.unwrap_or_default()
    )))
}
