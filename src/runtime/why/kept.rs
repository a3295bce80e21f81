//! What state that was kept says of a node while no process runs: what its worker would say right after a start that goes
//! on from it.

use super::{Facts, Layout};
use crate::dataflow::{KEYLESS, NodeId, Saved, SharedSink, SharedTable};
use crate::plan::{Plan, SourceNode};
use crate::runtime::checkpoint::{Loading, Origins, match_node, workers_before};
use crate::runtime::inquiry::WorkerView;
use crate::runtime::intake::{Intake, IntakeView};
use crate::runtime::start_driver;
use crate::runtime::stats::Counters;
use crate::state::{self, StateBackend, StateError};
use crate::time::{Env, Millis, Random, Timestamp};
use crate::watermark::{KeyMark, Partition, WatermarkTracker, read_key_name};
use std::collections::BTreeMap;

impl Layout {
    /// What the state of a pipeline says of a node of its plan. `as_of` is when it was kept; `shown` names a partition;
    /// `sinks` get nothing. Nothing is opened, and of other nodes nothing is read.
    ///
    /// # Errors
    /// The state cannot be read, or that of the node is laid out otherwise than the plan says.
    pub fn kept_facts(
        &self,
        plan: &Plan,
        sinks: &[SharedSink],
        backend: &StateBackend,
        node: NodeId,
        as_of: Timestamp,
        shown: &dyn Fn(&[u8]) -> String,
    ) -> Result<Facts, String> {
        let ids = match_node(plan, backend, node)?;
        let read = |error: StateError| error.to_string();
        let moved = workers_before(backend, &ids).map_err(read)?.is_some_and(|before| before != 1);
        let loading = Loading { backend, ids: &ids, worker: (0, 1), moved };
        let tables = vec![SharedTable::default(); plan.draft.tables.len()];
        let env = Env { now: as_of, elapsed: Millis::ZERO, random: Random::seeded(1) };
        let mut driver = start_driver(plan, sinks, &tables, env, true);
        driver.load_node(node, &loading).map_err(read)?;
        let intakes = plan.sources.iter().zip(&ids.sources);
        let intakes = intakes.map(|(source, id)| intake(source, *id, &loading, shown));
        let intakes: Vec<IntakeView> = intakes.collect::<Result<_, _>>().map_err(read)?;
        let way = self.way(node.0 as usize);
        let sources = self.sources.iter().zip(&intakes).filter(|(source, _)| way.contains(&source.node));
        let watermark = sources.map(|(_, intake)| intake.times.watermark).min().unwrap_or(Timestamp::MIN);
        let mut awaits = driver.awaits(node);
        // Some keep nothing of how far they have come.
        let unknown = awaits.iter_mut().filter(|awaits| awaits.watermark == Timestamp::MIN);
        unknown.for_each(|awaits| awaits.watermark = watermark);
        let counters = Counters::new(plan.nodes.len());
        let view = WorkerView { number: 0, now: as_of, intakes, watermark, awaits, counters };
        Ok(Facts { is_kept: true, path: Vec::new(), ..self.facts(node, &[view]) })
    }
}

/// How far a source had come, all of its partitions read by one worker.
fn intake(
    source: &SourceNode,
    id: state::NodeId,
    loading: &Loading<'_>,
    shown: &dyn Fn(&[u8]) -> String,
) -> Result<IntakeView, StateError> {
    let marks = Origins::of(loading.backend, id)?.marks;
    let names: BTreeMap<&[u8], Partition> =
        marks.keys().map(Vec::as_slice).zip((0..).map(Partition)).collect();
    let mut tracker = source.timing.tracker(names.len() as u32);
    for ((_, highest), number) in marks.values().zip((0..).map(Partition)) {
        highest.iter().for_each(|highest| tracker.resume(number, *highest));
    }
    loading.node(id, &mut |saved| {
        let Saved::Own { name, value, .. } = saved else { return Ok(()) };
        if name.is_empty() {
            tracker.load_watermark(Intake::saved_watermark(value)?);
            return Ok(());
        }
        let (partition, key) = read_key_name(name)?;
        let number = names.get(partition).copied();
        number.map_or(Ok(()), |number| tracker.load_key(number, key, KeyMark::decode(value)?, true))
    })?;
    tracker.loaded();
    leave_passed(&mut tracker, names.len() as u32);
    let times = tracker.view();
    let shown = |number: Partition| Some(shown(marks.keys().nth(number.0 as usize)?));
    let names = times.slowest.iter().map(|holder| shown(holder.partition)).collect();
    Ok(IntakeView { times, names, is_live: source.plan.is_live(), waits_for: None, has_ended: false })
}

/// What event time had passed did not hold it: it was idle, or had ended.
fn leave_passed(tracker: &mut WatermarkTracker, partitions: u32) {
    for number in (0..partitions).map(Partition) {
        if tracker.follows_events() && tracker.watermark_of(number) < tracker.watermark() {
            tracker.stand_aside(number);
        }
    }
}

/// How far event time had come at a source, by the number under which it keeps that: the least of its workers. None where
/// nothing says so.
///
/// # Errors
/// State cannot be read.
pub fn kept_watermark(
    backend: &StateBackend,
    source: state::NodeId,
) -> Result<Option<Timestamp>, StateError> {
    let mut least: Option<Timestamp> = None;
    backend.keyed().group(source, KEYLESS, &mut |group, key, value| {
        if let Some(Saved::Own { name: b"", value, .. }) = Saved::read(group, key, value, (0, 1))? {
            let watermark = Intake::saved_watermark(value)?;
            least = Some(least.map_or(watermark, |least| least.min(watermark)));
        }
        Ok(())
    })?;
    Ok(least)
}
