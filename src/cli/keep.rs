//! The state of the pipelines of a run: opened before they are, and what was found of it said.

use super::data_dir::pipeline_folder;
use super::load::Loaded;
use crate::config::Delivery;
use crate::runtime::{Found, Keeping, RunOptions};
use crate::state::disk::{Disk, RealDisk};
use crate::state::{self, OnCorruption, OpenOptions, Recovery, Repair, StateLimits};
use crate::state::{DeadLetterLimits, DeadLetterLog, dead_letters_folder};
use crate::time::Clock;
use std::path::Path;
use std::sync::Arc;

/// The share of `limits.memory` that pages of the store may take; as much state may wait to be folded.
const CACHE_SHARE: u64 = 4;
/// The least memory that a store works with.
const LEAST_CACHE: u64 = 1 << 20;

/// Opens the state of a pipeline in the data directory and finds what of it belongs to the plan. `share` is the number
/// of pipelines among which limits are divided.
///
/// # Errors
/// It cannot be opened, or does not belong to the plan: what is wrong and what can be done.
pub fn find(
    loaded: &mut Loaded,
    data_dir: &Path,
    options: &RunOptions,
    share: u64,
    clock: &dyn Clock,
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
    let keeping = Keeping {
        backend,
        bytes_per_day: options.limits.writes_per_day.map(|bytes| bytes / share),
        may_drop: options.allow_dropped_state.clone(),
        dead_letters: dead_letters(&loaded.plan.name, data_dir, clock.entropy()),
    };
    Found::find(&mut loaded.plan, keeping)
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
    let default = StateLimits::default();
    let Some(memory) = options.limits.memory else { return default };
    let part = (memory / share / CACHE_SHARE).max(LEAST_CACHE) as usize;
    StateLimits { cache_bytes: part, unfolded_bytes: part, ..default }
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
            "{what}; setting it aside would break `exactly_once`: allow it by `--accept-gap` or `--accept-duplicates`, \
             or start over by `--fresh`"
        ),
        _ => what,
    }
}

/// Says what was found, loudly where something may be lost.
fn say(pipeline: &str, recovery: &Recovery) {
    for repair in &recovery.repairs {
        match repair {
            Repair::TornTail { bytes } => tracing::info!(
                "pipeline `{pipeline}`: the power went in the middle of a commit: {bytes} bytes that nobody was told of \
                 are cut off"
            ),
            repair => tracing::error!("pipeline `{pipeline}`: state was damaged: {repair:?}"),
        }
    }
    if !recovery.aside.is_empty() {
        let names = recovery.aside.join(", ");
        tracing::warn!("pipeline `{pipeline}`: state that was set aside is still there: {names}");
    }
    if !recovery.is_fresh {
        tracing::info!("pipeline `{pipeline}`: goes on behind checkpoint {}", recovery.epoch);
    }
}
