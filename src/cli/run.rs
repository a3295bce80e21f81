//! `run`: pipelines in motion, until their input ends or somebody stops them.

use super::args::{RunArgs, Shared};
use super::configuration;
use super::data_dir::{self, DataDir};
use super::exit::Exit;
use super::exporting;
use super::fleet::Fleet;
use super::keep;
use super::listening;
use super::load::{self, Loaded};
use super::process::Process;
use super::progress::{Progress, found_nothing, summary};
use super::snapshot;
use super::terminal::Terminal;
use crate::config::Delivery;
use crate::dataflow::Instance;
use crate::plan::Plan;
use crate::runtime::{NodeCounts, Pipeline, RunOptions};
use crate::server::Server;
use crate::state::snapshot::{SnapshotOptions, Snapshots};
use crate::time::{Clock, Millis, SystemClock};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

/// How long pipelines may take to stop: a sink whose target takes nothing would hold them for ever.
const DEADLINE: Millis = Millis(10_000);
/// How to have a data directory.
const NAME_ONE: &str = "name one by `--data-dir DIR`, or `data_dir` in headwater.yaml";
/// How often a stop is looked for.
const LOOK_EVERY: Millis = Millis(100);

/// Runs pipelines. Each goes its own way: what fails or ends leaves the others alone.
///
/// # Errors
/// If one cannot run, or fails while it runs.
pub fn run(args: &RunArgs, shared: &Shared, process: &Process, terminal: &Terminal) -> Result<(), Exit> {
    let clock = Arc::new(SystemClock::new());
    let options = options(args, process.data_dir(shared), process)?;
    // Held until the end: nobody else may use the directory meanwhile.
    let (_data_dir, instance) = take_data_dir(&options, process, &clock)?;
    let mut findings = load::load_as(&instance, &args.paths, process, &|_| Vec::new())?;
    load::refuse_shared(&mut findings, |_| true);
    load::report(&findings, terminal)?;
    refuse_without_state(&findings.loaded, &options)?;
    let lasts =
        findings.loaded.iter().any(|loaded| loaded.plan.sources.iter().any(|source| source.plan.is_live()));
    let address = listening::open(args.listen.as_deref(), &process.file.serving, lasts)?;
    let stop = stop_on_signals()?;
    let unfinished = Unfinished::new(&findings.loaded);
    end_in_time(stop.clone(), unfinished.clone(), terminal.clone())?;
    let replan = |loaded: &Loaded| load::plan_between_workers(loaded, &instance, &args.paths, process);
    let runner =
        Runner { clock: &clock, unfinished: &unfinished, terminal, options: &options, replan: &replan };
    // One after the other: a pipeline may read what one before it writes.
    let share = findings.loaded.len() as u64;
    let pipelines: Vec<_> = findings.loaded.iter_mut().map(|loaded| runner.open(loaded, share)).collect();
    let loaded = &findings.loaded;
    say_what_is_kept(loaded, &options, terminal);
    let who = (options.data_dir.as_deref(), instance.id.as_str());
    let fleet = Arc::new(Fleet::new(who, loaded, &pipelines, clock.clone(), configuration::shown(process)));
    let _socket = serve(&fleet, &options, &instance, &clock);
    let _api = address.and_then(|opened| listening::serve(opened, &process.file.serving, &fleet));
    let _told = exporting::start(process, &fleet, &clock);
    let shut_out: Vec<_> = pipelines.iter().flatten().map(Pipeline::shut_out).collect();
    let ended_well = runner.run_all(loaded, pipelines, &stop, &fleet);
    match ended_well == loaded.len() {
        true => Ok(()),
        // Started again it would shut out the other copy in its turn.
        false if shut_out.iter().any(|is_shut_out| is_shut_out()) => Err(Exit::Config),
        false => Err(Exit::Failed),
    }
}

