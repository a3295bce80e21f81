//! From a document to a plan: pure data, nothing opened, nothing spawned.
//!
//! Nodes are planned in the order in which events flow. Each attaches steps to the [`Draft`] at the points where its
//! inputs are, and leaves points behind its ports. What a node never asks for is never decoded.

mod connect;
mod delivery;
mod explain;
mod graph;
mod plugins;
mod sink;
mod source;
mod table;
mod transform;
mod window;
mod words;

use crate::config::{
    Checkpointing, Declaration, Delivery, Faults, Param, ParamValue, PipelineFile, Role, Secrets,
};
use crate::dataflow::plugin::{Plugin, Plugins};
use crate::dataflow::{
    Buffer, DecodingId, Draft, FormatPlan, Instance, Listened, NodeId, NodePlanner, Origin, Point, Port,
    Retry, Scope, SinkId, SinkPlan, SourcePlan, StageId, StepId, Timing,
};
use crate::event::{Slot, View};
use crate::expr::{Functions, Literal, Type};
use crate::lua::Usage;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub use explain::Explanation;
pub use graph::Graph;
pub use source::is_one_address;
pub use words::shown;

/// A pipeline, planned.
#[derive(Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How many workers share its keys.
    pub parallelism: usize,
    /// What shall hold for every event; what does hold at a sink is said there.
    pub delivery: Delivery,
    /// How checkpoints are taken.
    pub checkpoint: Checkpointing,
    /// Its nodes; a [`NodeId`] is a position here.
    pub nodes: Vec<PlannedNode>,
    /// Stages and steps.
    pub draft: Draft,
    /// Its sources.
    pub sources: Vec<SourceNode>,
    /// Its sinks; a [`crate::dataflow::SinkId`] is a position here.
    pub sinks: Vec<SinkNode>,
    /// Texts that no message may show.
    pub secrets: Secrets,
    /// The stages behind the `.rejected` ports that are read.
    pub rejected: BTreeMap<NodeId, StageId>,
    /// The sinks of the taps that were asked for, by their names.
    pub taps: Vec<(String, SinkId)>,
    /// The stages in which several inputs come together, and the nodes that read them.
    pub unions: BTreeMap<StageId, NodeId>,
    /// The scripts that were read for what they register.
    pub plugins: Vec<Arc<Plugin>>,
    /// What its scripts use, by their names.
    pub usages: Vec<(String, Arc<Usage>)>,
}

/// A node of a plan.
#[derive(Clone, Debug)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it was called before.
    pub was: Vec<String>,
    /// What it does in a few words: `kafka`, `tumbling`, `where, select`.
    pub kind: String,
    /// What it reads from, as written.
    pub from: Vec<String>,
    /// The names of the ports it can be read or tapped at, sorted; the main one is the empty name.
    pub taps: Vec<String>,
    /// Its ways out, but for `.rejected`, which every node has.
    pub ports: Vec<PlannedPort>,
}

/// A way out of a node.
#[derive(Clone, Debug)]
pub struct PlannedPort {
    /// Its name; the main one has the empty name.
    pub name: String,
    /// Whether somebody reads it.
    pub is_read: bool,
    /// The stage whose rows leave by it; none where nobody reads it and so nothing was planned.
    pub stage: Option<StageId>,
    /// The step and port that it stands behind; none directly behind the stage's origin.
    pub behind: Option<(StepId, Port)>,
    /// What of events is at hand there, for those who look on.
    pub view: Option<View>,
}

/// A source of a plan.
#[derive(Debug)]
pub struct SourceNode {
    /// The node.
    pub node: NodeId,
    /// What it reads.
    pub plan: Box<dyn SourcePlan>,
    /// How bytes are decoded.
    pub format: Arc<dyn FormatPlan>,
    /// Its decoder, if it gives bytes.
    pub decoding: Option<DecodingId>,
    /// The stage that its rows go to.
    pub stage: StageId,
    /// Where times come from and how watermarks move.
    pub timing: Timing,
    /// What is computed for the event time before anything else, as the only use of those programs.
    pub prepare: Vec<(Slot, crate::expr::Program)>,
    /// How an event looks that is rejected for its time, if the port is read.
    pub rejected: Option<View>,
}

