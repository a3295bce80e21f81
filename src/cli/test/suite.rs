//! From paths to tests that can be run, with everything that is wrong with them.

use super::case::Case;
use super::read::read_cases;
use super::shape::Shape;
use crate::cli::args::Paths;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::process::Process;
use crate::config::{
    Diagnostic, Environment, Faults, Override, Param, PipelineFile, Role, Secrets, SourceFile, Surroundings,
    read_pipeline, read_tests,
};
use crate::dataflow::Instance;
use crate::plan::{self, Plan};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The tests of one pipeline.
pub struct Suite {
    /// The pipeline's file.
    pub file: Arc<SourceFile>,
    /// The pipeline's name.
    pub pipeline: String,
    /// Its tests, each with the plan it runs on.
    pub cases: Vec<(Case, Plan)>,
    /// Texts that no report may show.
    pub secrets: Secrets,
}

/// What was found out about all paths.
#[derive(Default)]
pub struct Found {
    /// The tests of pipelines without errors.
    pub suites: Vec<Suite>,
    /// Everything that is to be said, in order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Which tests of which pipeline.
#[derive(PartialEq)]
struct Target {
    pipeline: PathBuf,
    /// Whether those in the pipeline's own file.
    own: bool,
    /// Those in a file beside it.
    beside: Option<PathBuf>,
}

/// Reads all tests behind the paths and plans a pipeline for each.
///
/// # Errors
/// Wrong usage, or a path that leads nowhere; what is wrong inside files is found.
pub fn find(paths: &Paths, process: &Process) -> Result<Found, Exit> {
    let set = load::overrides(paths)?;
    let overrides = process.overrides(&set);
    let loader = Loader { environment: &process.environment, overrides: &overrides };
    let mut found = Found { diagnostics: process.diagnostics.clone(), ..Found::default() };
    let mut params = Vec::new();
    for target in targets(&paths.paths)? {
        loader.suite(&target, &mut found, &mut params);
    }
    load::refuse_unknown_overrides(&set, &params, &found.diagnostics)?;
    Ok(found)
}

/// The pipelines behind paths, each once, with the test files beside them.
fn targets(paths: &[PathBuf]) -> Result<Vec<Target>, Exit> {
    let mut targets = Vec::new();
    for path in paths {
        if is_test_file(path) {
            let Some(pipeline) = pipeline_of(path) else { return Err(orphan(path)) };
            targets.push(Target { pipeline, own: false, beside: Some(path.clone()) });
            continue;
        }
        if let Some(test) = first_orphan(path) {
            return Err(orphan(&test));
        }
        for pipeline in load::files(std::slice::from_ref(path))? {
            let beside = test_file_of(&pipeline);
            targets.push(Target { pipeline, own: true, beside });
        }
    }
    let mut kept: Vec<Target> = Vec::new();
    for target in targets {
        if !kept.contains(&target) {
            kept.push(target);
        }
    }
    Ok(kept)
}

/// The part of `name.test.yaml` before the dot.
fn stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    [".test.yaml", ".test.yml"].iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned)
}

fn is_test_file(path: &Path) -> bool {
    stem(path).is_some() && !path.is_dir()
}

fn pipeline_of(test: &Path) -> Option<PathBuf> {
    let stem = stem(test)?;
    let beside = ["yaml", "yml"].map(|end| test.with_file_name(format!("{stem}.{end}")));
    beside.into_iter().find(|path| path.is_file())
}

fn test_file_of(pipeline: &Path) -> Option<PathBuf> {
    let stem = pipeline.file_stem()?.to_str()?;
    let beside = ["yaml", "yml"].map(|end| pipeline.with_file_name(format!("{stem}.test.{end}")));
    beside.into_iter().find(|path| path.is_file())
}

/// A test file in a directory whose pipeline is not there.
fn first_orphan(directory: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|file| is_test_file(file) && pipeline_of(file).is_none()).min()
}

fn orphan(test: &Path) -> Exit {
    let stem = stem(test).unwrap_or_default();
    Exit::config(format!("{}: the pipeline that it tests, `{stem}.yaml`, is not beside it", test.display()))
}

struct Loader<'a> {
    environment: &'a dyn Environment,
    overrides: &'a [Override],
}

