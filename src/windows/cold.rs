//! Panes of keys that memory has no room for.
//!
//! A key leaves memory with all its panes, and comes back when an event of it comes or when it is the next to fire. Where
//! more fire at one time than there is room for, they are brought back and fire part by part, in the order in which they
//! would fire if all were in memory.

use super::aggregates::PaneId;
use super::keyed::{KeyedPanes, Latest, Rank, put_key};
use super::operator::Desk;
use super::panes::Stage;
use crate::dataflow::{ColdKeys, ColdTable, KeyId, ordered};
use crate::event::bytes::{Malformed, Reader};
use crate::time::Timestamp;

/// Keys of windows that can leave memory.
pub trait Spilling {
    /// How many keys have changed since they were saved.
    fn unsaved(&self) -> usize;

    /// Keys may leave memory from now on.
    fn spill(&mut self, cold: ColdKeys);

    /// Lets keys leave memory if there is no room for all. None may be at hand.
    fn make_room(&mut self);

    /// Brings back what is due first, if no later than `until` and what is in memory: as much of it as there is room for.
    fn recall(&mut self, until: Timestamp, desk: &mut Desk);

    /// Whether more fires at the time at hand than what has fired.
    fn has_put_off(&self) -> bool;
}

/// The bytes of a rank.
pub const RANK_BYTES: usize = 24;

/// A rank as bytes that have its order.
pub fn rank_bytes((first, second, third): Rank) -> [u8; RANK_BYTES] {
    let mut bytes = [0; RANK_BYTES];
    bytes[..8].copy_from_slice(&ordered(first.0));
    bytes[8..16].copy_from_slice(&ordered(second.0));
    bytes[16..].copy_from_slice(&third.to_be_bytes());
    bytes
}

/// What a pane takes in memory beside what is saved of it, about, as bytes that would be saved.
pub const PANE: usize = 64;

impl Spilling for KeyedPanes {
    fn unsaved(&self) -> usize {
        self.keys.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        self.keys.spill(cold, RANK_BYTES);
    }

    fn make_room(&mut self) {
        let (panes, outlook) = (&self.panes, &self.outlook);
        let surplus = self.keys.surplus(|key, entry| {
            let mut bytes = Vec::new();
            put_key(panes, outlook, key, &entry.item, &mut bytes);
            bytes.len() + PANE * (1 + panes.earlier(entry.item.pane).count())
        });
        for _ in 0..surplus {
            let idle = &self.idle;
            // Keys without panes stay, and those that are known to have had none lately.
            let may = |key, latest: &Latest| latest.pane != PaneId::EMPTY && !idle.lists(key);
            let Some(key) = self.keys.coldest(may) else { break };
            self.evict(key);
        }
    }

    fn recall(&mut self, until: Timestamp, desk: &mut Desk) {
        self.behind = None;
        if self.keys.cold().is_none_or(ColdTable::is_empty) {
            return;
        }
        self.make_room();
        let mut until = self.timers.next().map_or(until, |first| first.min(until));
        let mut room = self.keys.cold().map_or(0, ColdTable::part);
        while let Some((time, rank, key)) = self.keys.cold().and_then(ColdTable::first_due) {
            if time > until {
                return;
            }
            if room == 0 {
                self.behind = rank.first_chunk().copied();
                return;
            }
            (room, until) = (room - 1, time);
            let key = key.to_vec();
            self.bring_back(&key, desk);
        }
    }

    fn has_put_off(&self) -> bool {
        self.behind.is_some()
    }
}

impl KeyedPanes {
    fn evict(&mut self, key: KeyId) {
        let mut bytes = Vec::new();
        put_key(&self.panes, &self.outlook, key, &self.keys.entry(key).item, &mut bytes);
        let first = self.panes.earlier(self.latest(Some(key)).pane);
        let first = first.map(|pane| (self.panes[pane].due, rank_bytes(self.rank(pane)))).min();
        self.unload(key);
        self.keys.evict(key, &bytes, first.as_ref().map(|(time, rank)| (*time, &rank[..])));
    }

    /// Gives up all panes of a key.
    fn unload(&mut self, key: KeyId) {
        let all: Vec<PaneId> = self.panes.earlier(self.latest(Some(key)).pane).collect();
        for pane in all {
            self.timers.remove(&mut self.panes, pane);
            self.panes.close(pane);
        }
        self.panes.forget(key);
    }

    /// The key that the reader stands at and that is not in memory, if anything is kept of it.
    #[cold]
    pub fn find_cold(&mut self, desk: &mut Desk) -> Option<KeyId> {
        if self.keys.cold().is_none_or(ColdTable::is_empty) {
            return None;
        }
        let key = desk.keys.bytes().to_vec();
        self.bring_back(&key, desk)
    }

    fn bring_back(&mut self, key: &[u8], desk: &mut Desk) -> Option<KeyId> {
        let (key, value) = self.keys.recall(key)?;
        let mut from = Reader::new(&value);
        if let Err(error) = self.load_panes(key, &mut from, desk).and_then(|()| from.finish()) {
            self.keys.cold().into_iter().for_each(|cold| cold.fail(error));
        }
        Some(key)
    }

    /// When the last pane is looked at that has not fired and is not in memory.
    pub fn last_cold_firing(&mut self, desk: &mut Desk) -> Option<Timestamp> {
        let (mut last, mut behind) = (None, None);
        loop {
            let some = self.keys.cold_mut()?.entries_behind(behind.as_deref());
            let Some((end, _)) = some.last() else { return last };
            behind = Some(end.clone());
            for (bytes, value) in some {
                match self.look_at(&bytes, &value, desk) {
                    Ok(firing) => last = last.max(firing),
                    Err(error) => self.keys.cold()?.fail(error),
                }
            }
        }
    }

    /// When the last pane of a key is looked at that has not fired.
    fn look_at(&mut self, key: &[u8], value: &[u8], desk: &mut Desk) -> Result<Option<Timestamp>, Malformed> {
        let key = self.load(key, &mut Reader::new(value), desk)?;
        let all = self.panes.earlier(self.latest(Some(key)).pane).map(|pane| &self.panes[pane]);
        let last = all.filter(|pane| pane.stage != Stage::Fired).map(|pane| pane.due).max();
        self.unload(key);
        self.keys.drop_restored(key);
        Ok(last)
    }

    /// Of panes that were due at one time, in the order in which they fire: those behind one that is not in memory yet
    /// wait for it. Where events came from other workers, several may stand at one place.
    pub fn put_off(&mut self, due: &mut Vec<PaneId>, desk: &mut Desk) {
        let Some(behind) = self.behind else { return };
        let ready = due.partition_point(|pane| rank_bytes(self.rank(*pane)) <= behind);
        for pane in due.drain(ready..) {
            self.set_due(pane, self.panes[pane].due, desk);
        }
    }
}
