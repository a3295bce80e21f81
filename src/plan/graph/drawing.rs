//! The graph as boxes and lines of characters: a layer below the other.
//!
//! Between two layers lies a channel. A net goes down from its place below a box to a row of its own, along that row,
//! and down to the boxes that it reaches. Rows are shared by nets that do not overlap. Where lines of different nets
//! cross, the vertical one passes over.

use super::canvas::{Canvas, Look};
use super::layout::{Item, Layout, Net, What, spread};
use super::{Graph, GraphNode};

/// Columns between two boxes.
const GAP: usize = 2;
/// Rows of a box.
const ROWS: usize = 4;

/// Draws the graph. None if it is wider than `columns`.
pub fn draw(graph: &Graph, columns: usize, color: bool) -> Option<String> {
    let size = |what: What| match what {
        What::Node(node) => width(graph, node) as f64,
        What::Bend(_) => 1.0,
    };
    let layout = Layout::new(graph.nodes.len(), &graph.layout_edges(), &size, (GAP + 1) as f64);
    let drawing = Drawing::new(graph, &layout);
    let width = drawing.spans.iter().map(|span| span.right + 1).max().unwrap_or_default();
    (width <= columns).then(|| drawing.draw(width, color))
}

/// The columns of a box, with room for its names, for a line from each port with its label, and for all that comes in.
fn width(graph: &Graph, node: usize) -> usize {
    let incoming = graph.edges.iter().filter(|edge| edge.to == node).count();
    let GraphNode { name, kind, ports, .. } = &graph.nodes[node];
    let texts = name.chars().count().max(kind.chars().count()) + 2;
    texts.max(ports_width(ports)).max(2 * incoming + 1) + 2
}

/// A column for the line, one between it and the label, the label, one behind it.
fn port_width(port: &str) -> usize {
    if port.is_empty() { 2 } else { port.chars().count() + 3 }
}

fn ports_width(ports: &[String]) -> usize {
    ports.iter().map(|port| port_width(port)).sum()
}

/// First and last column.
#[derive(Clone, Copy, Debug)]
struct Span {
    left: usize,
    right: usize,
}

impl Span {
    fn middle(self) -> usize {
        (self.left + self.right) / 2
    }

    /// Whether a line can end there without hitting a corner.
    fn takes(self, column: usize) -> bool {
        column == self.middle() || (self.left < column && column < self.right)
    }
}

struct Drawing<'a> {
    graph: &'a Graph,
    layout: &'a Layout,
    /// The columns of each vertex.
    spans: Vec<Span>,
}

/// A net in the channel below a layer: the column where it leaves, and where it reaches the next layer.
struct Route {
    /// The vertex that it leaves.
    from: usize,
    net: Net,
    exit: usize,
    entries: Vec<(usize, usize)>,
    row: usize,
}

impl Route {
    fn is_straight(&self) -> bool {
        self.entries.iter().all(|(_, column)| *column == self.exit)
    }

    fn span(&self) -> Span {
        let columns = self.entries.iter().map(|(_, column)| *column);
        let (left, right) = columns.fold((self.exit, self.exit), |(l, r), c| (l.min(c), r.max(c)));
        Span { left, right }
    }
}