impl Loader<'_> {
    fn suite(&self, target: &Target, found: &mut Found, params: &mut Vec<Param>) {
        let source = match SourceFile::read(&target.pipeline) {
            Ok(source) => source,
            Err(diagnostic) => return found.diagnostics.push(diagnostic),
        };
        let faults = Faults::new(source.clone());
        let Some(mut file) = self.pipeline(&faults, &[]) else {
            return found.diagnostics.extend(faults.diagnostics());
        };
        params.extend(file.params.iter().cloned());
        let folder = target.pipeline.parent().unwrap_or(Path::new(""));
        let planned = plan::plan(
            &file,
            &plan::Surroundings { folder, taps: &[], instance: &Instance::default() },
            &faults,
        )
        .is_some();
        let whole = planned.then(|| plan_with_ports(&file, folder, &source)).flatten();
        let shape = Shape::new(&file, whole.as_ref());
        let own = file.tests.as_ref().filter(|_| target.own);
        let mut cases = own.map(|tests| read_cases(tests, &shape, &faults)).unwrap_or_default();
        let beside = target.beside.as_ref().map(|path| self.beside(path, &shape, &faults));
        let mut diagnostics = faults.diagnostics();
        if let Some((more, said)) = beside {
            cases.extend(more);
            diagnostics.extend(said);
        }
        let good = !load::has_errors(&diagnostics);
        found.diagnostics.append(&mut diagnostics);
        if !good {
            return;
        }
        file.options.parallelism = 1;
        let planned = cases.into_iter().filter_map(|case| {
            let plan = self.plan(&case, &file, &source, folder, &mut found.diagnostics)?;
            Some((case, plan))
        });
        let cases = planned.collect();
        let secrets = faults.secrets().clone();
        found.suites.push(Suite { file: source, pipeline: file.name, cases, secrets });
    }

    fn pipeline(&self, faults: &Faults, params: &[(String, String)]) -> Option<PipelineFile> {
        let params = params.iter().map(|(name, value)| Override {
            name: name.clone(),
            value: value.clone(),
            secret: false,
        });
        let overrides: Vec<Override> = self.overrides.iter().cloned().chain(params).collect();
        read_pipeline(faults, Surroundings { environment: self.environment, overrides: &overrides })
    }

    /// The tests in a file beside their pipeline, and what is to be said about it.
    fn beside(&self, path: &Path, shape: &Shape<'_>, pipeline: &Faults) -> (Vec<Case>, Vec<Diagnostic>) {
        let source = match SourceFile::read(path) {
            Ok(source) => source,
            Err(diagnostic) => return (Vec::new(), vec![diagnostic]),
        };
        let faults = Faults::new(source);
        let tests = read_tests(&faults, self.environment, shape.params);
        let cases = tests.map(|tests| read_cases(&tests, shape, &faults)).unwrap_or_default();
        pipeline.keep_secret(&faults.secrets());
        (cases, faults.diagnostics())
    }

    /// The pipeline as one test runs it: on one worker, with the test's parameters, tapped where it looks.
    fn plan(
        &self,
        case: &Case,
        file: &PipelineFile,
        source: &Arc<SourceFile>,
        folder: &Path,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Plan> {
        let faults = Faults::new(source.clone());
        let mut with_params = None;
        if !case.params.is_empty() {
            with_params = self.pipeline(&faults, &case.params);
            if let Some(file) = &mut with_params {
                file.options.parallelism = 1;
            }
        }
        let file = with_params.as_ref().unwrap_or(file);
        let mut taps: Vec<String> = file.nodes_of(Role::Sink).map(|sink| sink.name.clone()).collect();
        for output in case.outputs() {
            if !taps.iter().any(|tap| tap == output) {
                taps.push(output.to_owned());
            }
        }
        let surroundings = plan::Surroundings { folder, taps: &taps, instance: &Instance::default() };
        let plan = plan::plan_stating(file, &surroundings, &case.tables, &faults);
        if plan.is_none() {
            let message = format!(
                "test `{}` cannot run: with its parameters and tables the pipeline is wrong",
                case.name
            );
            diagnostics.push(Diagnostic::error(case.file.clone(), case.params_place, message));
            diagnostics.extend(faults.diagnostics());
        }
        plan
    }
}

/// A plan that shows all ports that there are: that of late events is there only where it is read.
fn plan_with_ports(file: &PipelineFile, folder: &Path, source: &Arc<SourceFile>) -> Option<Plan> {
    let taps: Vec<String> = file.nodes_of(Role::Window).map(|node| format!("{}.late", node.name)).collect();
    plan::plan(
        file,
        &plan::Surroundings { folder, taps: &taps, instance: &Instance::default() },
        &Faults::new(source.clone()),
    )
}
