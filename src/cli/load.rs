//! From paths on the command line to planned pipelines, with everything that is wrong with them.

use super::args::Paths;
use super::exit::Exit;
use super::process::{CONFIGURATION, Process};
use super::terminal::Terminal;
use crate::config::{
    Diagnostic, Faults, Override, Param, PipelineFile, Place, Secrets, Severity, SourceFile, Surroundings,
    read_pipeline, unknown_override,
};
use crate::dataflow::{Instance, NodeId};
use crate::plan::{self, Plan};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The source of which a process can have one only.
const STDIN: &str = "stdin";

/// Names further outputs to read of a pipeline.
type Tapping = dyn Fn(&PipelineFile) -> Vec<String>;

/// A pipeline file, read and planned.
pub struct Loaded {
    /// The file.
    pub source: Arc<SourceFile>,
    /// What follows from it.
    pub plan: Plan,
    /// What of it must not be shown.
    pub secrets: Secrets,
    /// Where the names of the plan's nodes stand.
    places: Vec<Place>,
    /// The folder of the file.
    folder: PathBuf,
}

/// The same plan with the ways between workers that it has for several, though it has one: rows of an earlier run may
/// wait there. None if the pipeline cannot be read as it was before.
pub fn plan_between_workers(
    loaded: &Loaded,
    instance: &Instance,
    paths: &Paths,
    process: &Process,
) -> Option<Plan> {
    let overrides = process.overrides(&overrides(paths).ok()?);
    let faults = Faults::new(loaded.source.clone());
    let surroundings = Surroundings { environment: &process.environment, overrides: &overrides };
    let mut file = read_pipeline(&faults, surroundings)?;
    file.options.parallelism = 2;
    let surroundings = plan::Surroundings { folder: &loaded.folder, taps: &[], instance };
    let plan = plan::plan(&file, &surroundings, &faults)?;
    Some(Plan { parallelism: loaded.plan.parallelism, ..plan })
}

impl Loaded {
    /// An error at a node.
    fn error(&self, node: NodeId, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.source.clone(), self.places[node.0 as usize], message)
    }

    fn name_of(&self, node: NodeId) -> &str {
        &self.plan.nodes[node.0 as usize].name
    }

    /// The sources that read standard input.
    fn stdin_readers(&self) -> impl Iterator<Item = NodeId> {
        let sources = self.plan.sources.iter().map(|source| source.node);
        sources.filter(|node| self.plan.nodes[node.0 as usize].kind == STDIN)
    }
}

/// Reads `--set name=value`.
///
/// # Errors
/// What was given instead.
pub fn overrides(paths: &Paths) -> Result<Vec<Override>, Exit> {
    let parse = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(Override { name: name.to_owned(), value: value.to_owned(), secret: false })
        }
        _ => Err(Exit::usage(format!("`--set {text}`: expected NAME=VALUE"))),
    };
    paths.set.iter().map(parse).collect()
}