/// Answers on the control socket and takes snapshots. That either cannot be is no reason not to run.
fn serve(
    fleet: &Arc<Fleet>,
    options: &RunOptions,
    instance: &Instance,
    clock: &Arc<SystemClock>,
) -> Option<Server> {
    if let Some(snapshots) = &options.snapshots {
        let every = SnapshotOptions { every: snapshots.every, keep: snapshots.keep };
        let started = snapshot::open_target(&snapshots.to, clock.clone()).and_then(|target| {
            let sources = fleet.snapshot_sources();
            let started = Snapshots::start(every, &instance.id, sources, target, clock.clone());
            started.map_err(|error| error.to_string())
        });
        match started {
            // It is set once.
            Ok(snapshots) => drop(fleet.snapshots.set(snapshots)),
            Err(error) => tracing::error!("no snapshots are taken: {error}"),
        }
    }
    let server = Server::start(options.data_dir.as_deref()?, fleet.clone());
    server.inspect_err(|error| tracing::warn!("this process cannot be asked: {error}")).ok()
}

/// What the run is told.
///
/// # Errors
/// A flag about what earlier runs kept, where nothing is kept.
fn options(args: &RunArgs, data_dir: Option<PathBuf>, process: &Process) -> Result<RunOptions, Exit> {
    let flags = [
        ("--fresh", args.fresh),
        ("--strict-recovery", args.strict_recovery),
        ("--accept-duplicates", args.accept_duplicates),
        ("--accept-gap", args.accept_gap),
        ("--allow-dropped-state", !args.allow_dropped_state.is_empty()),
    ];
    if let (Some((flag, _)), None) = (flags.iter().find(|(_, given)| *given), &data_dir) {
        return Err(Exit::usage(format!("`{flag}` means nothing without a data directory: {NAME_ONE}")));
    }
    Ok(RunOptions {
        data_dir,
        fresh: args.fresh,
        strict_recovery: args.strict_recovery,
        accept_duplicates: args.accept_duplicates,
        accept_gap: args.accept_gap,
        allow_dropped_state: args.allow_dropped_state.clone(),
        limits: process.file.limits,
        snapshots: process.file.snapshots.clone(),
    })
}

/// Takes the data directory if there is one, and says who this gateway is. Nothing is taken where the configuration is
/// faulty, which is about to be said.
fn take_data_dir(
    options: &RunOptions,
    process: &Process,
    clock: &SystemClock,
) -> Result<(Option<DataDir>, Instance), Exit> {
    let path = options.data_dir.as_ref().filter(|_| !load::has_errors(&process.diagnostics));
    let data_dir = path.map(|path| DataDir::open(path, clock.entropy())).transpose()?;
    let instance = match (&process.file.instance, &data_dir) {
        (Some(id), _) => Instance { id: id.clone(), lasting: true },
        (None, Some(data_dir)) => data_dir.instance(),
        (None, None) => Instance { id: data_dir::new_id(clock.entropy()), lasting: false },
    };
    Ok((data_dir, instance))
}

/// Refuses what needs state that outlives the process, where none is kept.
fn refuse_without_state(loaded: &[Loaded], options: &RunOptions) -> Result<(), Exit> {
    if options.data_dir.is_some() {
        return Ok(());
    }
    let asked = loaded.iter().find(|loaded| {
        let sinks = loaded.plan.sinks.iter().map(|sink| sink.delivery);
        sinks.chain([loaded.plan.delivery]).any(|delivery| delivery == Delivery::ExactlyOnce)
    });
    match asked {
        Some(loaded) => Err(Exit::config(format!(
            "pipeline `{}` asks for `exactly_once`, which needs a data directory: {NAME_ONE}",
            loaded.plan.name
        ))),
        None if options.snapshots.is_some() => Err(Exit::config(format!(
            "`snapshots` are copies of a data directory, and there is none: {NAME_ONE}"
        ))),
        None => Ok(()),
    }
}

/// What came of a pipeline: what its nodes counted, or why it failed.
type Outcome = Result<Vec<NodeCounts>, String>;