/// A sink of a plan.
#[derive(Debug)]
pub struct SinkNode {
    /// The node.
    pub node: NodeId,
    /// Where it writes.
    pub plan: Box<dyn SinkPlan>,
    /// How events are written.
    pub format: Arc<dyn FormatPlan>,
    /// Bytes before the first event.
    pub preamble: Vec<u8>,
    /// How it delivers.
    pub delivery: Delivery,
    /// How output waits while its target takes none.
    pub buffer: Buffer,
    /// How the target is tried again meanwhile.
    pub retry: Retry,
}

/// What a pipeline is planned for.
pub struct Surroundings<'a> {
    /// The folder that relative input paths start at.
    pub folder: &'a Path,
    /// Further outputs to read, as `node` or `node.port`: those that tests look at. The name of a sink stands for what
    /// it receives. Each that is there becomes a sink, see [`Plan::taps`].
    pub taps: &'a [String],
    /// Who runs it.
    pub instance: &'a Instance,
}

/// What a test says that a table holds.
#[derive(Clone, Debug)]
pub struct Stated {
    /// The name of the table.
    pub table: String,
    /// Its rows, as lines of JSON.
    pub rows: Vec<u8>,
}

/// Plans a pipeline. None if something was reported as an error.
pub fn plan(file: &PipelineFile, surroundings: &Surroundings<'_>, faults: &Faults) -> Option<Plan> {
    plan_stating(file, surroundings, &[], faults)
}

/// The same with tables that hold what is stated, in the place of what they are read from.
pub fn plan_stating(
    file: &PipelineFile,
    surroundings: &Surroundings<'_>,
    tables: &[Stated],
    faults: &Faults,
) -> Option<Plan> {
    let split = |tap: &String| match tap.split_once('.') {
        Some((node, port)) => (node.to_owned(), port.to_owned()),
        None => (tap.clone(), String::new()),
    };
    let taps: Vec<(String, String)> = surroundings.taps.iter().map(split).collect();
    let connections = connect::connect(file, &taps, faults);
    let mut planning = Planning::new(file, surroundings, faults, &connections);
    planning.plugins();
    planning.tables(tables);
    for &position in &connections.order {
        planning.node(position);
    }
    for (node, port) in &taps {
        planning.tap(node, port);
    }
    planning.ask_sources();
    planning.look_on();
    planning.judge_tables();
    source::refuse_same_listeners(&planning.plan, file, faults);
    sink::refuse_same_targets(&planning.plan, file, faults);
    delivery::tell_inexact(&planning.plan, file, faults);
    planning.plan.plugins = planning.plugins.all();
    planning.plan.usages = planning.plugins.usages();
    (!faults.has_errors()).then_some(planning.plan)
}

/// A plan in the making, and what it is made with.
struct Planning<'a> {
    plan: Plan,
    file: &'a PipelineFile,
    folder: &'a Path,
    instance: &'a Instance,
    faults: &'a Faults,
    functions: Functions,
    plugins: Plugins,
    params: Params,
    connections: &'a connect::Connections,
    /// By node and port: where what leaves there is at hand.
    points: BTreeMap<(String, String), Point>,
    /// Tables that could not be planned, which was reported.
    missing_tables: BTreeSet<String>,
    /// The keys of tables that nodes fill.
    temporal: BTreeMap<String, Vec<String>>,
}

/// The pipeline's parameters as constants of expressions.
pub type Params = BTreeMap<String, Literal>;

fn literals(params: &[Param]) -> Params {
    let literal = |value: &ParamValue| match value {
        ParamValue::Bool(value) => Literal::Bool(*value),
        ParamValue::Int(value) => Literal::Int(*value),
        ParamValue::Float(value) => Literal::Float(*value),
        ParamValue::Text(text) => Literal::Text(text.clone()),
    };
    params.iter().map(|param| (param.name.clone(), literal(&param.value))).collect()
}

/// The fields of a rejected event and their types, in the order of their slots.
const REJECTED: [(&str, Type); 6] = [
    ("reason", Type::TEXT),
    ("kind", Type::TEXT),
    ("node", Type::TEXT),
    ("at", Type::TIMESTAMP),
    ("event", Type::JSON),
    ("raw", Type::TEXT.or(Type::BYTES)),
];

