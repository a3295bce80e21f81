//! The state of the pipelines of a run: opened before they are, and what was found of it said.

use super::data_dir::pipeline_folder;
use super::load::Loaded;
use crate::config::Delivery;
use crate::dataflow::{OnDoubt, Room};
use crate::plan::Plan;
use crate::runtime::{Found, Keeping, RunOptions, Spilling, waits_between_workers};
use crate::state::disk::{Disk, RealDisk};
use crate::state::{self, Epoch, OnCorruption, OpenOptions, Recovery, Repair, StateLimits};
use crate::state::{DeadLetterLimits, DeadLetterLog, dead_letters_folder};
use crate::time::Clock;
use std::path::Path;
use std::sync::Arc;

/// The shares of `limits.memory`; what is left is for what changed on its way to the log, and for what nobody counts. See
/// "State larger than memory" in ARCHITECTURE.md.
///
/// Pages of the store. As much state may wait to be folded, and as much again are pages of what left memory.
const CACHE_SHARE: u64 = 8;
/// Keys in memory.
const LIVE_SHARE: u64 = 4;
/// What may change before it is saved: on its way it is there several times.
const CHANGED_SHARE: u64 = 16;
/// The least memory that a store works with.
const LEAST_CACHE: u64 = 256 << 10;

/// The share of `limits.disk` that the log may take before it is folded, and that of the log for a segment.
const LOG_SHARE: u64 = 4;
/// The least size of a segment.
const LEAST_SEGMENT: u64 = 64 << 10;

