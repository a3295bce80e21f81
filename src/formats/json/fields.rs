//! The wanted fields as a tree of maps, each with the shape it had in the last events.

use crate::event::json::MAX_DEPTH;
use crate::event::json::scan::Prefix;
use crate::event::{Path, Slot, Step};

/// A map in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u16);

/// The event itself.
pub(super) const ROOT: NodeId = NodeId(0);

/// What is done with a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is checked and passed over.
    Skip,
    /// It goes to a slot.
    Store(Slot),
    /// Fields inside it are wanted: if it is a map it is entered.
    Enter(NodeId),
    /// What is wanted of it is taken out of its text, by the numbered [`Picks`].
    Pick(u16),
}

/// A field's [`Action`], and its bit among those wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub action: Action,
    pub bit: u64,
}

const SKIP: Target = Target { action: Action::Skip, bit: 0 };

/// A field in the order of the last events.
pub(super) struct Expected {
    /// The exact bytes from the end of the value before (or the map's opening bracket) to this value.
    pub prefix: Prefix,
    /// What the key in them means.
    pub target: Target,
}

/// A map that is entered.
#[derive(Default)]
pub(super) struct Node {
    names: Vec<(Box<[u8]>, Target)>,
    /// All slots below, null unless the map is there.
    pub slots: Vec<Slot>,
    /// The first opens the map, all others follow a value: so none can match where it must not.
    pub shape: Vec<Expected>,
}

/// Paths inside a value and their slots.
pub(super) type Picks = Vec<(Vec<Step>, Slot)>;

/// The whole tree.
pub(super) struct Fields {
    pub nodes: Vec<Node>,
    pub picks: Vec<Picks>,
    /// The bits of all wanted values.
    pub wanted: u64,
}

/// Expected fields that a map remembers at most.
const MAX_SHAPE: usize = 256;

/// A bit that no field has, for when there are more fields than bits.
const NEVER: u64 = 1 << 63;

impl Fields {
    /// The tree of these paths.
    pub fn new(wanted: &[(Path, Slot)]) -> Fields {
        let mut fields = Fields { nodes: Vec::new(), picks: Vec::new(), wanted: 0 };
        // Nothing that nests deeper than JSON may is ever found.
        let reachable = wanted.iter().filter(|(path, _)| path.steps().len() <= MAX_DEPTH);
        fields.grow(&reachable.map(|(path, slot)| (path.steps(), *slot)).collect::<Vec<_>>());
        fields
    }

    /// Adds a map with the given fields, whose paths begin inside it.
    fn grow(&mut self, wanted: &[(&[Step], Slot)]) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node::default());
        let mut names: Vec<&str> = Vec::new();
        for (steps, slot) in wanted {
            self.nodes[id].slots.push(*slot);
            if let [Step::Field(name), ..] = steps
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        for name in names {
            let inside = |steps: &'_ [Step]| matches!(steps, [Step::Field(n), ..] if n == name);
            let below: Vec<(&[Step], Slot)> =
                wanted.iter().filter(|(s, _)| inside(s)).map(|(s, slot)| (&s[1..], *slot)).collect();
            let target = self.target(&below);
            self.nodes[id].names.push((name.as_bytes().into(), target));
        }
        NodeId(id as u16)
    }

    /// The target of a field of which these paths are wanted.
    fn target(&mut self, below: &[(&[Step], Slot)]) -> Target {
        if let [([], slot)] = below {
            return Target { action: Action::Store(*slot), bit: self.next_bit() };
        }
        if below.iter().all(|(steps, _)| matches!(steps, [Step::Field(_), ..])) {
            return Target { action: Action::Enter(self.grow(below)), bit: 0 };
        }
        let picks = self.add_picks(below.iter().map(|(steps, slot)| (steps.to_vec(), *slot)).collect());
        Target { action: Action::Pick(picks), bit: self.next_bit() }
    }

    /// Adds paths inside a value; returns their number.
    pub fn add_picks(&mut self, picks: Picks) -> u16 {
        self.picks.push(picks);
        self.picks.len() as u16 - 1
    }

    fn next_bit(&mut self) -> u64 {
        let bit = (1 << self.wanted.trailing_ones().min(63)) & !NEVER;
        self.wanted |= if bit == 0 { NEVER } else { bit };
        bit
    }

    /// A map of the tree.
    #[inline(always)]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// What is done with the field of that name, escapes resolved.
    pub fn find(&self, id: NodeId, name: &[u8]) -> Target {
        let found = self.node(id).names.iter().find(|(n, _)| **n == *name);
        found.map_or(SKIP, |(_, target)| *target)
    }

    /// Remembers that the field at `place` of a map is written like this; returns the place of the next.
    pub fn learn(&mut self, id: NodeId, place: usize, written: &[u8], target: Target) -> usize {
        let shape = &mut self.nodes[id.0 as usize].shape;
        if let Some(prefix) = Prefix::new(written)
            && place <= shape.len()
            && place < MAX_SHAPE
        {
            let expected = Expected { prefix, target };
            match shape.get_mut(place) {
                Some(there) => *there = expected,
                None => shape.push(expected),
            }
        }
        place + 1
    }
}