impl<'a> Planning<'a> {
    fn new(
        file: &'a PipelineFile,
        surroundings: &Surroundings<'a>,
        faults: &'a Faults,
        connections: &'a connect::Connections,
    ) -> Planning<'a> {
        let nodes = file.nodes.iter().map(|node| PlannedNode {
            name: node.name.clone(),
            role: node.role,
            was: node.was.iter().map(|(name, _)| name.clone()).collect(),
            kind: String::new(),
            from: node.inputs_and_asked().map(ToString::to_string).collect(),
            taps: Vec::new(),
            ports: Vec::new(),
        });
        let plan = Plan {
            name: file.name.clone(),
            description: file.description.clone(),
            parallelism: file.options.parallelism,
            delivery: file.options.delivery,
            checkpoint: file.options.checkpoint,
            nodes: nodes.collect(),
            draft: Draft::default(),
            sources: Vec::new(),
            sinks: Vec::new(),
            secrets: faults.secrets().clone(),
            rejected: BTreeMap::new(),
            taps: Vec::new(),
            unions: BTreeMap::new(),
            plugins: Vec::new(),
            usages: Vec::new(),
        };
        Planning {
            plan,
            file,
            folder: surroundings.folder,
            instance: surroundings.instance,
            faults,
            functions: Functions::standard(),
            plugins: Plugins::default(),
            params: literals(&file.params),
            connections,
            points: BTreeMap::new(),
            missing_tables: BTreeSet::new(),
            temporal: BTreeMap::new(),
        }
    }

    fn node(&mut self, position: usize) {
        let declaration = &self.file.nodes[position];
        let id = NodeId(position as u16);
        self.open_rejected(id);
        match declaration.role {
            Role::Source => self.source(id, declaration),
            Role::Transform => self.transform(id, declaration),
            Role::Window => self.window(id, declaration),
            Role::Sink => self.sink(id, declaration),
            Role::Format | Role::Table => {}
        }
        self.settle_rejected(id, &declaration.from);
    }

    /// The stage behind the `.rejected` port, if somebody reads it.
    fn open_rejected(&mut self, id: NodeId) {
        let name = self.file.nodes[id.0 as usize].name.clone();
        if !self.listened(&name).iter().any(|listened| listened.port == "rejected") {
            return;
        }
        let fields = REJECTED.iter().enumerate();
        let fields = fields.map(|(i, (name, ty))| ((*name).to_owned(), Slot(i as u16), *ty)).collect();
        let stage = self.plan.draft.stage(Origin::Made { fields, whole: true });
        self.plan.rejected.insert(id, stage);
        let point = Point { stage, behind: None, scope: Scope::origin() };
        self.points.insert((name, "rejected".to_owned()), point);
    }

    /// Tells sources what was asked of where their events come from, and of their watermarks.
    fn ask_sources(&mut self) {
        for source in &mut self.plan.sources {
            let stage = &self.plan.draft.stages[source.stage.0 as usize];
            source.plan.provide(stage.provided.values().cloned().collect());
            source.timing.own = stage.partitioned.as_ref().and_then(|partitioned| partitioned.own);
        }
    }

    /// Notes how events look at nodes' ways out, now that it is known what is read.
    fn look_on(&mut self) {
        for node in &mut self.plan.nodes {
            for port in &mut node.ports {
                let point = self.points.get(&(node.name.clone(), port.name.clone()));
                port.view = point.map(|point| self.plan.draft.present(point.stage, &point.scope));
            }
        }
    }

    /// Notes whether what comes out of the `.rejected` port ends, as what goes into the node does.
    fn settle_rejected(&mut self, id: NodeId, inputs: &[crate::config::Input]) {
        let Some(&stage) = self.plan.rejected.get(&id) else { return };
        let source = self.plan.sources.iter().find(|source| source.node == id);
        let live = source.is_some_and(|source| source.plan.is_live())
            || inputs.iter().any(|input| {
                let port = input.port.clone().unwrap_or_default();
                let point = self.points.get(&(input.name.clone(), port));
                point.is_some_and(|point| self.plan.draft.stages[point.stage.0 as usize].live)
            });
        self.plan.draft.at(stage).live = live;
    }

    fn listened(&self, name: &str) -> &'a [Listened] {
        self.connections.listened.get(name).map_or(&[], Vec::as_slice)
    }

    /// What a node's planner works with.
    fn planner(&mut self, id: NodeId, entry: Option<Point>) -> NodePlanner<'_> {
        self.planner_of(&self.file.nodes[id.0 as usize], id, entry)
    }

    /// The same of a declaration, for tables too, which are no nodes.
    fn planner_of(
        &mut self,
        declaration: &'a Declaration,
        id: NodeId,
        entry: Option<Point>,
    ) -> NodePlanner<'_> {
        let Declaration { name, was, .. } = declaration;
        NodePlanner {
            listened: self.connections.listened.get(name).map_or(&[], Vec::as_slice),
            draft: &mut self.plan.draft,
            faults: self.faults,
            functions: &self.functions,
            plugins: &self.plugins,
            params: &self.params,
            folder: self.folder,
            pipeline: &self.file.name,
            instance: self.instance,
            parallel: self.plan.parallelism > 1,
            workers: self.plan.parallelism,
            ordered: None,
            is_ordered: false,
            gathered: None,
            late: None,
            node: id,
            name,
            is_renamed: !was.is_empty(),
            prepare: None,
            ttl: self.file.options.state_ttl,
            takes_ttl: false,
            sides: Vec::new(),
            entry,
            missing_tables: &self.missing_tables,
            temporal: &self.temporal,
        }
    }

    /// Notes where what leaves by a node's ports is, and reports ports that are read and are not there.
    fn leave(&mut self, id: NodeId, ports: Vec<(String, Point)>) {
        let name = self.file.nodes[id.0 as usize].name.clone();
        for (port, point) in ports {
            self.note_port(id, &port, Some(&point));
            self.points.insert((name.clone(), port), point);
        }
        let there: Vec<String> = self.ports(&name);
        self.plan.nodes[id.0 as usize].taps.clone_from(&there);
        for reader in &self.file.nodes {
            for input in reader.inputs_and_asked().filter(|input| input.name == name) {
                let port = input.port.as_deref().unwrap_or_default();
                if !there.iter().any(|p| p == port) {
                    self.report_port(&name, port, input, &there);
                }
            }
        }
    }

    /// Notes a way out of a node for those who look at the plan.
    fn note_port(&mut self, id: NodeId, port: &str, at: Option<&Point>) {
        let node = &self.plan.nodes[id.0 as usize];
        let is_read = self.listened(&node.name).iter().any(|listened| listened.port == port);
        let (stage, behind) = (at.map(|point| point.stage), at.and_then(|point| point.behind));
        let port = PlannedPort { name: port.to_owned(), is_read, stage, behind, view: None };
        self.plan.nodes[id.0 as usize].ports.push(port);
    }

    fn ports(&self, name: &str) -> Vec<String> {
        let mut ports: Vec<String> =
            self.points.keys().filter(|(node, _)| node == name).map(|(_, port)| port.clone()).collect();
        ports.push("rejected".to_owned());
        ports.sort();
        ports.dedup();
        ports
    }

    fn report_port(&self, name: &str, port: &str, input: &crate::config::Input, there: &[String]) {
        let named: Vec<&str> = there.iter().map(String::as_str).filter(|port| !port.is_empty()).collect();
        if port.is_empty() {
            let listed: Vec<String> = named.iter().map(|port| format!("`{name}.{port}`")).collect();
            let reported = self.faults.error(input.place, format!("nothing leaves `{name}` without a port"));
            reported.hint(format!("read from one of {}", listed.join(", ")));
        } else {
            let message = format!("`{name}` has no port `{port}`");
            self.faults.unknown(input.place, message, port, named);
        }
    }

    /// The point where all that a node reads from is at hand. In place of an input that could not be planned, which was
    /// reported, there is one with any fields, so that further faults are found and none that only follow from it.
    fn entry(&mut self, id: NodeId, inputs: &[crate::config::Input]) -> Option<Point> {
        let mut points: Vec<Point> = Vec::new();
        for input in inputs {
            let port = input.port.clone().unwrap_or_default();
            let found = self.points.get(&(input.name.clone(), port)).cloned();
            points.push(found.unwrap_or_else(|| self.anything()));
        }
        if points.len() <= 1 {
            return points.pop();
        }
        let stage = self.plan.draft.join(points);
        self.plan.unions.insert(stage, id);
        Some(Point { stage, behind: None, scope: Scope::origin() })
    }

    /// The two sides of a join, each as far as [`Planning::entry`] finds it.
    fn sides(&mut self, id: NodeId, inputs: &[crate::config::Input]) -> Vec<(String, Point)> {
        let side = |input: &crate::config::Input| {
            Some((input.name.clone(), self.entry(id, std::slice::from_ref(input))?))
        };
        inputs.iter().filter_map(side).collect()
    }

    /// A point with any fields.
    fn anything(&mut self) -> Point {
        let decoding = self.plan.draft.decoding(None);
        let stage = self.plan.draft.stage(Origin::Decoded(decoding));
        Point { stage, behind: None, scope: Scope::origin() }
    }
}
