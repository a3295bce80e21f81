//! Who reads from whom: names resolved, cycles found, nodes put in the order in which they can be planned.

use crate::config::{Declaration, Faults, Input, PipelineFile, Place, Role};
use crate::dataflow::Listened;
use crate::event::nearest;
use std::collections::BTreeMap;

/// The ports of nodes that somebody reads, and the order of planning.
pub struct Connections {
    /// Positions in [`PipelineFile::nodes`]: every node behind all that it reads from.
    pub order: Vec<usize>,
    /// By node name: the ports that are read.
    pub listened: BTreeMap<String, Vec<Listened>>,
}

/// Resolves all `from`s. `taps` are further outputs that are read: node, and port or the empty name.
pub fn connect(file: &PipelineFile, taps: &[(String, String)], faults: &Faults) -> Connections {
    let mut listened: BTreeMap<String, Vec<Listened>> = BTreeMap::new();
    let mut listen = |node: &str, port: &str, by: String| {
        let ports = listened.entry(node.to_owned()).or_default();
        if !ports.iter().any(|p| p.port == port) {
            ports.push(Listened { port: port.to_owned(), by });
        }
    };
    for node in &file.nodes {
        for input in node.inputs_and_asked().filter(|input| is_source_of(file, input, faults)) {
            let by = format!("{}: {} reads `{input}`", line(faults, input.place), node.what());
            listen(&input.name, input.port.as_deref().unwrap_or_default(), by);
        }
    }
    taps.iter().for_each(|(node, port)| listen(node, port, format!("a test looks at `{node}`")));
    let order = order(file, faults);
    // Where a name is wrong, the node that was meant only seems unread.
    let unread =
        file.nodes.iter().filter(|node| node.role != Role::Sink && !listened.contains_key(&node.name));
    for node in unread.filter(|_| !faults.has_errors()) {
        faults.warning(node.place, format!("nothing reads from {}", node.what()));
    }
    Connections { order, listened }
}

/// `file:line` of a place.
pub fn line(faults: &Faults, place: Place) -> String {
    format!("{}:{}", faults.file().name(), faults.file().mark(place.start).line)
}

/// Whether the input is a node that can be read from; reports what it is instead.
fn is_source_of(file: &PipelineFile, input: &Input, faults: &Faults) -> bool {
    match file.node(&input.name) {
        Some(node) if node.role != Role::Sink || input.port.is_some() => true,
        Some(node) => {
            let reported = faults.error(input.place, format!("{} cannot be read from", node.what()));
            reported.hint("read from what the sink reads from, or from one of its ports: `.rejected`");
            false
        }
        None => {
            let nodes = file.nodes.iter().filter(|node| node.role != Role::Sink);
            let names = nodes.map(|node| node.name.as_str());
            let message = format!("there is no node `{}`", input.name);
            if input.port.is_some() && nearest(&input.name, names.clone()).is_none() {
                let reported = faults.error(input.place, message);
                reported.hint("nodes of another pipeline, as `pipeline.node`, are not in this version");
            } else {
                faults.unknown(input.place, message, &input.name, names);
            }
            false
        }
    }
}

/// Depth first: a node comes behind all that it reads from. Nodes on a cycle are reported once and left out.
fn order(file: &PipelineFile, faults: &Faults) -> Vec<usize> {
    let mut search =
        Search { file, faults, state: vec![State::New; file.nodes.len()], order: Vec::new(), path: vec![] };
    for position in 0..file.nodes.len() {
        search.visit(position);
    }
    search.order
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
    Broken,
}

struct Search<'a> {
    file: &'a PipelineFile,
    faults: &'a Faults,
    state: Vec<State>,
    order: Vec<usize>,
    path: Vec<usize>,
}

impl Search<'_> {
    /// Whether the node can be planned.
    fn visit(&mut self, position: usize) -> bool {
        match self.state[position] {
            State::Done => return true,
            State::Broken => return false,
            State::Open => {
                self.report_cycle(position);
                return false;
            }
            State::New => self.state[position] = State::Open,
        }
        self.path.push(position);
        let mut good = true;
        for input in self.file.nodes[position].inputs_and_asked() {
            // A name that leads nowhere was reported; the node is planned all the same, so that its own faults are found.
            let named = |node: &Declaration| {
                node.name == input.name && (node.role != Role::Sink || input.port.is_some())
            };
            if let Some(next) = self.file.nodes.iter().position(named) {
                good &= self.visit(next);
            }
        }
        self.path.pop();
        self.state[position] = if good { State::Done } else { State::Broken };
        if good {
            self.order.push(position);
        }
        good
    }

    fn report_cycle(&self, position: usize) {
        let start = self.path.iter().position(|p| *p == position).unwrap_or_default();
        let nodes: Vec<&Declaration> = self.path[start..].iter().map(|p| &self.file.nodes[*p]).collect();
        let mut names: Vec<&str> = nodes.iter().rev().map(|node| node.name.as_str()).collect();
        names.extend(names.first().copied());
        let message = format!("nodes read from each other in a circle: {}", names.join(" -> "));
        self.faults.error(nodes[0].place, message);
    }
}