impl<'a> Drawing<'a> {
    fn new(graph: &'a Graph, layout: &'a Layout) -> Drawing<'a> {
        let mut spans = vec![Span { left: 0, right: 0 }; layout.vertices.len()];
        for layer in &layout.layers {
            let mut free = 0;
            for &vertex in layer {
                let place = &layout.vertices[vertex];
                let left = ((place.at - place.size / 2.0).round().max(0.0) as usize).max(free);
                let right = left + place.size as usize - 1;
                spans[vertex] = Span { left, right };
                free = right + 1 + GAP;
            }
        }
        Drawing { graph, layout, spans }
    }

    fn draw(&self, width: usize, color: bool) -> String {
        let mut canvas = Canvas::new(width);
        let mut entries: Vec<(usize, usize)> = Vec::new();
        for layer in 0..self.layout.layers.len() {
            let mut routes = self.routes(layer);
            self.draw_layer(layer, &entries, &routes, &mut canvas);
            set_rows(&mut routes);
            self.draw_channel(&routes, &mut canvas);
            entries = routes.into_iter().flat_map(|route| route.entries).collect();
        }
        canvas.render(color)
    }

    /// The nets that leave a layer, with the columns where they leave it and reach the next.
    fn routes(&self, layer: usize) -> Vec<Route> {
        let mut routes = Vec::new();
        for &vertex in &self.layout.layers[layer] {
            match self.layout.vertices[vertex].what {
                What::Bend(net) => routes.push(self.route(vertex, net, self.spans[vertex].left)),
                What::Node(node) => {
                    for (port, column) in self.exits(node) {
                        routes.push(self.route(vertex, Net { node, port }, column));
                    }
                }
            }
        }
        for &vertex in self.layout.layers.get(layer + 1).into_iter().flatten() {
            self.set_entries(vertex, &mut routes);
        }
        self.part(&mut routes);
        routes
    }

    fn route(&self, from: usize, net: Net, exit: usize) -> Route {
        let reached = self.layout.links_from(from).filter(|link| link.net == net);
        Route { from, net, exit, entries: reached.map(|link| (link.to, exit)).collect(), row: 0 }
    }

    /// The ports of a node by where they lead, and the column below the box where each leaves.
    fn exits(&self, node: usize) -> Vec<(usize, usize)> {
        let ports = &self.graph.nodes[node].ports;
        let span = self.spans[node];
        if let [port] = ports.as_slice()
            && port.is_empty()
        {
            return vec![(0, span.middle())];
        }
        let target = |port: usize| {
            let links = self.layout.links_from(node).filter(|link| link.net.port == port);
            links.map(|link| self.spans[link.to].middle()).min().unwrap_or_default()
        };
        let mut order: Vec<usize> = (0..ports.len()).collect();
        order.sort_by_key(|port| target(*port));
        let room = span.right + 1 - span.left - ports_width(ports);
        let mut column = span.left + room / 2;
        let exit = |port: usize| {
            let at = column;
            column += port_width(&ports[port]);
            (port, at.max(span.left + 1))
        };
        order.into_iter().map(exit).collect()
    }

    /// Where the nets that reach a vertex enter it: straight from above where that is possible.
    fn set_entries(&self, vertex: usize, routes: &mut [Route]) {
        let span = self.spans[vertex];
        let mut ends: Vec<(usize, usize)> = Vec::new();
        for (number, route) in routes.iter().enumerate() {
            if route.entries.iter().any(|(to, _)| *to == vertex) {
                ends.push((route.exit, number));
            }
        }
        ends.sort_unstable();
        let wanted = |exit: usize| match ends.len() {
            1 if !span.takes(exit) => span.middle(),
            _ => exit
                .clamp((span.left + 1).min(span.middle()), span.right.saturating_sub(1).max(span.middle())),
        };
        let items: Vec<Item> = ends
            .iter()
            .map(|(exit, _)| Item { wanted: wanted(*exit) as f64, size: 1.0, weight: 1.0 })
            .collect();
        let mut least = (span.left + 1).min(span.middle());
        for ((_, number), at) in ends.iter().zip(spread(&items, 1.0)) {
            let column = (at.round().max(0.0) as usize).max(least);
            least = column + 1;
            for entry in routes[*number].entries.iter_mut().filter(|(to, _)| *to == vertex) {
                entry.1 = column.min(span.right);
            }
        }
    }

    /// Moves entries away from columns in which another net leaves the layer above, so that verticals never meet.
    fn part(&self, routes: &mut [Route]) {
        let exits: Vec<(usize, usize)> = routes
            .iter()
            .enumerate()
            .filter(|(_, r)| !r.entries.is_empty())
            .map(|(i, r)| (r.exit, i))
            .collect();
        let mut taken: Vec<usize> =
            routes.iter().flat_map(|route| route.entries.iter().map(|(_, column)| *column)).collect();
        for (number, route) in routes.iter_mut().enumerate() {
            let foreign = |column: usize| exits.iter().any(|(exit, i)| *exit == column && *i != number);
            for (vertex, column) in route.entries.iter_mut().filter(|(_, column)| foreign(*column)) {
                let span = self.spans[*vertex];
                let near = (1..=span.right - span.left).flat_map(|d| [column.wrapping_sub(d), *column + d]);
                let free =
                    |c: &usize| span.left < *c && *c < span.right && !foreign(*c) && !taken.contains(c);
                if let Some(moved) = near.into_iter().find(free) {
                    *column = moved;
                    taken.push(moved);
                }
            }
        }
    }

    fn draw_layer(&self, layer: usize, entries: &[(usize, usize)], routes: &[Route], canvas: &mut Canvas) {
        let top = canvas.height();
        canvas.grow(ROWS);
        for &vertex in &self.layout.layers[layer] {
            let span = self.spans[vertex];
            match self.layout.vertices[vertex].what {
                What::Bend(_) => canvas.vertical(span.left, top, top + ROWS - 1, (true, true), 0),
                What::Node(node) => {
                    let into = entries.iter().filter(|(to, _)| *to == vertex).map(|(_, column)| *column);
                    let out = routes.iter().filter(|route| route.from == vertex).map(|route| route.exit);
                    draw_box(&self.graph.nodes[node], span, top, canvas);
                    into.for_each(|column| canvas.text(top, column, "▼", Look::Dim));
                    out.for_each(|column| canvas.text(top + ROWS - 1, column, "┬", Look::Dim));
                }
            }
        }
    }

    fn draw_channel(&self, routes: &[Route], canvas: &mut Canvas) {
        if routes.iter().all(|route| route.entries.is_empty()) {
            return;
        }
        let label = |route: &Route| match self.layout.vertices[route.from].what {
            What::Node(node) => self.graph.nodes[node].ports[route.net.port].as_str(),
            What::Bend(_) => "",
        };
        let top = canvas.height();
        let labels = usize::from(routes.iter().any(|route| !label(route).is_empty()));
        let rows = routes.iter().filter(|route| !route.is_straight()).map(|route| route.row + 1).max();
        let height = (labels + rows.unwrap_or_default()).max(1);
        canvas.grow(height);
        for (net, route) in routes.iter().enumerate().filter(|(_, route)| !route.is_straight()) {
            let span = route.span();
            canvas.horizontal(top + labels + route.row, span.left, span.right, net + 1);
        }
        for (net, route) in routes.iter().enumerate() {
            let bottom = top + height - 1;
            if route.is_straight() {
                canvas.vertical(route.exit, top, bottom, (true, true), net + 1);
                continue;
            }
            let row = top + labels + route.row;
            canvas.vertical(route.exit, top, row, (true, false), net + 1);
            for (_, column) in &route.entries {
                canvas.vertical(*column, row, bottom, (false, true), net + 1);
            }
        }
        for route in routes.iter().filter(|route| !label(route).is_empty()) {
            canvas.text(top, route.exit + 1, label(route), Look::Dim);
        }
    }
}

