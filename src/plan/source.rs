//! Planning of sources.

use super::{Plan, Planning, SourceNode};
use crate::clients::registry::RegistryClient;
use crate::config::{Declaration, Faults, PipelineFile, Section, Setting, read};
use crate::dataflow::{
    Binding, FormatPlan, KeyField, Lateness, NodeId, NodePlanner, Origin, Partitioned, Point, Scope,
    SourcePlan, Timing, TimingPlace, USUAL_WITHIN, Upkeep, formats,
};
use crate::event::Slot;
use crate::sources::{LATER, SOURCES};
use crate::time::Millis;
use crate::watermark::Progress;
use std::net::SocketAddr;
use std::sync::Arc;

impl Planning<'_> {
    /// Plans a source: its connector, its format, and the times of its events.
    pub(super) fn source(&mut self, id: NodeId, declaration: &Declaration) {
        let names: Vec<&'static str> = SOURCES.iter().map(|source| source.spec.name).collect();
        let section = declaration.open(names.iter().copied(), LATER, self.faults);
        let setting = section.exactly_one(&names, "connector");
        let Some(setting) = setting else { return };
        let Some(source) = SOURCES.iter().find(|source| source.spec.name == setting.name) else { return };
        self.plan.nodes[id.0 as usize].kind = source.spec.name.to_owned();
        if let Some(format) = section.get("format").filter(|_| !source.decodes) {
            format
                .faults
                .error(format.key, format!("`{}` makes events itself: it has no format", source.spec.name));
            return;
        }
        let format = asking(section.or("format", formats::json(), formats::reader));
        let listened = self.listened(&declaration.name);
        let checkpoint = self.plan.checkpoint.every;
        let mut planner = self.planner(id, None);
        let Some(mut planned) = (source.plan)(&mut planner, setting, &*format) else { return };
        match planned.plan.upkeep() {
            Some(upkeep) => *upkeep = Upkeep::plan(&section),
            None => Upkeep::refuse(&section, source.spec.name),
        }
        if let Some(setting) =
            section.get("format").filter(|_| format.registry().is_some() && !planned.plan.waits_for_schemas())
        {
            let message = format!("`{}` cannot wait for a registry", source.spec.name);
            setting
                .error(message)
                .hint("`kafka` can; elsewhere give `schema`, and `schema_id` if values have a number");
        }
        judge_upkeep(&mut *planned.plan, &section, setting, checkpoint);
        let decoding = match planner.draft.at(planned.stage).origin {
            Origin::Decoded(decoding) => Some(decoding),
            _ => None,
        };
        let live = planned.plan.is_live();
        planner.draft.at(planned.stage).live = live;
        let added = planned.plan.added_fields().into_iter();
        let scope =
            added.fold(Scope::origin(), |scope, (name, slot, ty)| scope.with(name, Binding::Slot(slot, ty)));
        let mut at = Point { stage: planned.stage, behind: None, scope };
        planner.prepare = Some(Vec::new());
        let timing = match section.get("event_time") {
            Some(setting) => Timing::plan(&mut planner, &mut at, setting, TimingPlace::Source { live }),
            None => Some(Timing::ingestion(live)),
        };
        let unique = section.get("id").map(|setting| id_field(&mut planner, &mut at, setting));
        let within = section.optional("id_within", read::positive_duration);
        if let (Some(setting), None) = (section.get("id_within"), &unique) {
            setting.faults.error(setting.key, "`id_within` needs `id`");
        }
        let prepare = planner.prepare.take().unwrap_or_default();
        let Some(timing) = timing else { return };
        self.plan.draft.at(planned.stage).partitioned = partitioned(&timing, &*planned.plan);
        let rejected = listened.iter().find(|listened| listened.port == "rejected");
        let rejected = rejected.map(|by| self.plan.draft.view(planned.stage, &Scope::origin(), &by.by));
        self.plan.sources.push(SourceNode {
            node: id,
            plan: planned.plan,
            format,
            decoding,
            stage: planned.stage,
            timing,
            prepare,
            rejected,
        });
        let unique = unique.flatten().map(|field| (field, within.unwrap_or(USUAL_WITHIN)));
        self.behind_source(id, at, unique, section.or("ordered", false, read::boolean));
    }

    /// Plans what every event of a source goes through before others have it.
    fn behind_source(
        &mut self,
        id: NodeId,
        mut at: Point,
        unique: Option<(KeyField, Millis)>,
        ordered: bool,
    ) {
        let mut planner = self.planner(id, None);
        if let Some((field, within)) = unique {
            at = planner.unique(&at, field, within);
        }
        if ordered {
            at = planner.order(&at, &mut [], Lateness::Leaves);
        }
        let (is_ordered, late) = (planner.is_ordered, planner.late.take());
        if is_ordered && late.is_none() {
            self.note_port(id, "late", None);
        }
        let late = late.map(|late| ("late".to_owned(), late));
        self.leave(id, [(String::new(), at)].into_iter().chain(late).collect());
    }
}

