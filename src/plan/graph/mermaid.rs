//! The graph in the notation of Mermaid.

use super::{Graph, GraphNode};
use crate::config::Role;
use std::fmt::Write;

const CLASSES: &str = "    classDef source stroke:#2f7d4f,stroke-width:2px
    classDef transform stroke:#55657a,stroke-width:2px
    classDef window stroke:#3465a4,stroke-width:2px
    classDef sink stroke:#a4502f,stroke-width:2px
";

impl Graph {
    /// A flow chart.
    pub fn to_mermaid(&self) -> String {
        // A JSON text is a quoted YAML text, which is what a title is.
        let title = serde_json::Value::from(self.pipeline.as_str());
        let mut text = format!("---\ntitle: {title}\n---\nflowchart LR\n");
        for (id, node) in self.nodes.iter().enumerate() {
            // Writing into a string does not fail.
            let _ = writeln!(text, "    n{id}{}:::{}", shape(node), node.role.noun());
        }
        for edge in &self.edges {
            let port = self.port(edge);
            let label = if port.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(port)) };
            let _ = writeln!(text, "    n{} -->{label} n{}", edge.from, edge.to);
        }
        text.push_str(CLASSES);
        text
    }
}

fn shape(node: &GraphNode) -> String {
    let label = format!("\"{}<br>{}\"", escaped(&node.name), escaped(&node.kind));
    match node.role {
        Role::Source => format!("([{label}])"),
        Role::Window => format!("[[{label}]]"),
        Role::Sink => format!("[({label})]"),
        Role::Transform | Role::Format | Role::Table => format!("[{label}]"),
    }
}

/// Everything that might be notation as a numbered character.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | ',' | '.') {
            true => escaped.push(c),
            false => {
                let _ = write!(escaped, "#{};", c as u32);
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_in_a_label_is_escaped() {
        assert_eq!(escaped("where, set"), "where, set");
        assert_eq!(escaped("a\"]<b>#"), "a#34;#93;#60;b#62;#35;");
    }
}