/// The pipeline files behind paths: files as they are, directories by their `*.yaml` and `*.yml`.
///
/// # Errors
/// A path that cannot be read, a directory without pipelines, or what is no pipeline.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Exit> {
    let mut files = Vec::new();
    for path in paths {
        if path.file_name().is_some_and(|name| name == CONFIGURATION) {
            let message = format!("{}: this configures the process and is no pipeline", path.display());
            return Err(Exit::config(format!("{message}; `--config {}` names it", path.display())));
        }
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable = |error| Exit::config(format!("{}: cannot be read: {error}", path.display()));
        let mut found: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if is_pipeline(&file) {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(Exit::config(format!("{}: there is no pipeline (*.yaml) in it", path.display())));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

fn is_pipeline(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let test = name.ends_with(".test.yaml") || name.ends_with(".test.yml");
    yaml && !test && name != CONFIGURATION && path.is_file()
}

/// What was found out about all files.
pub struct Findings {
    /// The pipelines without errors.
    pub loaded: Vec<Loaded>,
    /// Everything that is to be said, in order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Findings {
    /// Adds tables that cannot be read as things are: a run would not start.
    pub fn add_tables(&mut self) {
        for loaded in &self.loaded {
            for table in loaded.plan.draft.tables.iter().filter(|table| table.is_used) {
                let message = table.plan.fault().map(|fault| format!("table `{}`: {fault}", table.name));
                let error =
                    message.map(|message| Diagnostic::error(loaded.source.clone(), table.place, message));
                self.diagnostics.extend(error);
            }
        }
    }

    /// Whether something cannot run.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// Reads and plans all pipelines. `taps` names further outputs to read in each.
pub fn load(paths: &Paths, process: &Process, taps: &Tapping) -> Result<Findings, Exit> {
    load_as(&Instance::default(), paths, process, taps)
}

/// The same for those who run them: as what instance.
pub fn load_as(
    instance: &Instance,
    paths: &Paths,
    process: &Process,
    taps: &Tapping,
) -> Result<Findings, Exit> {
    let set = overrides(paths)?;
    let overrides = process.overrides(&set);
    let environment = &process.environment;
    let mut findings = Findings { loaded: Vec::new(), diagnostics: process.diagnostics.clone() };
    let mut params: Vec<Param> = Vec::new();
    for path in files(&paths.paths)? {
        let source = match SourceFile::read(&path) {
            Ok(source) => source,
            Err(diagnostic) => {
                findings.diagnostics.push(diagnostic);
                continue;
            }
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let surroundings = Surroundings { environment, overrides: &overrides };
        plan_one(source, folder, surroundings, (instance, taps), &mut findings, &mut params);
    }
    refuse_same_names(&mut findings);
    for loaded in &findings.loaded {
        findings.diagnostics.extend(second_stdin(loaded));
    }
    refuse_unknown_overrides(&set, &params, &findings.diagnostics)?;
    if !findings.has_errors() {
        findings.diagnostics.extend(process.unknown_params(&params));
    }
    Ok(findings)
}

/// Plans one file.
fn plan_one(
    source: Arc<SourceFile>,
    folder: &Path,
    surroundings: Surroundings,
    (instance, taps): (&Instance, &Tapping),
    findings: &mut Findings,
    params: &mut Vec<Param>,
) {
    let faults = Faults::new(source.clone());
    if let Some(file) = read_pipeline(&faults, surroundings) {
        params.extend(file.params.iter().cloned());
        let taps = taps(&file);
        let surroundings = plan::Surroundings { folder, taps: &taps, instance };
        if let Some(plan) = plan::plan(&file, &surroundings, &faults) {
            let places = file.nodes.iter().map(|node| node.place).collect();
            let (secrets, folder) = (faults.secrets().clone(), folder.to_owned());
            findings.loaded.push(Loaded { source, plan, secrets, places, folder });
        }
    }
    findings.diagnostics.extend(faults.diagnostics());
}

/// Plans a pipeline that stands in no file.
pub fn load_text(source: Arc<SourceFile>, instance: &Instance, process: &Process) -> Findings {
    let mut findings = Findings { loaded: Vec::new(), diagnostics: process.diagnostics.clone() };
    let surroundings = Surroundings { environment: &process.environment, overrides: &[] };
    let nothing = |_: &PipelineFile| Vec::new();
    plan_one(source, Path::new(""), surroundings, (instance, &nothing), &mut findings, &mut Vec::new());
    findings
}

/// Refuses `--set` of a parameter that no pipeline has; where a file is wrong that is said first.
///
/// # Errors
/// The parameter, with the nearest one that there is.
pub fn refuse_unknown_overrides(
    overrides: &[Override],
    params: &[Param],
    diagnostics: &[Diagnostic],
) -> Result<(), Exit> {
    let Some((name, near)) = unknown_override(overrides, params).filter(|_| !has_errors(diagnostics)) else {
        return Ok(());
    };
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(Exit::usage(format!("`--set {name}`: no pipeline has a parameter of this name{hint}")))
}

/// Whether something cannot run.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// Says what is wrong with `headwater.yaml`, for verbs that need nothing else of it.
///
/// # Errors
/// It is faulty.
pub fn said(process: &Process, terminal: &Terminal) -> Result<(), Exit> {
    process.diagnostics.iter().for_each(|diagnostic| terminal.diagnostic(diagnostic));
    if has_errors(&process.diagnostics) { Err(Exit::Config) } else { Ok(()) }
}

fn refuse_same_names(findings: &mut Findings) {
    for (i, later) in findings.loaded.iter().enumerate() {
        if let Some(first) = findings.loaded[..i].iter().find(|first| first.plan.name == later.plan.name) {
            let message = format!("{} is a pipeline `{}` as well", first.source.name(), later.plan.name);
            let diagnostic = Diagnostic::of_file(later.source.clone(), message);
            findings.diagnostics.push(diagnostic.with_hint("give one of them another name by `pipeline:`"));
        }
    }
}

/// Two sources of one pipeline that read standard input would each get pieces of it.
fn second_stdin(loaded: &Loaded) -> Option<Diagnostic> {
    let mut readers = loaded.stdin_readers();
    let (first, second) = (readers.next()?, readers.next()?);
    let [first_name, name] = [first, second].map(|node| loaded.name_of(node));
    let message = format!("source `{name}` reads standard input, as `{first_name}` does");
    Some(loaded.error(second, message).with_hint("let both go on from one source"))
}

/// Refuses what pipelines of one process cannot share: a file that is written to, standard input, an address that is
/// listened on. `together` says which of them run in one.
pub fn refuse_shared(findings: &mut Findings, together: impl Fn(&Loaded) -> bool) {
    refuse_listeners(findings, &together);
    let mut targets: BTreeMap<String, (&Loaded, NodeId)> = BTreeMap::new();
    let mut reader: Option<(&Loaded, NodeId)> = None;
    for loaded in findings.loaded.iter().filter(|loaded| together(loaded)) {
        for sink in &loaded.plan.sinks {
            let Some(target) = sink.plan.target() else { continue };
            let (other, node) = *targets.entry(target).or_insert((loaded, sink.node));
            if !std::ptr::eq(other, loaded) {
                let what = plan::shown(&sink.plan.describe(), &loaded.secrets);
                let (name, there) = (loaded.name_of(sink.node), other.name_of(node));
                let pipeline = &other.plan.name;
                let message =
                    format!("sink `{name}` writes to the same {what} as `{there}` of pipeline `{pipeline}`");
                let diagnostic = loaded.error(sink.node, message);
                findings.diagnostics.push(diagnostic.with_hint("give each pipeline a target of its own"));
            }
        }
        let Some(node) = loaded.stdin_readers().next() else { continue };
        let (other, there) = *reader.get_or_insert((loaded, node));
        if !std::ptr::eq(other, loaded) {
            let (name, there, pipeline) = (loaded.name_of(node), other.name_of(there), &other.plan.name);
            let message =
                format!("source `{name}` reads standard input, as `{there}` of pipeline `{pipeline}` does");
            let diagnostic = loaded.error(node, message);
            findings.diagnostics.push(diagnostic.with_hint("run one of them in a process of its own"));
        }
    }
}

fn refuse_listeners(findings: &mut Findings, together: impl Fn(&Loaded) -> bool) {
    let mut listeners: Vec<(&Loaded, NodeId, SocketAddr)> = Vec::new();
    for loaded in findings.loaded.iter().filter(|loaded| together(loaded)) {
        for (node, address) in loaded.plan.listeners() {
            let is_same = |(other, _, there): &&(&Loaded, NodeId, SocketAddr)| {
                !std::ptr::eq(*other, loaded) && plan::is_one_address(*there, address)
            };
            if let Some((other, there, _)) = listeners.iter().find(is_same) {
                let (name, there, pipeline) = (loaded.name_of(node), other.name_of(*there), &other.plan.name);
                let message = format!(
                    "source `{name}` listens on {address}, where `{there}` of pipeline `{pipeline}` does"
                );
                let diagnostic = loaded.error(node, message);
                findings.diagnostics.push(diagnostic.with_hint("give each source a port of its own"));
            }
            listeners.push((loaded, node, address));
        }
    }
}

/// Prints what is to be said about the files; an error ends the verb.
///
/// # Errors
/// If one of the diagnostics is an error.
pub fn report(findings: &Findings, terminal: &Terminal) -> Result<(), Exit> {
    for diagnostic in &findings.diagnostics {
        if diagnostic.severity == Severity::Error || !terminal.quiet {
            terminal.diagnostic(diagnostic);
        }
    }
    match findings.has_errors() {
        true => Err(Exit::Config),
        false => Ok(()),
    }
}