/// What windows need to follow the watermarks of a source's `partition_by`.
fn partitioned(timing: &Timing, source: &dyn SourcePlan) -> Option<Partitioned> {
    let by: Vec<Slot> = timing.partition_by.iter().map(|(_, slot)| *slot).collect();
    let follows_events = matches!(timing.progress, Progress::Events { .. });
    let is_followed = follows_events && source.is_one_partition();
    (!by.is_empty()).then_some(Partitioned { is_followed, by, own: None })
}

/// The format with what it asks while it runs.
pub(super) fn asking(format: Arc<dyn FormatPlan>) -> Arc<dyn FormatPlan> {
    let client = format.registry().map(|options| Arc::new(RegistryClient::new(options.clone())));
    client.and_then(|client| format.asking(client)).unwrap_or(format)
}

/// Finds the field that an event is told from others by, or has it computed.
fn id_field(planner: &mut NodePlanner<'_>, at: &mut Point, setting: Setting<'_>) -> Option<KeyField> {
    let expr = planner.parse(setting)?;
    let ty = planner.type_of(at, setting, &expr)?;
    let slot = planner.slot_of(at, setting, &expr, "id")?;
    Some(KeyField { name: expr.to_string(), slot, ty })
}

/// Reports what does not go together, and what will be slow.
fn judge_upkeep(
    source: &mut dyn SourcePlan,
    section: &Section<'_>,
    connector: Setting<'_>,
    checkpoint: Millis,
) {
    let setting = section.get("durable").unwrap_or(connector);
    if let Some((message, hint)) = source.misfit() {
        setting.faults.error(setting.key, message).hint(hint);
    }
    let Some(under_way) = source.under_way() else { return };
    let Some(upkeep) = source.upkeep() else { return };
    if let Some(message) = upkeep.durable.slowness(under_way, checkpoint) {
        setting.faults.warning(setting.key, message).hint("`durable: journal` acknowledges at once");
    }
}

impl Plan {
    /// The sources that others connect to, and where they listen.
    pub fn listeners(&self) -> impl Iterator<Item = (NodeId, SocketAddr)> {
        self.sources.iter().filter_map(|source| Some((source.node, source.plan.listens()?)))
    }
}

/// Whether only one of them can be listened on. Port 0 is another one each time.
pub fn is_one_address(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// Of two sources that listen on one address the second would wait for ever.
pub(super) fn refuse_same_listeners(plan: &Plan, file: &PipelineFile, faults: &Faults) {
    let listeners: Vec<(NodeId, SocketAddr)> = plan.listeners().collect();
    for (number, &(id, address)) in listeners.iter().enumerate() {
        let is_same = |(_, other): &&(NodeId, SocketAddr)| is_one_address(*other, address);
        let Some((other, _)) = listeners[..number].iter().find(is_same) else { continue };
        let [node, other] = [id, *other].map(|id| &file.nodes[id.0 as usize]);
        let message = format!("{} listens on {address}, where `{}` does", node.what(), other.name);
        faults.error(node.place, message).hint("give each source a port of its own");
    }
}
