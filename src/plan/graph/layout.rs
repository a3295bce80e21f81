//! A layered layout (Sugiyama, Tagawa, Toda 1981): every edge leads from a layer to a later one, long edges get a
//! bend in each layer between, layers are ordered by barycenters so that few edges cross, and places within a layer are
//! those nearest to the neighbours' that keep the order and the distances.
//!
//! It knows neither letters nor pixels: whoever draws says how large things are, and whether layers are rows or columns.

use super::order;

/// Edges of one port of a node share their bends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Net {
    /// The node that the edges leave.
    pub node: usize,
    /// The number of the port among those of the node that are read.
    pub port: usize,
}

/// Something that has a place in a layer.
#[derive(Clone, Copy, Debug)]
pub struct Vertex {
    /// A node, or a bend of a net.
    pub what: What,
    /// The layer, from 0.
    pub layer: usize,
    /// The middle, along the layer.
    pub at: f64,
    /// The extent along the layer.
    pub size: f64,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A node.
    Node(usize),
    /// A place that a net passes on its way to a later layer.
    Bend(Net),
}

/// A piece of a net between neighbouring layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The net.
    pub net: Net,
    /// A vertex.
    pub from: usize,
    /// A vertex of the next layer.
    pub to: usize,
}

/// Everything in its place.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// All vertices. The first are the nodes, in their order.
    pub vertices: Vec<Vertex>,
    /// The vertices of each layer in order.
    pub layers: Vec<Vec<usize>>,
    /// The pieces between layers.
    pub links: Vec<Link>,
}

/// An edge from a node's port to a node.
pub type Edge = (Net, usize);

/// How often places are drawn towards those of the neighbouring layers, down and up.
const SWEEPS: usize = 6;
/// A bend is drawn this much harder than a node, so that long edges are straight.
const BEND_WEIGHT: f64 = 4.0;

impl Layout {
    /// Lays out `nodes` nodes. `edges` make no cycle. `size` is the extent of a vertex along its layer, `gap` the least
    /// distance between two.
    pub fn new(nodes: usize, edges: &[Edge], size: &dyn Fn(What) -> f64, gap: f64) -> Layout {
        let mut layout = Layout::default();
        layout.place_in_layers(nodes, edges, size);
        order::reduce_crossings(&mut layout);
        layout.set_places(gap);
        layout
    }

    /// The pieces that end at a vertex.
    pub fn links_into(&self, vertex: usize) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.to == vertex)
    }

    /// The pieces that begin at a vertex.
    pub fn links_from(&self, vertex: usize) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.from == vertex)
    }

    fn place_in_layers(&mut self, nodes: usize, edges: &[Edge], size: &dyn Fn(What) -> f64) {
        let layers = longest_paths(nodes, edges);
        self.layers = vec![Vec::new(); layers.iter().max().map_or(0, |last| last + 1)];
        for (node, layer) in layers.iter().enumerate() {
            self.add(What::Node(node), *layer, size);
        }
        for (net, to) in edges {
            let mut from = net.node;
            for layer in layers[net.node] + 1..layers[*to] {
                let known = self.layers[layer].iter().find(|v| self.vertices[**v].what == What::Bend(*net));
                let bend = known.copied().unwrap_or_else(|| self.add(What::Bend(*net), layer, size));
                self.link(*net, from, bend);
                from = bend;
            }
            self.link(*net, from, *to);
        }
    }

    fn add(&mut self, what: What, layer: usize, size: &dyn Fn(What) -> f64) -> usize {
        self.vertices.push(Vertex { what, layer, at: 0.0, size: size(what) });
        self.layers[layer].push(self.vertices.len() - 1);
        self.vertices.len() - 1
    }

    fn link(&mut self, net: Net, from: usize, to: usize) {
        let link = Link { net, from, to };
        if !self.links.contains(&link) {
            self.links.push(link);
        }
    }

    fn set_places(&mut self, gap: f64) {
        for layer in 0..self.layers.len() {
            self.settle(layer, gap, &|_| None);
        }
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 1;
            for i in 0..self.layers.len() {
                let layer = if down { i } else { self.layers.len() - 1 - i };
                let wanted = self.neighbours_middle(layer, down);
                self.settle(layer, gap, &|vertex| {
                    wanted.iter().find(|(v, _)| *v == vertex).map(|(_, at)| *at)
                });
            }
        }
        let start = self.vertices.iter().map(|v| v.at - v.size / 2.0).fold(f64::INFINITY, f64::min);
        self.vertices.iter_mut().for_each(|vertex| vertex.at -= start);
    }

    /// For each vertex of a layer that has neighbours on one side, the mean of their places.
    fn neighbours_middle(&self, layer: usize, down: bool) -> Vec<(usize, f64)> {
        let mut sums: Vec<(usize, f64, f64)> = self.layers[layer].iter().map(|v| (*v, 0.0, 0.0)).collect();
        for link in &self.links {
            let (own, other) = if down { (link.to, link.from) } else { (link.from, link.to) };
            if self.vertices[own].layer == layer
                && let Some(sum) = sums.iter_mut().find(|sum| sum.0 == own)
            {
                sum.1 += self.vertices[other].at;
                sum.2 += 1.0;
            }
        }
        sums.into_iter().filter(|(_, _, n)| *n > 0.0).map(|(vertex, sum, n)| (vertex, sum / n)).collect()
    }

    /// Puts the vertices of a layer as near to the wanted places as their order and distances allow.
    fn settle(&mut self, layer: usize, gap: f64, wanted: &dyn Fn(usize) -> Option<f64>) {
        let vertices = &self.layers[layer];
        let items: Vec<Item> = vertices
            .iter()
            .map(|v| {
                let vertex = &self.vertices[*v];
                let weight = if matches!(vertex.what, What::Bend(_)) { BEND_WEIGHT } else { 1.0 };
                Item { wanted: wanted(*v).unwrap_or(vertex.at), size: vertex.size, weight }
            })
            .collect();
        let places = spread(&items, gap);
        for (vertex, at) in vertices.iter().zip(places) {
            self.vertices[*vertex].at = at;
        }
    }
}

