//! The graph as a picture: layers from left to right, in light or dark as the reader prefers.

use super::layout::{Layout, Net, What};
use super::{Graph, GraphNode};
use std::fmt::Write;

/// All lengths are pixels. Texts are measured as if every character were as wide as an average one.
const CHARACTER: f64 = 7.8;
/// How much narrower small letters are.
const SMALL: f64 = 0.85;
const PADDING: f64 = 14.0;
const BOX: f64 = 46.0;
const GAP: f64 = 26.0;
/// From one layer's boxes to the next one's, and as much again for the names of ports.
const BETWEEN: f64 = 56.0;
const MARGIN: f64 = 16.0;
/// From one port of a box to the next.
const PORT: f64 = 18.0;

const STYLE: &str = "\
:root{color-scheme:light dark}
svg{--page:#fff;--box:#f6f7f9;--text:#1d242c;--quiet:#5b6673;--line:#8a95a3;--source:#2f7d4f;--transform:#55657a;--window:#3465a4;--sink:#a4502f}
@media(prefers-color-scheme:dark){svg{--page:#14181d;--box:#1e242b;--text:#e8ecf0;--quiet:#9aa5b1;--line:#69757f;--source:#6cc48f;--transform:#9fb0c5;--window:#7fb0ec;--sink:#e39a7a}}
.page{fill:var(--page)}
rect.node{fill:var(--box);stroke-width:1.5}
.source{stroke:var(--source)}.transform{stroke:var(--transform)}.window{stroke:var(--window)}.sink{stroke:var(--sink)}
text{font:13px ui-sans-serif,system-ui,sans-serif;fill:var(--text);text-anchor:middle}
text.kind,text.port{font-size:11px;fill:var(--quiet)}
text.port{text-anchor:start}
path.edge{fill:none;stroke:var(--line);stroke-width:1.5}
path.head{fill:var(--line)}
";

impl Graph {
    /// A document of its own.
    pub fn to_svg(&self) -> String {
        Picture::of(self).render()
    }
}

struct Picture<'a> {
    graph: &'a Graph,
    layout: Layout,
    /// Left and right edge of the boxes of each layer.
    columns: Vec<(f64, f64)>,
}

impl<'a> Picture<'a> {
    fn of(graph: &'a Graph) -> Picture<'a> {
        let size = |what: What| match what {
            What::Node(node) => BOX.max(graph.nodes[node].ports.len() as f64 * PORT + PADDING),
            What::Bend(_) => 1.0,
        };
        let layout = Layout::new(graph.nodes.len(), &graph.layout_edges(), &size, GAP);
        let mut columns = Vec::new();
        let mut left = MARGIN;
        for layer in &layout.layers {
            let nodes = || layer.iter().filter_map(|v| node_of(&layout, *v)).map(|node| &graph.nodes[node]);
            let right = left + nodes().map(width).fold(0.0, f64::max);
            columns.push((left, right));
            let label =
                nodes().flat_map(|node| &node.ports).map(|port| label_width(port)).fold(0.0, f64::max);
            left = right + BETWEEN + label;
        }
        Picture { graph, layout, columns }
    }

    fn render(&self) -> String {
        let width = self.columns.last().map_or(0.0, |(_, right)| *right) + MARGIN;
        let lowest = self.layout.vertices.iter().map(|v| v.at + v.size / 2.0).fold(0.0, f64::max);
        let height = lowest + 2.0 * MARGIN;
        let name = escaped(&self.graph.pipeline);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" role=\"img\" aria-label=\"{name}\">\n<title>{name}</title>\n"
        );
        if let Some(description) = &self.graph.description {
            // Writing into a string does not fail.
            let _ = writeln!(svg, "<desc>{}</desc>", escaped(description));
        }
        let _ = writeln!(svg, "<style>\n{STYLE}</style>");
        let _ = writeln!(svg, "<rect class=\"page\" width=\"100%\" height=\"100%\"/>");
        self.render_links(&mut svg);
        for vertex in 0..self.layout.vertices.len() {
            self.render_node(vertex, &mut svg);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn render_links(&self, svg: &mut String) {
        for link in &self.layout.links {
            let (right, y1) = self.exit(link.from, link.net);
            let (x2, y2) = self.entry(link.to);
            // Straight under the boxes of its layer, or the name of its port, before it curves.
            let (start, x1) = match node_of(&self.layout, link.from) {
                Some(node) => (right, right + label_width(&self.graph.nodes[node].ports[link.net.port])),
                None => (self.entry(link.from).0, right),
            };
            let middle = (x1 + x2) / 2.0;
            let _ = writeln!(
                svg,
                "<path class=\"edge\" d=\"M{start:.1} {y1:.1}H{x1:.1}\
                 C{middle:.1} {y1:.1} {middle:.1} {y2:.1} {x2:.1} {y2:.1}\"/>"
            );
            if node_of(&self.layout, link.to).is_some() {
                let (back, up, down) = (x2 - 8.0, y2 - 4.0, y2 + 4.0);
                let _ = writeln!(
                    svg,
                    "<path class=\"head\" d=\"M{x2:.1} {y2:.1}L{back:.1} {up:.1}L{back:.1} {down:.1}Z\"/>"
                );
            }
        }
        for (id, node) in self.graph.nodes.iter().enumerate() {
            for (port, name) in node.ports.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let (x, y) = self.exit(id, Net { node: id, port });
                let (x, y) = (x + 6.0, y - 4.0);
                let _ =
                    writeln!(svg, "<text class=\"port\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(name));
            }
        }
    }

    fn render_node(&self, vertex: usize, svg: &mut String) {
        let Some(node) = node_of(&self.layout, vertex) else { return };
        let vertex = &self.layout.vertices[vertex];
        let node = &self.graph.nodes[node];
        let (left, _) = self.columns[vertex.layer];
        let (width, height) = (width(node), vertex.size);
        let (x, y) = (left + width / 2.0, vertex.at + MARGIN);
        let (top, name, kind) = (y - height / 2.0, y - 3.0, y + 14.0);
        let _ = writeln!(
            svg,
            "<rect class=\"node {}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"7\"/>\n\
             <text x=\"{x:.1}\" y=\"{name:.1}\">{}</text>\n<text class=\"kind\" x=\"{x:.1}\" y=\"{kind:.1}\">{}</text>",
            node.role.noun(),
            escaped(&node.name),
            escaped(&node.kind)
        );
    }

    /// Where a net leaves a vertex. The ports of a node are spread over its right side.
    fn exit(&self, vertex: usize, net: Net) -> (f64, f64) {
        let at = &self.layout.vertices[vertex];
        let (left, right) = self.columns[at.layer];
        match at.what {
            What::Bend(_) => (right, at.at + MARGIN),
            What::Node(node) => {
                let ports = self.order_of_ports(node);
                let place = ports.iter().position(|port| *port == net.port).unwrap_or_default() as f64;
                let offset = (place - (ports.len() as f64 - 1.0) / 2.0) * PORT;
                (left + width(&self.graph.nodes[node]), at.at + offset + MARGIN)
            }
        }
    }

    fn entry(&self, vertex: usize) -> (f64, f64) {
        let at = &self.layout.vertices[vertex];
        (self.columns[at.layer].0, at.at + MARGIN)
    }

    /// The ports of a node by where they lead, from the top.
    fn order_of_ports(&self, node: usize) -> Vec<usize> {
        let mut ports: Vec<usize> = (0..self.graph.nodes[node].ports.len()).collect();
        let target = |port: &usize| {
            let links = self.layout.links_from(node).filter(|link| link.net.port == *port);
            links.map(|link| self.layout.vertices[link.to].at).fold(f64::INFINITY, f64::min)
        };
        ports.sort_by(|a, b| target(a).total_cmp(&target(b)));
        ports
    }
}

fn node_of(layout: &Layout, vertex: usize) -> Option<usize> {
    match layout.vertices[vertex].what {
        What::Node(node) => Some(node),
        What::Bend(_) => None,
    }
}

fn width(node: &GraphNode) -> f64 {
    text_width(&node.name).max(text_width(&node.kind) * SMALL) + 2.0 * PADDING
}

/// The room for the name of a port, which is written in small letters.
fn label_width(port: &str) -> f64 {
    if port.is_empty() { 0.0 } else { text_width(port) * SMALL + PADDING }
}

fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// Text for content and attributes of XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_text_is_escaped() {
        assert_eq!(escaped("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }
}
