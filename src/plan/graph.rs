//! The topology of a pipeline: its nodes and who reads from whom, in several notations.

mod canvas;
mod dot;
mod drawing;
pub mod layout;
mod mermaid;
mod order;
mod outline;
mod svg;

use super::Plan;
use super::words::shown;
use crate::config::{Role, Secrets};
use layout::{Edge, Net};
use serde_json::{Value, json};

/// Nodes and edges.
#[derive(Clone, Debug)]
pub struct Graph {
    pipeline: String,
    description: Option<String>,
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
}

#[derive(Clone, Debug)]
struct GraphNode {
    name: String,
    kind: String,
    role: Role,
    /// The ports that are read, the main one (with the empty name) first, the others by name.
    ports: Vec<String>,
}

/// A node reads a port of another.
#[derive(Clone, Debug)]
struct GraphEdge {
    from: usize,
    /// The position among the ports of `from`.
    port: usize,
    to: usize,
}

impl Graph {
    /// The graph of a plan; none of the secrets is shown.
    pub fn of(plan: &Plan, secrets: &Secrets) -> Graph {
        let nodes = plan.nodes.iter().map(|node| GraphNode {
            name: node.name.clone(),
            kind: node.kind.clone(),
            role: node.role,
            ports: Vec::new(),
        });
        let mut graph = Graph {
            pipeline: plan.name.clone(),
            description: plan.description.as_deref().map(|text| shown(text, secrets)),
            nodes: nodes.collect(),
            edges: Vec::new(),
        };
        let inputs = plan.nodes.iter().enumerate();
        let inputs = inputs.flat_map(|(to, node)| node.from.iter().map(move |from| (from.as_str(), to)));
        let inputs: Vec<(usize, &str, usize)> = inputs
            .filter_map(|(from, to)| {
                let (name, port) = from.split_once('.').unwrap_or((from, ""));
                Some((graph.nodes.iter().position(|node| node.name == name)?, port, to))
            })
            .collect();
        for (from, port, _) in &inputs {
            let ports = &mut graph.nodes[*from].ports;
            if let Err(position) = ports.binary_search_by(|known| known.as_str().cmp(port)) {
                ports.insert(position, (*port).to_owned());
            }
        }
        let port_of =
            |from: usize, port: &str| graph.nodes[from].ports.iter().position(|known| known == port);
        let edges = inputs.iter().filter_map(|(from, port, to)| {
            Some(GraphEdge { from: *from, port: port_of(*from, port)?, to: *to })
        });
        graph.edges = edges.collect();
        graph
    }

    /// As programs read it.
    pub fn to_json(&self) -> Value {
        let node =
            |node: &GraphNode| json!({ "name": node.name, "kind": node.kind, "role": node.role.noun() });
        let edge = |edge: &GraphEdge| {
            let port = Some(self.port(edge)).filter(|port| !port.is_empty());
            json!({ "from": self.nodes[edge.from].name, "port": port, "to": self.nodes[edge.to].name })
        };
        json!({
            "pipeline": self.pipeline,
            "description": self.description,
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
            "edges": self.edges.iter().map(edge).collect::<Vec<_>>(),
        })
    }

    /// As text at most so many columns wide: boxes and lines where they fit, else an outline. With escape sequences of a
    /// terminal if `color`.
    pub fn to_text(&self, columns: usize, color: bool) -> String {
        drawing::draw(self, columns, color).unwrap_or_else(|| outline::outline(self))
    }

    /// The port that an edge leaves by; the main one has the empty name.
    fn port(&self, edge: &GraphEdge) -> &str {
        &self.nodes[edge.from].ports[edge.port]
    }

    /// The edges as the layout wants them.
    fn layout_edges(&self) -> Vec<Edge> {
        let edge = |edge: &GraphEdge| (Net { node: edge.from, port: edge.port }, edge.to);
        self.edges.iter().map(edge).collect()
    }
}
