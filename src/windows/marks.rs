//! How far keys were brought by the watermark of all, where windows follow those of partitions.
//!
//! An idle partition holds the watermark of all no longer. That fires the windows of its keys that are open, and each of
//! these keys is as far then as the end of the last one that fired: when the partition comes back, events of that window
//! are late, and later ones are not, though the watermark of all may be far beyond them.

use crate::dataflow::Saving;
use crate::event::bytes::{Malformed, Reader, put_time};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What the names of marks end with among what is kept by key.
pub const MARK: &[u8] = b"w";

/// Keys that are remembered at the most: as many as `partition_by` tells apart. Of more those are forgotten that are the
/// furthest behind.
const MOST: usize = 1 << 20;

/// By key: how far the watermark of all has brought it, as long as its own is not as far.
#[derive(Default)]
pub struct Marks {
    table: BTreeMap<Box<[u8]>, Mark>,
    changed: Vec<Box<[u8]>>,
    gone: Vec<Box<[u8]>>,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Timestamp,
    /// Whether it is among those that have changed.
    changed: bool,
    saved: bool,
}

/// The key that a name with [`MARK`] behind it is of.
pub fn marked(name: &[u8]) -> &[u8] {
    name.strip_suffix(MARK).unwrap_or(name)
}

impl Marks {
    /// How far a key has come whose partition has come so far.
    pub fn reach(&mut self, key: &[u8], own: Timestamp) -> Timestamp {
        if self.table.is_empty() {
            return own;
        }
        match self.table.get(key) {
            Some(mark) if mark.at > own => mark.at,
            Some(_) => {
                self.forget(key);
                own
            }
            None => own,
        }
    }

    /// The watermark of all has brought a key so far.
    pub fn bring(&mut self, key: &[u8], to: Timestamp) {
        let Marks { table, changed, .. } = self;
        if let Some(mark) = table.get_mut(key) {
            mark.at = mark.at.max(to);
            if !std::mem::replace(&mut mark.changed, true) {
                changed.push(key.into());
            }
            return;
        }
        if table.len() >= MOST {
            self.forget_oldest();
        }
        self.changed.push(key.into());
        self.table.insert(key.into(), Mark { at: to, changed: true, saved: false });
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some((key, mark)) = self.table.remove_entry(key)
            && mark.saved
        {
            self.gone.push(key);
        }
    }

    #[cold]
    fn forget_oldest(&mut self) {
        let mut times: Vec<Timestamp> = self.table.values().map(|mark| mark.at).collect();
        let middle = times.len() / 2;
        let until = *times.select_nth_unstable(middle).1;
        let old = self.table.iter().filter(|(_, mark)| mark.at <= until);
        let old: Vec<Box<[u8]>> = old.map(|(key, _)| key.clone()).collect();
        old.iter().for_each(|key| self.forget(key));
    }

    /// Says what changed since this was called last.
    pub fn save(&mut self, into: &mut Saving<'_>) {
        for key in self.gone.drain(..) {
            if !self.table.contains_key(&key) {
                into.remove(&key, MARK);
            }
        }
        for key in self.changed.drain(..) {
            if let Some(mark) = self.table.get_mut(&key).filter(|mark| mark.changed) {
                (mark.changed, mark.saved) = (false, true);
                into.put(&key, MARK, |bytes| put_time(bytes, mark.at));
            }
        }
    }

    /// Takes one back.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let mut from = Reader::new(value);
        let mark = Mark { at: from.time()?, changed: false, saved: true };
        from.finish()?;
        self.table.insert(key.into(), mark);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_holds_until_its_key_is_as_far() {
        let mut marks = Marks::default();
        marks.bring(b"a", Timestamp(10));
        marks.bring(b"a", Timestamp(5));
        assert_eq!(marks.reach(b"a", Timestamp(3)), Timestamp(10));
        assert_eq!(marks.reach(b"b", Timestamp(3)), Timestamp(3));
        assert_eq!(marks.reach(b"a", Timestamp(11)), Timestamp(11));
        assert_eq!(marks.reach(b"a", Timestamp(4)), Timestamp(4), "it is forgotten");
    }

    #[test]
    fn of_too_many_the_furthest_behind_are_forgotten() {
        let mut marks = Marks::default();
        for key in 0..10u8 {
            marks.bring(&[key], Timestamp(i64::from(key)));
        }
        marks.forget_oldest();
        assert_eq!(marks.reach(&[5], Timestamp(0)), Timestamp(0));
        assert_eq!(marks.reach(&[6], Timestamp(0)), Timestamp(6));
    }
}