/// Runs a pipeline to its end. `seen` is told what its nodes have counted.
fn in_motion(
    pipeline: Pipeline,
    clock: &SystemClock,
    stop: &AtomicBool,
    mut progress: Option<Progress>,
    seen: impl Fn(&[NodeCounts]),
) -> Outcome {
    let outcome = pipeline.run(clock, stop, &mut |counts: &[NodeCounts]| {
        seen(counts);
        if let Some(progress) = &mut progress {
            progress.show(counts, clock.elapsed());
        }
    });
    if let Some(progress) = &mut progress {
        progress.clear();
    }
    outcome
}

/// What pipelines are run with.
struct Runner<'a> {
    clock: &'a SystemClock,
    unfinished: &'a Unfinished,
    terminal: &'a Terminal,
    options: &'a RunOptions,
    /// The plan with the ways between workers.
    replan: &'a (dyn Fn(&Loaded) -> Option<Plan> + Sync),
}

impl Runner<'_> {
    /// Runs what could be opened; how many of them ended well.
    fn run_all(
        &self,
        loaded: &[Loaded],
        pipelines: Vec<Result<Pipeline, String>>,
        stop: &AtomicBool,
        fleet: &Fleet,
    ) -> usize {
        let show = loaded.len() == 1 && self.terminal.watched && !self.terminal.json;
        let resumed: Vec<bool> = pipelines.iter().map(|p| p.as_ref().is_ok_and(Pipeline::goes_on)).collect();
        let (sender, outcomes) = channel();
        std::thread::scope(|scope| {
            for (number, pipeline) in pipelines.into_iter().enumerate() {
                let Ok(pipeline) = pipeline else { continue };
                let (name, clock, sender) = (&loaded[number].plan.name, self.clock, sender.clone());
                let progress = show.then(|| Progress::new(&loaded[number].plan, self.terminal));
                let seen = move |counts: &[NodeCounts]| fleet.count(name, counts);
                scope.spawn(move || {
                    // The receiver is there until all senders are gone.
                    let _ = sender.send((number, in_motion(pipeline, clock, stop, progress, seen)));
                });
            }
            drop(sender);
            let conclude = |(number, outcome): &(usize, Outcome)| {
                let loaded = &loaded[*number];
                let known = outcome.as_deref().map_err(|message| loaded.secrets.mask(message).into_owned());
                fleet.conclude(&loaded.plan.name, known);
                let ran_out = resumed[*number] && !stop.load(Ordering::Relaxed);
                self.conclude(loaded, ran_out, outcome)
            };
            outcomes.iter().filter(conclude).count()
        })
    }

    /// # Errors
    /// Why it cannot run, which is said.
    fn open(&self, loaded: &mut Loaded, share: u64) -> Result<Pipeline, String> {
        let found = self
            .options
            .data_dir
            .as_ref()
            .map(|path| keep::find(loaded, path, self.options, share, self.clock, self.replan));
        let opened =
            found.transpose().and_then(|found| Pipeline::open_keeping(&loaded.plan, self.clock, found));
        opened.inspect_err(|message| self.say_failed(loaded, message))
    }

    /// Says what a pipeline did; false if it failed. `ran_out` tells that it went on where an earlier run stopped, and came
    /// to the end of its input.
    fn conclude(&self, loaded: &Loaded, ran_out: bool, outcome: &Outcome) -> bool {
        match outcome {
            Ok(counts) => {
                self.unfinished.remove(&loaded.plan.name);
                if !self.terminal.quiet {
                    let elapsed = self.clock.elapsed();
                    self.terminal.say(&summary(&loaded.plan, counts, elapsed, self.terminal));
                    if ran_out && found_nothing(&loaded.plan, counts) {
                        self.terminal
                            .say("  nothing new: all of its input was read before; `--fresh` starts over\n");
                    }
                }
            }
            Err(message) => self.say_failed(loaded, message),
        }
        outcome.is_ok()
    }

    fn say_failed(&self, loaded: &Loaded, message: &str) {
        self.unfinished.remove(&loaded.plan.name);
        let error = self.terminal.bold("error");
        let message = loaded.secrets.mask(message);
        self.terminal.say(&format!("{error}: pipeline `{}`: {message}\n", loaded.plan.name));
    }
}