fn draw_box(node: &GraphNode, span: Span, top: usize, canvas: &mut Canvas) {
    let inner = span.right - span.left - 1;
    let line = "─".repeat(inner);
    let middle = |text: &str| span.left + 1 + (inner - text.chars().count()) / 2;
    canvas.text(top, span.left, &format!("┌{line}┐"), Look::Dim);
    for row in 1..ROWS - 1 {
        canvas.text(top + row, span.left, "│", Look::Dim);
        canvas.text(top + row, span.right, "│", Look::Dim);
    }
    canvas.text(top + 1, middle(&node.name), &node.name, Look::Bold);
    canvas.text(top + 2, middle(&node.kind), &node.kind, Look::Plain);
    canvas.text(top + ROWS - 1, span.left, &format!("└{line}┘"), Look::Dim);
}

/// Gives each net that goes sideways a row that it shares only with nets beside it. Of nets that go the same way the
/// outer one runs above, so that they do not cross.
fn set_rows(routes: &mut [Route]) {
    let mut order: Vec<usize> = (0..routes.len()).filter(|i| !routes[*i].is_straight()).collect();
    order.sort_by_key(|i| {
        let Route { exit, .. } = routes[*i];
        let to_the_right = routes[*i].span().right > exit;
        (to_the_right, if to_the_right { usize::MAX - exit } else { exit })
    });
    for (done, &i) in order.iter().enumerate() {
        let span = routes[i].span();
        let meets = |other: Span| other.left <= span.right + 1 && span.left <= other.right + 1;
        let above = order[..done].iter().filter(|other| meets(routes[**other].span()));
        routes[i].row = above.map(|other| routes[*other].row + 1).max().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
