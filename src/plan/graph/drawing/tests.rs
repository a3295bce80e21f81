//! Drawings of small graphs, and of many made up at random.

use super::*;
use crate::config::Role;
use crate::plan::graph::GraphEdge;
use crate::time::Random;
use std::collections::BTreeSet;

/// A graph of nodes that read from the main port or, after a dot, another.
fn graph(nodes: &[(&str, Role, &[&str])]) -> Graph {
    let mut graph =
        Graph { pipeline: "test".to_owned(), description: None, nodes: Vec::new(), edges: Vec::new() };
    for (name, role, _) in nodes {
        let kind = role.noun().to_owned();
        graph.nodes.push(GraphNode { name: (*name).to_owned(), kind, role: *role, ports: Vec::new() });
    }
    for (to, (_, _, from)) in nodes.iter().enumerate() {
        for from in *from {
            let (name, port) = from.split_once('.').unwrap_or((from, ""));
            let from = nodes.iter().position(|(other, _, _)| *other == name).unwrap();
            let ports = &mut graph.nodes[from].ports;
            let port = ports.iter().position(|known| known == port).unwrap_or_else(|| {
                ports.push(port.to_owned());
                ports.len() - 1
            });
            graph.edges.push(GraphEdge { from, port, to });
        }
    }
    graph
}

#[test]
fn a_chain_is_straight() {
    let graph = graph(&[("in", Role::Source, &[]), ("out", Role::Sink, &["in"])]);
    let drawn = "\
┌────────┐
│   in   │
│ source │
└───┬────┘
    │
 ┌──▼───┐
 │ out  │
 │ sink │
 └──────┘
";
    assert_eq!(draw(&graph, 80, false).unwrap(), drawn);
}

#[test]
fn ways_part_by_port_and_meet_again() {
    let nodes: [(&str, Role, &[&str]); 4] = [
        ("events", Role::Source, &[]),
        ("counts", Role::Window, &["events"]),
        ("results", Role::Sink, &["counts"]),
        ("rest", Role::Sink, &["events.rejected", "counts.late"]),
    ];
    let drawn = draw(&graph(&nodes), 80, false).unwrap();
    let expected = "
         ┌─────────────┐
         │   events    │
         │   source    │
         └┬─┬──────────┘
          │ │rejected
          │ ╰─────╮
    ┌─────▼───┐   │
    │ counts  │   │
    │ window  │   │
    └┬─┬──────┘   │
     │ │late      │
     │ ╰───────╮  │
┌────▼────┐   ┌▼──▼──┐
│ results │   │ rest │
│  sink   │   │ sink │
└─────────┘   └──────┘
";
    assert_eq!(drawn, expected.trim_start_matches('\n'));
}

#[test]
fn what_is_too_wide_is_not_drawn() {
    let graph = graph(&[("in", Role::Source, &[]), ("out", Role::Sink, &["in"])]);
    assert!(draw(&graph, 9, false).is_none());
    assert!(draw(&graph, 10, false).is_some());
}

/// Nodes that read from random earlier ones by random ports; now and then with long names.
fn random(random: &mut Random) -> Graph {
    let mut below = |n: usize| (random.bits() % n as u64) as usize;
    let count = 1 + below(14);
    let mut nodes: Vec<(String, Role, Vec<String>)> = Vec::new();
    for n in 0..count {
        let mut from = Vec::new();
        for _ in 0..below(4).min(n) {
            let port = ["", "", ".late", ".rejected", ".a_long_way"][below(5)];
            let input = format!("{}{port}", nodes[below(n)].0);
            if !from.contains(&input) {
                from.push(input);
            }
        }
        let name = format!("n{n}{}", "x".repeat(below(12)));
        nodes.push((name, [Role::Source, Role::Transform, Role::Sink][below(3)], from));
    }
    let from: Vec<Vec<&str>> = nodes.iter().map(|node| node.2.iter().map(String::as_str).collect()).collect();
    let nodes: Vec<(&str, Role, &[&str])> = nodes
        .iter()
        .zip(&from)
        .map(|((name, role, _), from)| (name.as_str(), *role, from.as_slice()))
        .collect();
    graph(&nodes)
}

#[test]
fn every_node_and_way_is_drawn_whatever_the_graph() {
    for seed in 0..2_000 {
        let graph = random(&mut Random::seeded(seed));
        let drawn = draw(&graph, 10_000, false).unwrap();
        for node in &graph.nodes {
            let count = drawn.matches(&format!(" {} ", node.name)).count();
            assert_eq!(count, 1, "seed {seed}: {}\n{drawn}", node.name);
        }
        let count = |mark: char| drawn.chars().filter(|c| *c == mark).count();
        let inputs: BTreeSet<(usize, usize, usize)> =
            graph.edges.iter().map(|edge| (edge.from, edge.port, edge.to)).collect();
        assert_eq!(count('▼'), inputs.len(), "seed {seed}\n{drawn}");
        let exits: usize = graph.nodes.iter().map(|node| node.ports.len()).sum();
        assert!(count('┬') >= exits, "seed {seed}\n{drawn}");
        assert!(!graph.to_svg().is_empty() && !super::super::outline::outline(&graph).contains("\u{1b}"));
    }
}
