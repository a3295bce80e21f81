//! `bench`: runs a pipeline as fast as its input comes, and measures it.
//!
//! The pipeline is the one that `run` would run, but for three things, which the output names: instruments stand around
//! its parts ([`probe`]), standard output is counted instead of written, and limits to the rate of a source are ignored.
//! Input that never ends by itself is ended, so that windows fire and everything is counted.

mod lane;
mod latency;
mod probe;
mod report;
mod usage;

use super::args::{BenchArgs, Paths};
use super::data_dir;
use super::exit::Exit;
use super::load::{self, Loaded};
use super::process::Process;
use super::progress::Progress;
use super::run;
use super::terminal::Terminal;
use crate::dataflow::Instance;
use crate::plan::{Plan, shown};
use crate::runtime::{NodeCounts, Pipeline};
use crate::time::{Clock, Millis, SystemClock};
use lane::Part;
use probe::{Limits, Probe, WatchedClock};
use report::{OperatorLine, Report, bytes_shown};
use std::sync::Arc;
use usage::Usage;

/// How long input is read that never ends by itself, unless a flag says otherwise.
const LIVE_TIME: Millis = Millis(10_000);

/// Measures a pipeline.
///
/// # Errors
/// If it cannot run, or fails while it runs.
pub fn bench(args: &BenchArgs, process: &Process, terminal: &Terminal) -> Result<(), Exit> {
    // Servers must not take two measurements for one client.
    let instance = Instance { id: data_dir::new_id(SystemClock::new().entropy()), lasting: false };
    let paths = Paths { paths: vec![args.path.clone()], set: args.set.clone() };
    let mut findings = load::load_as(&instance, &paths, process, &|_| Vec::new())?;
    load::report(&findings, terminal)?;
    let count = findings.loaded.len();
    let (Some(mut loaded), 1) = (findings.loaded.pop(), count) else {
        return Err(Exit::usage(format!("one pipeline is measured at a time, and there are {count}")));
    };
    let mut notes = ignore_rates(&mut loaded.plan);
    let limits = limits(args, &loaded.plan, &mut notes);
    let report = measure(&loaded, limits, notes, terminal)?;
    terminal.print(&match terminal.json {
        true => format!("{}\n", report.to_json()),
        false => report.to_text(terminal),
    });
    Ok(())
}

/// Takes limits off the rates of sources; says of which.
fn ignore_rates(plan: &mut Plan) -> Vec<String> {
    let mut notes = Vec::new();
    for source in &mut plan.sources {
        if let Some(unlimited) = source.plan.unlimited() {
            source.plan = unlimited;
            notes.push(format!("the rate of `{}` is not limited", plan.nodes[source.node.0 as usize].name));
        }
    }
    notes
}

fn limits(args: &BenchArgs, plan: &Plan, notes: &mut Vec<String>) -> Limits {
    let mut limits = Limits { events: args.events, time: args.time };
    let mut live = plan.sources.iter().filter(|source| source.plan.is_live());
    if let (Some(live), None, None) = (live.next(), limits.events, limits.time) {
        limits.time = Some(LIVE_TIME);
        let name = &plan.nodes[live.node.0 as usize].name;
        notes.push(format!("`{name}` never ends by itself: ended after {LIVE_TIME}; see --for and --events"));
    }
    limits
}

fn measure(
    loaded: &Loaded,
    limits: Limits,
    mut notes: Vec<String>,
    terminal: &Terminal,
) -> Result<Report, Exit> {
    let plan = &loaded.plan;
    let stop = run::stop_on_signals()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let probe = Probe::new(plan, clock.clone(), limits);
    let failed = |error: String| Exit::failed(format!("pipeline `{}`: {error}", plan.name));
    let pipeline = Pipeline::open_with(plan, &*clock, &probe, None).map_err(failed)?;
    let mut progress = (terminal.watched && !terminal.json).then(|| Progress::new(plan, terminal));
    let (started, before) = (clock.nanos(), Usage::now());
    let outcome = pipeline.run(&WatchedClock(clock.clone()), &stop, &mut |counts: &[NodeCounts]| {
        if let Some(progress) = &mut progress {
            progress.show(counts, clock.elapsed());
        }
    });
    let (seconds, usage) = ((clock.nanos() - started) as f64 / 1e9, Usage::now().since(&before));
    if let Some(progress) = &mut progress {
        progress.clear();
    }
    let counts = outcome.map_err(failed)?;
    let measured = probe.measured();
    notes.extend(sink_notes(loaded, &probe.written()));
    notes.extend(loss_notes(plan, &counts));
    if plan.draft.stages.iter().any(|stage| stage.exchange.is_some()) {
        notes.push("latency ends where a row is handed to another worker".to_owned());
    }
    if cfg!(debug_assertions) {
        notes.push("this program was built without optimisation: its figures mean little".to_owned());
    }
    Ok(Report {
        pipeline: plan.name.clone(),
        workers: plan.parallelism,
        events: plan.sources.iter().map(|source| counts[source.node.0 as usize].received).sum(),
        seconds,
        bytes_read: measured.gauges.iter().map(|gauge| gauge.bytes).sum(),
        bytes_written: probe.written().iter().sum(),
        usage,
        operators: operators(loaded, &probe, &measured.gauges),
        engine: measured.engine,
        latencies: measured.latencies,
        notes,
    })
}

/// A line a part: sources, then operators, in the order of the plan.
fn operators(loaded: &Loaded, probe: &Probe<'_>, gauges: &[lane::Gauge]) -> Vec<OperatorLine> {
    let plan = &loaded.plan;
    let line = |part: Part, node: crate::dataflow::NodeId, does: &str, reads: bool| {
        let gauge = gauges.get(part.0).copied().unwrap_or_default();
        OperatorLine {
            node: plan.nodes[node.0 as usize].name.clone(),
            does: shown(does, &loaded.secrets),
            rows_in: (!reads).then_some(gauge.rows_in),
            rows_out: gauge.rows_out,
            nanos: gauge.nanos,
        }
    };
    let mut lines = Vec::new();
    for (number, source) in plan.sources.iter().enumerate() {
        lines.push(line(probe.reader(number), source.node, &source.plan.describe(), true));
        if source.decoding.is_some() {
            let does = format!("decode {}", source.format.describe());
            lines.push(line(probe.decoding(number), source.node, &does, true));
        }
    }
    for (number, step) in plan.draft.steps.iter().enumerate() {
        lines.push(line(Part(number), step.node, &step.plan.describe(), false));
    }
    lines
}

/// What was written, and where only counted.
fn sink_notes(loaded: &Loaded, written: &[u64]) -> Vec<String> {
    let plan = &loaded.plan;
    let sinks = plan.sinks.iter().zip(written).enumerate();
    sinks
        .map(|(number, (sink, bytes))| {
            let name = &plan.nodes[sink.node.0 as usize].name;
            let target = shown(&sink.plan.describe(), &loaded.secrets);
            let bytes = bytes_shown(*bytes as f64);
            match Probe::only_counts(plan, number) {
                true => format!("`{name}`: {bytes} for {target}, counted and not written"),
                false => format!("`{name}`: {bytes} written to {target}"),
            }
        })
        .collect()
}

/// Events that did not get through.
fn loss_notes(plan: &Plan, counts: &[NodeCounts]) -> Vec<String> {
    let rejected = plan.nodes.iter().zip(counts).filter(|(_, counts)| counts.all_rejected() > 0);
    rejected
        .map(|(node, counts)| {
            format!("`{}` rejected {}", node.name, super::progress::grouped(counts.all_rejected()))
        })
        .collect()
}
