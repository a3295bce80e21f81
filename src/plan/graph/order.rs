//! The order within layers: each vertex goes to the mean position of its neighbours, down and up again and again, and
//! the order with the fewest crossings is kept (the barycenter method of Sugiyama, Tagawa, Toda 1981).

use super::layout::Layout;

/// How often the layers are gone through.
const SWEEPS: usize = 8;

/// Orders the vertices of each layer so that few links cross.
pub fn reduce_crossings(layout: &mut Layout) {
    let mut best = (crossings(layout), layout.layers.clone());
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        for i in 0..layout.layers.len() {
            let layer = if down { i } else { layout.layers.len() - 1 - i };
            sort_layer(layout, layer, down);
        }
        let found = crossings(layout);
        if found < best.0 {
            best = (found, layout.layers.clone());
        }
        if best.0 == 0 {
            break;
        }
    }
    layout.layers = best.1;
}

/// Sorts a layer by the mean position of neighbours in the layer before or behind. What has none stays at its position.
fn sort_layer(layout: &mut Layout, layer: usize, down: bool) {
    let position = positions(layout);
    let mean = |vertex: usize| {
        let neighbours: Vec<f64> = match down {
            true => layout.links_into(vertex).map(|link| position[link.from] as f64).collect(),
            false => layout.links_from(vertex).map(|link| position[link.to] as f64).collect(),
        };
        match neighbours.is_empty() {
            true => position[vertex] as f64,
            false => neighbours.iter().sum::<f64>() / neighbours.len() as f64,
        }
    };
    let mut keyed: Vec<(f64, usize)> = layout.layers[layer].iter().map(|v| (mean(*v), *v)).collect();
    // Stable, so that equals keep the order of the file.
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    layout.layers[layer] = keyed.into_iter().map(|(_, vertex)| vertex).collect();
}

/// The position of each vertex in its layer.
fn positions(layout: &Layout) -> Vec<usize> {
    let mut positions = vec![0; layout.vertices.len()];
    for layer in &layout.layers {
        layer.iter().enumerate().for_each(|(position, vertex)| positions[*vertex] = position);
    }
    positions
}

/// How many pairs of links cross.
fn crossings(layout: &Layout) -> usize {
    let position = positions(layout);
    let mut count = 0;
    for (layer, vertices) in layout.layers.iter().enumerate() {
        let links = layout.links.iter().filter(|link| layout.vertices[link.to].layer == layer);
        let mut ends: Vec<(usize, usize)> =
            links.map(|link| (position[link.from], position[link.to])).collect();
        ends.sort_unstable();
        count += inversions(&ends, vertices.len());
    }
    count
}

/// Pairs whose second parts are in the opposite order of their first: counted with a binary indexed tree (Fenwick 1994).
fn inversions(ends: &[(usize, usize)], positions: usize) -> usize {
    let mut tree = vec![0usize; positions + 1];
    let mut count = 0;
    for (seen, (_, to)) in ends.iter().enumerate() {
        let mut not_greater = 0;
        let mut i = to + 1;
        while i > 0 {
            not_greater += tree[i];
            i &= i - 1;
        }
        count += seen - not_greater;
        let mut i = to + 1;
        while i <= positions {
            tree[i] += 1;
            i += i & i.wrapping_neg();
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Layout, Net};
    use super::*;

    #[test]
    fn inversions_are_counted() {
        assert_eq!(inversions(&[(0, 0), (1, 1)], 2), 0);
        assert_eq!(inversions(&[(0, 1), (1, 0)], 2), 1);
        assert_eq!(inversions(&[(0, 2), (1, 1), (2, 0)], 3), 3);
        assert_eq!(inversions(&[(0, 0), (0, 1), (1, 0), (1, 1)], 2), 1);
    }

    #[test]
    fn what_crosses_for_no_reason_is_uncrossed() {
        let edge = |node, to| (Net { node, port: 0 }, to);
        // 0 and 1 are read crosswise by 2 and 3.
        let layout = Layout::new(4, &[edge(0, 3), edge(1, 2)], &|_| 1.0, 1.0);
        assert_eq!(crossings(&layout), 0);
        // Every order of this one crosses once.
        let edges = [edge(0, 2), edge(0, 3), edge(1, 2), edge(1, 3)];
        assert_eq!(crossings(&Layout::new(4, &edges, &|_| 1.0, 1.0)), 1);
    }
}