/// Opens the state of a pipeline in the data directory and finds what of it belongs to the plan. `share` is the number
/// of pipelines among which limits are divided; `replan` gives the plan with the ways between workers, see
/// [`plan_between_workers`](super::load::plan_between_workers).
///
/// # Errors
/// It cannot be opened, or does not belong to the plan: what is wrong and what can be done.
pub fn find(
    loaded: &mut Loaded,
    data_dir: &Path,
    options: &RunOptions,
    share: u64,
    clock: &dyn Clock,
    replan: &dyn Fn(&Loaded) -> Option<Plan>,
) -> Result<Found, String> {
    let folder = pipeline_folder(data_dir, &loaded.plan.name);
    let disk = RealDisk::new(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let exactly_once = loaded.plan.sinks.iter().any(|sink| sink.delivery == Delivery::ExactlyOnce);
    let refuse =
        options.strict_recovery || (exactly_once && !(options.accept_gap || options.accept_duplicates));
    let how = OpenOptions {
        limits: limits(options, share),
        on_corruption: if refuse { OnCorruption::Refuse } else { OnCorruption::SetAside },
        entropy: clock.entropy(),
        now: clock.wall(),
    };
    let opened = if options.fresh { state::open_afresh(&disk, &how) } else { state::open(&disk, &how) };
    let (backend, recovery) = opened.map_err(|error| refusal(&error, &folder, options, exactly_once))?;
    say(&loaded.plan.name, &recovery);
    if waits_between_workers(&loaded.plan, &backend)
        && let Some(plan) = replan(loaded)
    {
        loaded.plan = plan;
    }
    if exactly_once && recovery.repairs.iter().any(Repair::is_loss) {
        tracing::error!(
            "pipeline `{}`: `exactly_once` does not hold across this start: sources whose position was lost begin anew, \
             so output may be there twice; output that was lost before it was delivered is missing",
            loaded.plan.name
        );
    }
    let spilling = options.limits.memory.map(|memory| {
        let part = |of: u64| (memory / share / of) as usize;
        let room = Room { live: part(LIVE_SHARE), changed: part(CHANGED_SHARE) };
        Spilling { disk: disk.clone(), cache: part(CACHE_SHARE), room }
    });
    let keeping = Keeping {
        backend,
        folder,
        spilling,
        bytes_per_day: options.limits.writes_per_day.map(|bytes| bytes / share),
        disk_bytes: options.limits.disk.map(|bytes| bytes / share),
        on_doubt: on_doubt(options),
        may_drop: options.allow_dropped_state.clone(),
        dead_letters: dead_letters(&loaded.plan.name, data_dir, clock.entropy()),
    };
    let found = Found::find(&mut loaded.plan, keeping)?;
    say_given_up(&loaded.plan, &found, options);
    Ok(found)
}

/// What to do where a target does not say what has arrived of output that waits. Afresh nothing waits, and whoever wants
/// that has accepted what is there.
fn on_doubt(options: &RunOptions) -> OnDoubt {
    match (options.accept_gap, options.accept_duplicates || options.fresh) {
        (true, _) => OnDoubt::Gap,
        (false, true) => OnDoubt::Duplicates,
        (false, false) => OnDoubt::Ask,
    }
}

/// Says whose state goes to another name, whose is dropped, and which permission concerns nobody.
fn say_given_up(plan: &Plan, found: &Found, options: &RunOptions) {
    let (pipeline, given_up) = (&plan.name, found.given_up());
    for (was, name) in found.renamed() {
        tracing::info!("pipeline `{pipeline}`: node `{name}` goes on with what was kept for `{was}`");
    }
    for name in &given_up {
        tracing::warn!(
            "pipeline `{pipeline}`: what was kept for node `{name}` is dropped with the next checkpoint"
        );
    }
    let is_known = |name: &&String| {
        given_up.contains(&name.as_str()) || plan.nodes.iter().any(|node| node.name == **name)
    };
    for name in options.allow_dropped_state.iter().filter(|name| !is_known(name)) {
        tracing::warn!(
            "pipeline `{pipeline}`: `--allow-dropped-state {name}`: there is no such node, nor state of one"
        );
    }
}

/// The folder of rejected events. That there can be none is no reason not to run.
fn dead_letters(pipeline: &str, data_dir: &Path, entropy: u64) -> Option<DeadLetterLog> {
    let folder = dead_letters_folder(data_dir, pipeline);
    let disk = RealDisk::new(&folder).map_err(|error| error.to_string());
    let log = disk.and_then(|disk| {
        let log = DeadLetterLog::open(Arc::new(disk), DeadLetterLimits::default(), entropy);
        log.map_err(|error| error.to_string())
    });
    log.inspect_err(|error| tracing::warn!("rejected events of `{pipeline}` are not kept: {error}")).ok()
}

fn limits(options: &RunOptions, share: u64) -> StateLimits {
    let mut limits = StateLimits::default();
    if let Some(memory) = options.limits.memory {
        let part = (memory / share / CACHE_SHARE).max(LEAST_CACHE) as usize;
        (limits.cache_bytes, limits.unfolded_bytes) = (part, part);
    }
    if let Some(disk) = options.limits.disk {
        limits.log_bytes = limits.log_bytes.min(disk / share / LOG_SHARE);
        // The last one stays, whatever is in it.
        limits.segment_bytes = limits.segment_bytes.min(limits.log_bytes / LOG_SHARE).max(LEAST_SEGMENT);
    }
    limits
}

fn refusal(error: &state::StateError, folder: &Path, options: &RunOptions, exactly_once: bool) -> String {
    let what = format!("its state in `{}`: {error}", folder.display());
    match error {
        state::StateError::Corrupt { .. } if options.strict_recovery => {
            format!(
                "{what}; without `--strict-recovery` it is set aside, and the pipeline starts with what is left"
            )
        }
        state::StateError::Corrupt { .. } if exactly_once => format!(
            "{what}; without it some output may be written twice and some never, which breaks `exactly_once`: allow it \
             by `--accept-duplicates` or `--accept-gap`, which set it aside, or start over by `--fresh`"
        ),
        _ => what,
    }
}

/// Says what was found, loudly where something may be lost.
fn say(pipeline: &str, recovery: &Recovery) {
    for repair in &recovery.repairs {
        match repair.is_loss() {
            false => tracing::info!("pipeline `{pipeline}`: {repair}"),
            true => tracing::error!("pipeline `{pipeline}`: state was damaged: {repair}"),
        }
    }
    if !recovery.aside.is_empty() {
        let names = recovery.aside.join(", ");
        tracing::warn!("pipeline `{pipeline}`: state that was set aside is still there: {names}");
    }
    match recovery.epoch {
        _ if recovery.is_fresh => {}
        Epoch(0) => {
            tracing::info!("pipeline `{pipeline}`: begins anew: no checkpoint is left of earlier runs");
        }
        epoch => tracing::info!("pipeline `{pipeline}`: goes on behind checkpoint {epoch}"),
    }
}
