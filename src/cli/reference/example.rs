//! Examples of components, made whole: see [`ComponentSpec::example`].

use crate::config::{Faults, Node, Role, SIDES, SourceFile, parse};
use crate::dataflow::ComponentSpec;
use std::collections::BTreeSet;

/// The example as a pipeline that can be run.
pub fn whole(spec: &ComponentSpec) -> String {
    complete(spec.example)
}

/// A pipeline with the sources and sinks that it lacks. What is no readable YAML stays as it is.
pub fn complete(text: &str) -> String {
    let text = text.trim_end();
    let document =
        SourceFile::new("example", text.as_bytes().to_vec()).ok().and_then(|file| parse(&Faults::new(file)));
    let Some(document) = document else { return format!("{text}\n") };
    let defined = names(&document);
    let read = inputs(&document);
    let mut whole = String::new();
    if document.get(Role::Source.section()).is_none() {
        let missing: BTreeSet<&str> =
            read.iter().map(|input| node_of(input)).filter(|name| !defined.contains(name)).collect();
        whole.push_str("sources:\n");
        whole.extend(missing.iter().map(|name| format!("  {name}: {{ stdin: {{}} }}\n")));
    }
    // Tests and the like stand behind all nodes.
    let (nodes, tests) = text.split_once("\ntests:").unwrap_or((text, ""));
    whole.push_str(nodes);
    whole.push('\n');
    if document.get(Role::Sink.section()).is_none() {
        let unread: Vec<&str> = defined.iter().copied().filter(|name| !read.contains(name)).collect();
        let from = if let [one] = unread[..] { one.to_owned() } else { format!("[{}]", unread.join(", ")) };
        whole.push_str(&format!("sinks:\n  out: {{ from: {from}, stdout: {{}} }}\n"));
    }
    if !tests.is_empty() {
        whole.push_str(&format!("tests:{tests}\n"));
    }
    whole
}

/// The names of all nodes but sinks, in the order of the file.
fn names(document: &Node) -> Vec<&str> {
    let sections = [Role::Source, Role::Transform, Role::Window].map(Role::section);
    let nodes = sections.into_iter().filter_map(|section| document.get(section)?.value.entries());
    nodes.flatten().map(|entry| entry.key.as_str()).collect()
}

/// All that nodes read from.
fn inputs(document: &Node) -> Vec<&str> {
    let sections = [Role::Transform, Role::Window, Role::Sink].map(Role::section);
    let nodes = sections.into_iter().filter_map(|section| document.get(section)?.value.entries());
    let from = nodes.flatten().flat_map(|entry| {
        let sides = SIDES.iter().filter_map(|side| entry.value.get("join")?.value.get(side));
        entry.value.get("from").into_iter().chain(sides)
    });
    let texts = from.flat_map(|from| match from.value.items() {
        Some(items) => items.iter().filter_map(Node::scalar).collect(),
        None => Vec::from_iter(from.value.scalar()),
    });
    texts.collect()
}

fn node_of(input: &str) -> &str {
    input.split_once('.').map_or(input, |(node, _)| node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_put_around() {
        let text = "transforms:\n  a: { from: in, where: x }\n  b: { from: [a, other.rejected], where: y }\n";
        let whole = complete(text);
        let sources = "sources:\n  in: { stdin: {} }\n  other: { stdin: {} }\n";
        assert_eq!(whole, format!("{sources}{text}sinks:\n  out: {{ from: b, stdout: {{}} }}\n"));
        let tests = "tests:\n  - name: t\n    steps: []\n";
        let sources = "sources:\n  in: { stdin: {} }\n";
        let two = complete(&format!("{sources}transforms:\n  a: {{ from: in, where: x }}\n{tests}"));
        let join = complete("transforms:\n  c: { join: { left: a, right: b.rejected } }\n");
        assert!(join.starts_with("sources:\n  a: { stdin: {} }\n  b: { stdin: {} }\n"), "{join}");
        assert!(two.ends_with(&format!("sinks:\n  out: {{ from: a, stdout: {{}} }}\n{tests}")), "{two}");
        assert_eq!(complete(&two), two);
    }
}
