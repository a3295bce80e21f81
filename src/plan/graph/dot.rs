//! The graph in the notation of Graphviz.

use super::Graph;
use crate::config::Role;
use std::fmt::Write;

impl Graph {
    /// A directed graph.
    pub fn to_dot(&self) -> String {
        let mut text = format!("digraph {} {{\n", quoted(&self.pipeline));
        text.push_str(
            "    rankdir=LR\n    node [fontname=\"sans-serif\"]\n    edge [fontname=\"sans-serif\"]\n",
        );
        for node in &self.nodes {
            let label = quoted(&format!("{}\n{}", node.name, node.kind));
            let shape = match node.role {
                Role::Source => "oval",
                Role::Window => "box3d",
                Role::Sink => "cylinder",
                Role::Transform | Role::Format | Role::Table => "box",
            };
            // Writing into a string does not fail.
            let _ = writeln!(text, "    {} [label={label}, shape={shape}]", quoted(&node.name));
        }
        for edge in &self.edges {
            let (from, to) = (quoted(&self.nodes[edge.from].name), quoted(&self.nodes[edge.to].name));
            let port = self.port(edge);
            let label = if port.is_empty() { String::new() } else { format!(" [label={}]", quoted(port)) };
            let _ = writeln!(text, "    {from} -> {to}{label}");
        }
        text.push_str("}\n");
        text
    }
}

/// A text in quotes, in which only quotes, backslashes and line breaks mean something.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
    }
}
