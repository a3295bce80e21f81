//! Keyed state: the newest bytes of every key, whether they are folded into the store or not yet.

use super::error::StateError;
use super::memtable::Memtable;
use super::number::{KeyGroup, NodeId};
use super::store::Store;
use std::ops::{Bound, RangeInclusive};

/// A node's state, a group and a key, as one string of bytes: the node's number (4 bytes, highest first), the group,
/// the key. Its order is that in which state is written and read: a node's groups lie side by side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey(Box<[u8]>);

/// How many bytes stand before the key itself.
pub const STATE_KEY_HEAD: usize = 5;

impl StateKey {
    /// Puts the three together.
    pub fn new(node: NodeId, group: KeyGroup, key: &[u8]) -> StateKey {
        let mut bytes = Vec::with_capacity(STATE_KEY_HEAD + key.len());
        bytes.extend_from_slice(&node.0.to_be_bytes());
        bytes.push(group.0);
        bytes.extend_from_slice(key);
        StateKey(bytes.into())
    }

    /// Takes bytes for a key. None if they are too few.
    pub fn from_bytes(bytes: &[u8]) -> Option<StateKey> {
        (bytes.len() >= STATE_KEY_HEAD).then(|| StateKey(bytes.into()))
    }

    /// All of it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The node's number.
    pub fn node(&self) -> NodeId {
        NodeId(u32::from_be_bytes(std::array::from_fn(|i| self.0[i])))
    }

    /// The group.
    pub fn group(&self) -> KeyGroup {
        KeyGroup(self.0[STATE_KEY_HEAD - 1])
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.0[STATE_KEY_HEAD..]
    }
}

/// Keys from one on up to another.
pub type KeyBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// All keys that start with a prefix, as bounds.
pub fn prefix_bounds(prefix: &[u8]) -> KeyBounds {
    let mut after = prefix.to_vec();
    while after.last() == Some(&u8::MAX) {
        after.pop();
    }
    let end = match after.last_mut() {
        Some(last) => {
            *last += 1;
            Bound::Excluded(after)
        }
        None => Bound::Unbounded,
    };
    (Bound::Included(prefix.to_vec()), end)
}

/// Looks into the memtable first and into the store behind it.
#[derive(Clone, Copy, Debug)]
pub struct KeyedState<'a> {
    memtable: &'a Memtable,
    store: &'a Store,
}

/// What is done with a key and its bytes.
pub type Visit<'v> = dyn FnMut(KeyGroup, &[u8], &[u8]) -> Result<(), StateError> + 'v;

/// The same for keys of all nodes.
pub type VisitAll<'v> = dyn FnMut(&StateKey, &[u8]) -> Result<(), StateError> + 'v;

/// The same until it has enough: whether it wants more.
pub type VisitWhile<'v> = dyn FnMut(&StateKey, &[u8]) -> Result<bool, StateError> + 'v;

impl<'a> KeyedState<'a> {
    /// Reads of both.
    pub fn new(memtable: &'a Memtable, store: &'a Store) -> KeyedState<'a> {
        KeyedState { memtable, store }
    }

    /// The bytes of a key; None if it has none.
    pub fn get(&self, node: NodeId, group: KeyGroup, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let key = StateKey::new(node, group, key);
        match self.memtable.get(&key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None if self.memtable.drops(node) => Ok(None),
            None => self.store.get(&key),
        }
    }

    /// All keys of a group of a node, in order.
    pub fn group(&self, node: NodeId, group: KeyGroup, visit: &mut Visit) -> Result<(), StateError> {
        self.groups(node, group..=group, visit)
    }

    /// All keys of neighbouring groups of a node: the groups in order, and in each the keys in order.
    pub fn groups(
        &self,
        node: NodeId,
        groups: RangeInclusive<KeyGroup>,
        visit: &mut Visit,
    ) -> Result<(), StateError> {
        let bounds = |group: KeyGroup| prefix_bounds(StateKey::new(node, group, &[]).as_bytes());
        let between = (bounds(*groups.start()).0, bounds(*groups.end()).1);
        self.merge(&between, &mut |key, value| visit(key.group(), key.key(), value).map(|()| true))
    }

    /// All keys of a node: its groups in order, and in each the keys in order.
    pub fn node(&self, node: NodeId, visit: &mut Visit) -> Result<(), StateError> {
        self.groups(node, KeyGroup(0)..=KeyGroup(u8::MAX), visit)
    }

    /// Whether a node has a key of that kind; looks at no more keys than it takes to know.
    pub fn any(&self, node: NodeId, mut is: impl FnMut(&[u8]) -> bool) -> Result<bool, StateError> {
        let mut found = false;
        self.merge(&prefix_bounds(&node.0.to_be_bytes()), &mut |key, _| {
            found = is(key.key());
            Ok(!found)
        })?;
        Ok(found)
    }

    /// Every key of every node, in order.
    pub fn all(&self, visit: &mut VisitAll) -> Result<(), StateError> {
        self.merge(&prefix_bounds(&[]), &mut |key, value| visit(key, value).map(|()| true))
    }

    fn merge(&self, bounds: &KeyBounds, visit: &mut VisitWhile) -> Result<(), StateError> {
        let mut newer = self.memtable.range(bounds).peekable();
        let mut wants_more = true;
        self.store.scan_between(bounds, &mut |key, value| {
            while let Some((at, changed)) = newer.next_if(|(at, _)| at <= key) {
                wants_more = changed.map_or(Ok(true), |changed| visit(&at, changed))?;
                if at == *key || !wants_more {
                    return Ok(wants_more);
                }
            }
            if !self.memtable.drops(key.node()) {
                wants_more = visit(key, value)?;
            }
            Ok(wants_more)
        })?;
        while let Some((key, changed)) = newer.next().filter(|_| wants_more) {
            wants_more = changed.map_or(Ok(true), |changed| visit(&key, changed))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