/// The layer of each node: one more than the latest of those it reads from; a node that reads from none stands right
/// before its first reader.
fn longest_paths(nodes: usize, edges: &[Edge]) -> Vec<usize> {
    let mut layers = vec![0; nodes];
    // Each round settles at least the nodes of one more layer.
    for _ in 0..nodes {
        let mut moved = false;
        for (net, to) in edges {
            let least = layers[net.node] + 1;
            moved |= layers[*to] < least;
            layers[*to] = layers[*to].max(least);
        }
        if !moved {
            break;
        }
    }
    for node in 0..nodes {
        if edges.iter().all(|(_, to)| *to != node) {
            let readers = edges.iter().filter(|(net, _)| net.node == node).map(|(_, to)| layers[*to]);
            layers[node] = readers.min().unwrap_or(1) - 1;
        }
    }
    layers
}

/// Something that wants to stand in a row.
pub struct Item {
    /// Where its middle wants to be.
    pub wanted: f64,
    /// Its extent.
    pub size: f64,
    /// How hard it is drawn there.
    pub weight: f64,
}

/// Places for the middles of items, in their order and at least `gap` apart, with the least weighted sum of squared
/// distances from where they want to be: isotonic regression by pooling adjacent violators (Ayer and others 1955).
pub fn spread(items: &[Item], gap: f64) -> Vec<f64> {
    /// Neighbours that touch: their common place, less what stands before each; weight; how many.
    struct Pool {
        at: f64,
        weight: f64,
        count: usize,
    }
    let mut before = Vec::with_capacity(items.len());
    let mut pools: Vec<Pool> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let offset = match i {
            0 => 0.0,
            _ => before[i - 1] + (items[i - 1].size + item.size) / 2.0 + gap,
        };
        before.push(offset);
        let mut pool = Pool { at: item.wanted - offset, weight: item.weight, count: 1 };
        while let Some(last) = pools.pop_if(|last| last.at > pool.at) {
            let weight = last.weight + pool.weight;
            let at = (last.at * last.weight + pool.at * pool.weight) / weight;
            pool = Pool { at, weight, count: last.count + pool.count };
        }
        pools.push(pool);
    }
    let pooled = pools.iter().flat_map(|pool| std::iter::repeat_n(pool.at, pool.count));
    pooled.zip(before).map(|(at, before)| at + before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(node: usize, to: usize) -> Edge {
        (Net { node, port: 0 }, to)
    }

    #[test]
    fn nodes_stand_behind_what_they_read_and_long_edges_bend() {
        // 0 → 1 → 2, 0 → 2, and 3 → 2, which stands right before its reader.
        let layout = Layout::new(4, &[edge(0, 1), edge(1, 2), edge(0, 2), edge(3, 2)], &|_| 1.0, 1.0);
        let layers: Vec<usize> = layout.vertices.iter().map(|vertex| vertex.layer).collect();
        assert_eq!(layers, [0, 1, 2, 1, 1]);
        assert_eq!(layout.vertices[4].what, What::Bend(Net { node: 0, port: 0 }));
        assert_eq!(layout.links.len(), 5);
    }

    #[test]
    fn items_stand_where_they_want_unless_they_touch() {
        let item = |wanted| Item { wanted, size: 2.0, weight: 1.0 };
        assert_eq!(spread(&[item(0.0), item(10.0)], 1.0), [0.0, 10.0]);
        assert_eq!(spread(&[item(5.0), item(5.0)], 1.0), [3.5, 6.5]);
        assert_eq!(spread(&[item(5.0), item(3.0), item(4.0)], 1.0), [1.0, 4.0, 7.0]);
        assert!(spread(&[], 1.0).is_empty());
    }

    #[test]
    fn nothing_overlaps_and_the_first_thing_stands_at_the_edge() {
        let edges: Vec<Edge> = (1..8).flat_map(|n| [edge(0, n), edge(n, 8)]).collect();
        let layout = Layout::new(9, &edges, &|_| 3.0, 2.0);
        for layer in &layout.layers {
            for pair in layer.windows(2) {
                let distance = layout.vertices[pair[1]].at - layout.vertices[pair[0]].at;
                assert!(distance >= 5.0 - 1e-9, "{distance}");
            }
        }
        let least = layout.vertices.iter().map(|vertex| vertex.at).fold(f64::INFINITY, f64::min);
        assert!((least - 1.5).abs() < 1e-9, "{least}");
    }

    #[test]
    fn nothing_is_laid_out_as_nothing() {
        assert!(Layout::new(0, &[], &|_| 1.0, 1.0).layers.is_empty());
    }
}
