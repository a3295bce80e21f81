//! Which state on disk belongs to which part of a plan.

use crate::dataflow::{self, NodeId, StageId};
use crate::plan::{Plan, PlannedNode};
use crate::state::{self, Node, Progress, ShapeHash, StateBackend, StateError};
use xxhash_rust::xxh3::xxh3_64;

/// What the names of ways between workers begin with, where rows wait.
const WAY: &str = "exchange:";

/// The numbers under which the parts of a plan keep their state.
#[derive(Debug, Default)]
pub struct StateIds {
    /// By step; None where it keeps nothing.
    pub steps: Vec<Option<state::NodeId>>,
    /// By stage: rows that wait where inputs come together.
    pub inlets: Vec<Option<state::NodeId>>,
    /// By source: its positions, and what its watermarks need.
    pub sources: Vec<state::NodeId>,
    /// By sink.
    pub sinks: Vec<state::NodeId>,
    /// Numbers that are given for the first time, and those that have another name now.
    pub new: Vec<Node>,
    /// Nodes that go on with what was kept under another name: that one, and the node's.
    pub renamed: Vec<(String, String)>,
    /// State of nodes that the plan no longer has, or has in another shape, to be dropped.
    pub dropped: Vec<Node>,
}

impl StateIds {
    /// Whose the nth part of what is read is: sources come first, then what targets of sinks refuse.
    pub fn input(&self, number: usize) -> state::NodeId {
        number.checked_sub(self.sources.len()).map_or_else(|| self.sources[number], |sink| self.sinks[sink])
    }

    /// Nodes that go on with what was kept under another name: that one, and the node's; each once.
    pub fn all_renamed(&self) -> Vec<(&str, &str)> {
        let mut renamed: Vec<_> =
            self.renamed.iter().map(|(was, name)| (was.as_str(), name.as_str())).collect();
        renamed.sort_unstable();
        renamed.dedup();
        renamed
    }

    /// Whether the next checkpoint must say something of nodes, even if nothing else has changed.
    pub fn are_news(&self) -> bool {
        !self.dropped.is_empty() || !self.renamed.is_empty()
    }