/// The pipelines that have not ended, with the names of their sinks.
#[derive(Clone)]
struct Unfinished(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Unfinished {
    fn new(loaded: &[Loaded]) -> Unfinished {
        let pipelines = loaded.iter().map(|loaded| {
            let plan = &loaded.plan;
            let sinks = plan.sinks.iter().map(|sink| format!("`{}`", plan.nodes[sink.node.0 as usize].name));
            (plan.name.clone(), sinks.collect())
        });
        Unfinished(Arc::new(Mutex::new(pipelines.collect())))
    }

    fn remove(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// A line for each.
    fn lines(&self, terminal: &Terminal) -> String {
        let error = terminal.bold("error");
        let pipelines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(name, sinks): (&String, &Vec<String>)| {
            let lost = match sinks.is_empty() {
                true => String::new(),
                false => format!(": what has not been written to {} is lost", sinks.join(", ")),
            };
            format!("{error}: pipeline `{name}` did not stop within {DEADLINE} of the signal{lost}\n")
        };
        pipelines.iter().map(line).collect()
    }
}

/// Ends the process with status 1 if it is still there [`DEADLINE`] after the signal. A worker that hangs in a system call
/// cannot be ended by itself.
fn end_in_time(stop: Arc<AtomicBool>, unfinished: Unfinished, terminal: Terminal) -> Result<(), Exit> {
    let watch = move || {
        let clock = SystemClock::new();
        while !stop.load(Ordering::Relaxed) {
            clock.wait(LOOK_EVERY);
        }
        clock.wait(DEADLINE);
        // On a thread of its own, as standard error may be what hangs.
        std::thread::spawn(move || terminal.say(&unfinished.lines(&terminal)));
        clock.wait(LOOK_EVERY);
        signal_hook::low_level::exit(1);
    };
    // Nobody waits for this thread: it goes when the process ends.
    let spawned = std::thread::Builder::new().name("deadline".to_owned()).spawn(watch);
    spawned.map(drop).map_err(|error| Exit::failed(format!("cannot start a thread: {error}")))
}

/// Without a data directory state is kept in memory: said once, since a restart loses it. A flag that concerns no pipeline
/// here is told of.
fn say_what_is_kept(loaded: &[Loaded], options: &RunOptions, terminal: &Terminal) {
    let exactly_once =
        |loaded: &Loaded| loaded.plan.sinks.iter().any(|sink| sink.delivery == Delivery::ExactlyOnce);
    if (options.accept_duplicates || options.accept_gap) && !loaded.iter().any(exactly_once) {
        tracing::warn!(
            "`--accept-duplicates` and `--accept-gap` are for `exactly_once`, which no pipeline here has"
        );
    }
    if options.data_dir.is_some() {
        return;
    }
    let live = |loaded: &Loaded| loaded.plan.sources.iter().any(|source| source.plan.is_live());
    let keeps = |loaded: &Loaded| loaded.plan.draft.steps.iter().any(|step| step.plan.state().is_some());
    if !terminal.quiet && loaded.iter().any(|loaded| live(loaded) && keeps(loaded)) {
        tracing::info!(
            "there is no data directory: open windows and what nodes keep by key are in memory, and are lost when the \
             process ends"
        );
    }
}

/// A flag that SIGINT and SIGTERM set; a second one ends the process at once.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>, Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let second = signal_hook::flag::register_conditional_shutdown(signal, 1, stop.clone());
        let first = signal_hook::flag::register(signal, stop.clone());
        second.and(first).map_err(|error| Exit::failed(format!("cannot handle signals: {error}")))?;
    }
    stop.store(false, Ordering::Relaxed);
    Ok(stop)
}
