//! The wanted fields as a tree, which is walked together with the event.

use crate::event::{Path, Slot, Step};

/// A place in an event of which something is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// Where the value itself goes.
    pub slots: Vec<Slot>,
    fields: Vec<(Box<[u8]>, Tree)>,
    elements: Vec<(u64, Tree)>,
}

impl Tree {
    /// The tree of these paths.
    pub fn new(wanted: &[(Path, Slot)]) -> Tree {
        let mut root = Tree::default();
        for (path, slot) in wanted {
            let place = path.steps().iter().fold(&mut root, Tree::child);
            place.slots.push(*slot);
        }
        root
    }

    fn child(&mut self, step: &Step) -> &mut Tree {
        match step {
            Step::Field(name) => child(&mut self.fields, name.as_bytes().into()),
            Step::Index(number) => child(&mut self.elements, u64::from(*number)),
        }
    }

    /// What is wanted of the field of that name.
    pub fn field(&self, name: &[u8]) -> Option<&Tree> {
        self.fields.iter().find(|(key, _)| **key == *name).map(|(_, tree)| tree)
    }

    /// What is wanted of an element of a list.
    pub fn element(&self, number: u64) -> Option<&Tree> {
        self.elements.iter().find(|(key, _)| *key == number).map(|(_, tree)| tree)
    }

    /// Whether something inside a map is wanted.
    pub fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether something inside a list is wanted.
    pub fn has_elements(&self) -> bool {
        !self.elements.is_empty()
    }

    /// Calls `f` with all slots here and below.
    pub fn each_slot(&self, f: &mut impl FnMut(Slot)) {
        self.slots.iter().for_each(|slot| f(*slot));
        self.fields.iter().for_each(|(_, tree)| tree.each_slot(f));
        self.elements.iter().for_each(|(_, tree)| tree.each_slot(f));
    }
}

fn child<K: PartialEq>(children: &mut Vec<(K, Tree)>, key: K) -> &mut Tree {
    let number = children.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
        children.push((key, Tree::default()));
        children.len() - 1
    });
    &mut children[number].1
}
