//! Opens what a plan names and puts workers together.

use super::alignment::Alignment;
use super::checkpoint::StateIds;
use super::driver::{Driver, Stage, Step};
use super::exchange::{Mail, Mailbox, Outgoing, WorkerId};
use super::inlet::{Inlet, Onward};
use super::instruments::{Instruments, Plain};
use super::intake::{Intake, IntakeParts};
use super::merge::{Merge, MergeKeeper, MergeOrder};
use super::rejected::RejectPort;
use super::worker::Worker;
use crate::dataflow::{
    Copier, Copies, Next, NodeId, Origin, RowForm, RowSource, SharedSink, SharedTable, StageDraft, StageId,
    StartContext, StepDraft, StepId, Target,
};
use crate::event::{Layer, Slot, View};
use crate::plan::{Plan, SourceNode};
use crate::state::Epoch;
use crate::time::Env;
use crate::watermark::WatermarkTracker;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a worker stands among the others.
pub(super) struct Place<'a> {
    pub(super) me: usize,
    pub(super) mail: &'a Mail,
    /// The order of merges: canonical unless something is live.
    pub(super) order: MergeOrder,
    pub(super) env: Env,
    pub(super) hash_seed: u64,
    /// Whether operators are asked for their state.
    pub(super) durable: bool,
    /// Where state stands and the last checkpoint; None where none is kept.
    pub(super) ids: Option<(Arc<StateIds>, Epoch)>,
    pub(super) instruments: &'a dyn Instruments,
    pub(super) tables: &'a [SharedTable],
    /// By source: whom it waits for.
    pub(super) alignments: &'a [Option<Alignment>],
}

/// A driver over all stages of a plan, for one worker that works alone. Unions take rows in the order in which they
/// come, as the caller decides it. `durable` says whether it will be asked for its state.
pub fn start_driver(
    plan: &Plan,
    sinks: &[SharedSink],
    tables: &[SharedTable],
    env: Env,
    durable: bool,
) -> Driver {
    let (mail, _) = Mail::new(1);
    let hash_seed = env.random.clone().bits();
    let order = MergeOrder::Arrival;
    let (ids, instruments, alignments) = (None, &Plain, &[][..]);
    let place =
        Place { me: 0, mail: &mail, order, tables, env, hash_seed, durable, ids, instruments, alignments };
    driver(plan, sinks, &place)
}

fn driver(plan: &Plan, sinks: &[SharedSink], place: &Place<'_>) -> Driver {
    let draft = &plan.draft;
    let groups: Vec<Vec<StageId>> = draft.stages.iter().map(groups).collect();
    let stages = draft.stages.iter().enumerate().map(|(number, stage)| {
        let id = StageId(number as u16);
        let joins = joins(&groups, draft, id);
        let inlet = is_joined(draft, id).then(|| {
            let inlet = inlet(id, stage, &groups[number], place);
            if place.durable { inlet.lasting(keeper(draft, id, stage)) } else { inlet }
        });
        Stage::new(stage.slots.len(), &stage.constants, stage.roots.clone(), joins, inlet)
    });
    let stages = stages.collect();
    let reads = |node: NodeId| plan.sources.iter().any(|source| source.node == node);
    // What comes in is counted at the first step of a node; of a source, where it is read.
    let ends = draft.node_ends().into_iter().zip(&draft.steps);
    let ends = ends.map(|((first, last), step)| (first && !reads(step.node), last));
    let steps = (0..).map(StepId).zip(ends).take(draft.steps.len());
    let steps = steps.map(|(step, ends)| start_step(plan, step, ends, sinks, place)).collect();
    let mut driver = Driver::new(stages, steps, plan.nodes.len(), place.env.clone(), plan.secrets.clone());
    driver.watch(read_stages(plan));
    driver
}

/// What each node reads that is no source.
fn read_stages(plan: &Plan) -> Vec<(NodeId, StageId)> {
    let mut reads: Vec<(NodeId, StageId)> = Vec::new();
    for step in plan.draft.steps.iter().filter(|step| !step.aside) {
        let is_source = plan.sources.iter().any(|source| source.node == step.node);
        if !is_source && reads.iter().all(|(node, _)| *node != step.node) {
            reads.push((step.node, step.stage));
        }
    }
    reads
}

