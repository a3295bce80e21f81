//! The graph as an outline: for terminals too narrow for boxes. What follows on a node stands below it, ways that part
//! are indented, and a node that is reached by several ways is followed where it comes first.

use super::{Graph, GraphEdge};
use crate::config::Role;

/// The outline, a line a node and way.
pub fn outline(graph: &Graph) -> String {
    let mut outline = Outline { graph, shown: vec![false; graph.nodes.len()] };
    let mut text = String::new();
    let sources = graph.nodes.iter().enumerate().filter(|(_, node)| node.role == Role::Source);
    for (source, _) in sources {
        if !text.is_empty() {
            text.push('\n');
        }
        for line in outline.lines(source) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

struct Outline<'a> {
    graph: &'a Graph,
    shown: Vec<bool>,
}

impl Outline<'_> {
    fn lines(&mut self, from: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut node = from;
        loop {
            let arrow = if lines.is_empty() { "" } else { "→ " };
            if std::mem::replace(&mut self.shown[node], true) {
                lines.push(format!("{arrow}{} (see above)", self.graph.nodes[node].name));
                return lines;
            }
            lines.push(format!("{arrow}{} ({})", self.graph.nodes[node].name, self.graph.nodes[node].kind));
            let ways: Vec<&GraphEdge> = self.graph.edges.iter().filter(|edge| edge.from == node).collect();
            match ways.as_slice() {
                [only] if self.graph.port(only).is_empty() => node = only.to,
                _ => {
                    self.branches(&ways, &mut lines);
                    return lines;
                }
            }
        }
    }

    fn branches(&mut self, ways: &[&GraphEdge], lines: &mut Vec<String>) {
        for (i, way) in ways.iter().enumerate() {
            let (first, others) = if i + 1 < ways.len() { ("├─ ", "│  ") } else { ("└─ ", "   ") };
            let port = self.graph.port(way);
            let label = if port.is_empty() { String::new() } else { format!("{port}: ") };
            for (i, line) in self.lines(way.to).into_iter().enumerate() {
                lines.push(if i == 0 { format!("{first}{label}{line}") } else { format!("{others}{line}") });
            }
        }
    }
}