    /// Nodes whose state is dropped, as somebody allowed.
    pub fn given_up(&self) -> Vec<&str> {
        let allowed = self.dropped.iter().filter(|node| !node.name.starts_with(WAY));
        let mut names: Vec<&str> = allowed.map(|node| bare(&node.name)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The error with names instead of numbers.
    pub fn named(&self, mut error: StateError, backend: &StateBackend) -> StateError {
        if let StateError::ValueTooLarge { key, known_as, .. } = &mut error {
            let nodes = self.new.iter().chain(backend.progress().nodes.values());
            let node = nodes.filter(|node| node.id == key.node()).map(|node| bare(&node.name)).next();
            *known_as = node.map(|node| (node.to_owned(), dataflow::key_text(key.key())));
        }
        error
    }
}

/// Gives every part of the plan the state that it had, by name and shape, or a new number. State of a name that a node had
/// before (`was`) goes on under the one that it has.
///
/// # Errors
/// There is state of a node that is gone or has another shape, and nobody said that it may be dropped: that of
/// `may_drop`, by name. All such nodes are named.
pub fn match_nodes(plan: &Plan, backend: &StateBackend, may_drop: &[String]) -> Result<StateIds, String> {
    let Matching { known, mut ids, .. } = Matching::of(plan, backend);
    let stale = backend.stale_nodes(&known).into_iter();
    let (left, empty): (Vec<_>, Vec<_>) = stale.partition(|node| keeps_something(backend, node));
    ids.dropped.extend(empty.into_iter().filter(|node| node.name.starts_with(WAY)));
    let mut refused = Vec::new();
    for node in left {
        match may_drop.iter().any(|name| name == bare(&node.name)) {
            true => ids.dropped.push(node),
            false => refused.push(refusal(plan, &node, &ids)),
        }
    }
    if refused.is_empty() { Ok(ids) } else { Err(refused.join("; ")) }
}

/// The same to look at the state of one node only.
///
/// # Errors
/// There is state of that node, laid out otherwise than the plan says.
pub fn match_node(plan: &Plan, backend: &StateBackend, node: NodeId) -> Result<StateIds, String> {
    let Matching { known, ids, .. } = Matching::of(plan, backend);
    let name = &plan.nodes[node.0 as usize].name;
    let other = |stale: &Node| {
        !stale.name.contains(':') && bare(&stale.name) == name && keeps_something(backend, stale)
    };
    match backend.stale_nodes(&known).iter().any(other) {
        true => {
            Err(format!("the state of `{name}` is of a node that is laid out otherwise than in this file"))
        }
        false => Ok(ids),
    }
}

/// Whether rows wait on a way between workers that the plan does not have: an earlier run had several workers. Such rows
/// can go on in a plan with these ways alone, though one worker may be on both ends of them.
pub fn waits_between_workers(plan: &Plan, backend: &StateBackend) -> bool {
    let mut stale = backend.stale_nodes(&Matching::of(plan, backend).known).into_iter();
    stale.any(|node| node.name.starts_with(WAY) && keeps_something(backend, &node))
}

/// The name of the node in the pipeline that a state's name begins with.
fn bare(name: &str) -> &str {
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    name.split_once('/').map_or(name, |(name, _)| name)
}

fn refusal(plan: &Plan, node: &Node, ids: &StateIds) -> String {
    let name = bare(&node.name);
    let heir = plan.nodes.iter().find(|heir| heir.was.iter().any(|was| was == name));
    let what = match heir {
        _ if ids.new.iter().any(|new| new.name == node.name) => {
            "is laid out differently now, so that its state cannot be read".to_owned()
        }
        None => "is no longer in the pipeline, and there is state of it".to_owned(),
        Some(heir) => format!(
            "is `{}` now, which keeps state of its own or is laid out differently, so that the state of `{name}` cannot go to \
             it",
            heir.name
        ),
    };
    format!(
        "node `{name}` {what}: bring it back as it was, or give up its state by `--allow-dropped-state {name}`"
    )
}

/// Whether anything would be lost with a node's number.
fn keeps_something(backend: &StateBackend, node: &Node) -> bool {
    let Progress { sources, .. } = backend.progress();
    let unread = backend.unread_frames().any(|(source, ..)| source == node.id);
    if node.name.starts_with("sink:") {
        return unread || backend.undelivered(node.id).next().is_some();
    }
    if node.name.starts_with("source:") {
        return unread || sources.keys().any(|(source, _)| *source == node.id);
    }
    let is_way = node.name.starts_with(WAY);
    // On a way between workers only rows have keys; how far workers have come ends with them.
    let any = backend.keyed().any(node.id, |key| !is_way || !dataflow::is_own(key));
    // What cannot be read may be something.
    any.unwrap_or(true)
}

struct Matching<'a> {
    backend: &'a StateBackend,
    known: Vec<state::NodeId>,
    ids: StateIds,
}

impl<'a> Matching<'a> {
    fn of(plan: &Plan, backend: &'a StateBackend) -> Matching<'a> {
        let mut matching = Matching { backend, known: Vec::new(), ids: StateIds::default() };
        matching.match_all(plan);
        matching
    }

    fn match_all(&mut self, plan: &Plan) {
        let node = |id: NodeId| &plan.nodes[id.0 as usize];
        for source in &plan.sources {
            let node = node(source.node);
            let id = self.id(node, &|name| format!("source:{name}"), &node.kind);
            self.ids.sources.push(id);
        }
        for sink in &plan.sinks {
            let node = node(sink.node);
            let layout = std::iter::once(node.kind.as_str()).chain(sink.plan.layout());
            let shape: Vec<&str> = layout.collect();
            let id = self.id(node, &|name| format!("sink:{name}"), &shape.join("\n"));
            self.ids.sinks.push(id);
        }
        let mut counts = vec![0; plan.nodes.len()];
        for step in &plan.draft.steps {
            let id = step.plan.state().map(|shape| {
                let count = &mut counts[step.node.0 as usize];
                *count += 1;
                self.id(node(step.node), &|name| numbered(name, *count), &shape)
            });
            self.ids.steps.push(id);
        }
        let mut counts = vec![0; plan.nodes.len()];
        for number in 0..plan.draft.stages.len() {
            let stage = StageId(number as u16);
            let id = super::super::start::inlet_state(plan, stage).map(|(reader, shape)| {
                let count = &mut counts[reader.0 as usize];
                *count += 1;
                let is_way = plan.draft.stages[number].exchange.is_some();
                let kind = if is_way { WAY } else { "into:" };
                self.id(node(reader), &|name| format!("{kind}{}", numbered(name, *count)), &shape)
            });
            self.ids.inlets.push(id);
        }
    }

    /// The number of a part of a node, whose name is made of the node's, with state that is laid out like that.
    fn id(&mut self, node: &PlannedNode, named: &dyn Fn(&str) -> String, shape: &str) -> state::NodeId {
        let (name, shape) = (named(&node.name), ShapeHash(xxh3_64(shape.as_bytes())));
        let id = self.backend.node(&name, shape).unwrap_or_else(|| {
            let renamed = |was: &String| self.backend.renamed(&named(was), &name, shape);
            let former = node.was.iter().find_map(|was| Some((was, renamed(was)?)));
            let unused = state::NodeId(self.backend.unused_node().0 + self.ids.new.len() as u32);
            let known = former.map(|(was, known)| {
                self.ids.renamed.push((was.clone(), node.name.clone()));
                known
            });
            let new = known.unwrap_or(Node { id: unused, name, shape });
            let id = new.id;
            self.ids.new.push(new);
            id
        });
        self.known.push(id);
        id
    }
}

/// The name of the nth state of a node.
fn numbered(name: &str, count: usize) -> String {
    if count == 1 { name.to_owned() } else { format!("{name}/{count}") }
}