fn start_step(plan: &Plan, id: StepId, ends: (bool, bool), sinks: &[SharedSink], place: &Place<'_>) -> Step {
    let step = &plan.draft.steps[id.0 as usize];
    let hash_seed = place.hash_seed;
    let context = StartContext {
        outputs: &step.outputs,
        draft: &plan.draft,
        sinks,
        tables: place.tables,
        hash_seed,
        worker: (place.me, place.mail.workers()),
        durable: place.durable,
    };
    let worker = WorkerId(place.me as u16);
    let operator = place.instruments.operator(worker, id, step.plan.start(&context));
    let rejected = step.rejected.as_ref().and_then(|view| {
        let stage = plan.rejected.get(&step.node)?;
        Some(RejectPort::new(*stage, &plan.nodes[step.node.0 as usize].name, view))
    });
    Step::new(operator, step.node, step.outputs.clone(), rejected, ends)
}

/// The stages that a stage takes rows from by copying: the groups of its inputs.
fn groups(stage: &StageDraft) -> Vec<StageId> {
    let Origin::Copied(points) = &stage.origin else { return Vec::new() };
    let mut groups: Vec<StageId> = Vec::new();
    for point in points {
        if !groups.contains(&point.stage) {
            groups.push(point.stage);
        }
    }
    // Sources are read in the order in which they stand in the file, and of equals the first is awaited.
    groups.sort();
    groups
}

/// Whether rows come into the stage by a join, not from an operator that copies them itself.
fn is_joined(draft: &crate::dataflow::Draft, id: StageId) -> bool {
    let into = |next: &Next| matches!(next, Next::Join(stage, _) if *stage == id);
    let from_step = |step: &StepDraft| {
        step.outputs.iter().any(|(_, target)| matches!(target, Target::Pass(all) if all.iter().any(into)))
    };
    draft.stages.iter().any(|stage| stage.roots.iter().any(into)) || draft.steps.iter().any(from_step)
}

/// The joined stages that take rows of this one, with the number of the group that it is there.
fn joins(groups: &[Vec<StageId>], draft: &crate::dataflow::Draft, id: StageId) -> Vec<(StageId, usize)> {
    let all = groups.iter().enumerate().map(|(number, from)| (StageId(number as u16), from));
    let joined = all.filter(|(stage, _)| is_joined(draft, *stage));
    joined.filter_map(|(stage, from)| Some((stage, from.iter().position(|f| *f == id)?))).collect()
}

fn inlet(id: StageId, stage: &StageDraft, groups: &[StageId], place: &Place<'_>) -> Inlet {
    let Origin::Copied(points) = &stage.origin else { unreachable!("only copied stages are joined") };
    let group_of: Vec<usize> = points
        .iter()
        .map(|point| groups.iter().position(|g| *g == point.stage).unwrap_or_default())
        .collect();
    let same: Vec<(Slot, Slot)> =
        (0..stage.slots.len() as u16).map(|slot| (Slot(slot), Slot(slot))).collect();
    let merge = |inputs: usize| Merge::new(place.order, vec![same.clone(); inputs], !stage.whole.is_empty());
    let onward = match &stage.exchange {
        Some(key) => {
            let incoming = merge(place.mail.workers());
            Onward::Exchange(Outgoing::new(
                id,
                WorkerId(place.me as u16),
                key.clone(),
                place.mail.clone(),
                incoming,
            ))
        }
        None if groups.len() > 1 => Onward::Merge(merge(groups.len()), groups.iter().map(|_| None).collect()),
        None => Onward::Stage,
    };
    Inlet::new(&stage.copies, group_of, onward)
}

/// What rows that wait to come into a stage need to outlive the process.
fn keeper(draft: &crate::dataflow::Draft, id: StageId, stage: &StageDraft) -> MergeKeeper {
    // All inputs fill the same slots, or leave some of them null.
    let whole = stage.copies.iter().find_map(|copies| copies.whole.clone());
    let maps = stage.copies.iter().flat_map(|copies| copies.maps.clone()).collect();
    let mut all = Copies { cells: Vec::new(), whole, maps };
    for cell in stage.copies.iter().flat_map(|copies| &copies.cells) {
        if all.cells.iter().all(|(_, slot)| *slot != cell.1) {
            all.cells.push(*cell);
        }
    }
    // An exchange has one input, and its key is copied with all else.
    let to = |key: &Slot| all.cells.iter().find(|(from, _)| from == key).map(|(_, slot)| *slot);
    let key = stage.exchange.as_ref().map(|key| key.iter().filter_map(to).collect());
    MergeKeeper::new(RowForm::of(draft, id, &all), key, stage.slots.len(), &stage.constants)
}

/// The partitions of every source, opened, by worker.
pub(super) type Partitions = Vec<Vec<Vec<Box<dyn RowSource>>>>;

pub(super) fn open_sources(
    plan: &Plan,
    workers: usize,
    instruments: &dyn Instruments,
) -> Result<Partitions, String> {
    plan.sources
        .iter()
        .map(|source| {
            let mut shares: Vec<Vec<Box<dyn RowSource>>> = (0..workers).map(|_| Vec::new()).collect();
            let name = &plan.nodes[source.node.0 as usize].name;
            let failed = |error| format!("source `{name}`: {error}");
            let found = source.plan.found().map_err(failed)?;
            let source_plan = found.as_deref().unwrap_or(&*source.plan);
            let partitions = source_plan.partitions();
            for number in 0..partitions {
                // Neighbours stay together: rows with equal watermarks then come in the order of their partitions.
                let worker = WorkerId((number * workers / partitions) as u16);
                let decoder = || instruments.decoder(worker, source.node, decoder(plan, source));
                let rows = source_plan.partition(number, &decoder);
                let mut rows = instruments.rows(worker, source.node, rows);
                rows.open().map_err(failed)?;
                shares[worker.0 as usize].push(rows);
            }
            Ok(shares)
        })
        .collect()
}

/// How rows are laid out that wait where inputs of a stage come together, and the node that reads them; None where rows
/// never wait.
pub(super) fn inlet_state(plan: &Plan, stage: StageId) -> Option<(NodeId, String)> {
    let draft = &plan.draft;
    let this = &draft.stages[stage.0 as usize];
    let several = groups(this).len() > 1 || this.exchange.is_some();
    if !several || !is_joined(draft, stage) {
        return None;
    }
    let readers = this.roots.iter().filter_map(|next| match next {
        Next::Step(step) => Some(draft.steps[step.0 as usize].node),
        Next::Join(..) => None,
    });
    let reader = readers.min().or_else(|| plan.unions.get(&stage).copied())?;
    // Rows name their columns themselves, so what is read further down may change.
    let shape = match &this.exchange {
        Some(key) => format!("1 exchange by {} fields", key.len()),
        None => format!("1 union of {}", groups(this).len()),
    };
    Some((reader, shape))
}

/// A decoder of what the plan wants of a source.
pub fn decoder(plan: &Plan, source: &SourceNode) -> Box<dyn crate::formats::Decoder> {
    let wanted =
        source.decoding.map(|id| plan.draft.decodings[id.0 as usize].wanted.clone()).unwrap_or_default();
    let decoder = match (source.plan.gives_records(), source.plan.gives_inputs()) {
        (true, _) => source.format.record_decoder(&wanted),
        (false, true) => source.format.input_decoder(&wanted),
        (false, false) => source.format.decoder(&wanted),
    };
    // Formats that cannot decode are refused when the pipeline is planned.
    decoder.expect("a format that decodes")
}

/// A worker over its share of the partitions.
pub(super) fn worker(
    plan: &Plan,
    sinks: &[SharedSink],
    place: &Place<'_>,
    shares: Vec<Vec<Box<dyn RowSource>>>,
    mailbox: Mailbox,
) -> Worker {
    let driver = driver(plan, sinks, place);
    let alignments = place.alignments.iter().map(|alignment| Some(alignment.as_ref()?.on(place.me)));
    let intakes = plan.sources.iter().zip(shares).zip(alignments).map(|((source, share), alignment)| {
        let tracker = source.timing.tracker(share.len() as u32);
        intake(plan, source, share, tracker).aligned(alignment)
    });
    let intakes = intakes.collect();
    let exchanges: BTreeSet<usize> =
        (0..plan.draft.stages.len()).filter(|i| plan.draft.stages[*i].exchange.is_some()).collect();
    let exchanges = exchanges.into_iter().map(|i| StageId(i as u16)).collect();
    Worker::new(place.me, driver, intakes, exchanges, place.mail.clone(), mailbox, place.ids.clone())
}

/// A source at work on one worker: opened partitions, and what tracks their watermarks.
pub fn intake(
    plan: &Plan,
    source: &SourceNode,
    partitions: Vec<Box<dyn RowSource>>,
    tracker: WatermarkTracker,
) -> Intake {
    let stage = &plan.draft.stages[source.stage.0 as usize];
    let cells = (0..stage.slots.len() as u16).map(|slot| (Slot(slot), Slot(slot))).collect();
    let whole = (!stage.whole.is_empty()).then(|| View { layers: vec![Layer::Raw] });
    let rejected = source.rejected.as_ref().and_then(|view| {
        let stage = plan.rejected.get(&source.node)?;
        Some(RejectPort::new(*stage, &plan.nodes[source.node.0 as usize].name, view))
    });
    Intake::new(IntakeParts {
        node: source.node,
        stage: source.stage,
        times: source.timing.assigner(),
        tracker,
        prepare: source.prepare.clone(),
        rejected,
        copier: Copier::new(&Copies { cells, whole, ..Copies::default() }),
        live: source.plan.is_live(),
        has_steps: plan.draft.steps.iter().any(|step| step.node == source.node && !step.aside),
        partitions,
    })
}
