//! What of a source outlives the process: how far its partitions were read, and how far event time had come.
//!
//! Positions go with the partitions' names. So does what is kept of each key of `partition_by`, as a worker's own bytes:
//! partitions may be others' in a later run, or turn up in the middle of it.

use super::super::checkpoint::{Origins, Part, Reached};
use super::{Driver, Intake, Partition};
use crate::dataflow::{Saved, Saving, Signal, SourceError};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::time::Timestamp;
use crate::watermark::{KeyMark, key_name, read_key_name};
use std::collections::BTreeMap;

/// What a source knows of its checkpoints.
#[derive(Default)]
pub struct Lasting {
    /// Which of the plan's sources it is, where state is kept.
    kept_as: Option<usize>,
    /// What was last saved of the tracker.
    saved: Vec<u8>,
    /// Partitions that have ended and whose places others have taken, since the last checkpoint.
    left: Vec<Reached>,
    /// What an earlier run has left of partitions that did not turn up yet, by their names.
    earlier: BTreeMap<Vec<u8>, Earlier>,
    /// While state is loaded: the partitions at hand by their names.
    names: Option<BTreeMap<Vec<u8>, Partition>>,
    /// Names of keys that are of no partition any more, since the last checkpoint.
    stale: Vec<Vec<u8>>,
}

/// What an earlier run has left of a partition.
#[derive(Default)]
struct Earlier {
    /// How many of its next events went through already.
    skip: u64,
    highest: Option<Timestamp>,
    keys: Vec<EarlierKey>,
}

struct EarlierKey {
    key: Vec<u8>,
    mark: KeyMark,
    /// Whether this worker has saved it itself.
    is_saved: bool,
}

impl Lasting {
    /// Whether it is asked what to save.
    pub fn is_kept(&self) -> bool {
        self.kept_as.is_some()
    }
}

impl Intake {
    /// It is asked what to save, as that source of the plan.
    pub fn keep_as(&mut self, source: usize) {
        self.lasting.kept_as = Some(source);
    }

    /// Partitions go on where an earlier run stopped. `source` is the number of the source in the plan. Called before the
    /// first step.
    pub fn resume(&mut self, source: usize, origins: &Origins) -> Result<(), SourceError> {
        self.keep_as(source);
        let earlier = |(name, (skip, highest)): (&Vec<u8>, &(u64, Option<Timestamp>))| {
            let earlier = Earlier { skip: *skip, highest: *highest, keys: Vec::new() };
            (name.clone(), earlier)
        };
        self.lasting.earlier = origins.marks.iter().map(earlier).collect();
        for place in 0..self.partitions.len() {
            if let Some(taken) = self.partitions[place].rows.resume(&origins.resume)? {
                self.go_on(self.partitions[place].number, &taken)?;
            }
        }
        Ok(())
    }

    /// A partition that goes on by itself has been added.
    pub(super) fn turned_up(&mut self, number: Partition) -> Result<(), SourceError> {
        if self.lasting.earlier.is_empty() {
            return Ok(());
        }
        let name = self.partitions[number.0 as usize].name();
        self.go_on(number, &name)
    }

    /// A partition goes on where one of that name stopped.
    fn go_on(&mut self, number: Partition, name: &[u8]) -> Result<(), SourceError> {
        let Some(Earlier { skip, highest, keys }) = self.lasting.earlier.remove(name) else { return Ok(()) };
        let place = number.0 as usize;
        self.partitions[place].skip = skip;
        #[cfg(feature = "simulation")]
        let highest = highest.map(|highest| Timestamp(highest.0 + too_new()));
        if let Some(highest) = highest {
            self.tracker.resume(number, highest);
            if let Some(canonical) = self.canonical.as_mut().filter(|_| self.tracker.follows_events()) {
                canonical.turns.set(place, (false, highest));
            }
        }
        for EarlierKey { key, mark, is_saved } in keys {
            let loaded = self.tracker.load_key(number, &key, mark, is_saved);
            loaded.map_err(|Malformed(what)| SourceError { message: what.to_owned() })?;
        }
        Ok(())
    }

    /// The place of a partition that has ended is about to be taken by another.
    pub(super) fn leave(&mut self, place: usize) {
        if let Some(source) = self.lasting.kept_as {
            // Until a checkpoint has it.
            self.lasting.left.extend(self.partitions[place].saved(source, &self.tracker));
        }
    }

    /// A partition of a live source has ended: it does not come again, nor do its keys.
    pub(super) fn forget_keys(&mut self, place: usize) {
        let number = self.partitions[place].number;
        if !self.live {
            return;
        }
        // What has changed so far is told of by the partition's name as it is now.
        self.tracker.forget(number);
        let gone = self.gone_keys();
        self.lasting.stale.extend(gone);
    }

    /// The names of keys that are gone and were saved.
    fn gone_keys(&mut self) -> Vec<Vec<u8>> {
        let (partitions, mut names) = (&self.partitions, Vec::new());
        self.tracker.take_gone(&mut |number, key| {
            names.push(key_name(&partitions[number.0 as usize].name(), key));
        });
        names
    }

    /// Says how far its partitions were read, and what else must outlive this process.
    pub fn save(&mut self, part: &mut Part, saving: &mut Saving<'_>, workers: usize) {
        let Some(source) = self.lasting.kept_as else { return };
        part.was_fed |= std::mem::take(&mut self.was_fed);
        part.reached.append(&mut self.lasting.left);
        part.reached.extend(self.partitions.iter().filter_map(|one| one.saved(source, &self.tracker)));
        let me = saving.worker();
        let mut bytes = Vec::new();
        put_number(&mut bytes, me as u64);
        put_number(&mut bytes, workers as u64);
        self.tracker.save(&mut bytes);
        if bytes != self.lasting.saved {
            saving.put_own(b"", |into| into.extend_from_slice(&bytes));
            self.lasting.saved = bytes;
        }
        let gone = self.gone_keys();
        self.lasting.stale.drain(..).chain(gone).for_each(|name| saving.remove_own(&name));
        let (partitions, mut names) = (&self.partitions, BTreeMap::new());
        self.tracker.take_changes(&mut |number, key, mark| {
            let partition = names.entry(number).or_insert_with(|| partitions[number.0 as usize].name());
            saving.put_own(&key_name(partition, key), |into| mark.encode(into));
        });
    }

    /// The worker that saved what [`Intake::save`] does beside positions, and how many there were.
    ///
    /// # Errors
    /// The bytes are none of that.
    pub fn saved_by(value: &[u8]) -> Result<(usize, usize), Malformed> {
        let mut reader = Reader::new(value);
        Ok((reader.number()? as usize, reader.number()? as usize))
    }

    /// How far event time had come, as [`Intake::save`] says it beside positions.
    ///
    /// # Errors
    /// The bytes are none of that.
    pub fn saved_watermark(value: &[u8]) -> Result<Timestamp, Malformed> {
        let mut reader = Reader::new(value);
        let _saved_by = (reader.number()?, reader.number()?);
        reader.time()
    }

    /// Takes back what it saved beside positions.
    pub fn load(&mut self, saved: Saved<'_>) -> Result<(), Malformed> {
        let Saved::Own { mine, moved, name, value } = saved else { return Ok(()) };
        if !name.is_empty() {
            return self.load_key(name, KeyMark::decode(value)?, mine, moved);
        }
        let mut reader = Reader::new(value);
        // Who saved it, see `saved_by`.
        let _ = (reader.number()?, reader.number()?);
        // Other workers had other partitions: what one of them had passed, those of this one may not have.
        if mine || moved { self.tracker.load(&mut reader).and_then(|()| reader.finish()) } else { Ok(()) }
    }

    /// A key belongs to the worker that has its partition, whoever saved it.
    fn load_key(&mut self, name: &[u8], mark: KeyMark, mine: bool, moved: bool) -> Result<(), Malformed> {
        let (partition, key) = read_key_name(name)?;
        let is_saved = mine && !moved;
        let (partitions, lasting) = (&self.partitions, &mut self.lasting);
        let names = lasting.names.get_or_insert_with(|| {
            // Of several without a name the first has it.
            partitions.iter().rev().map(|one| (one.name(), one.number)).collect()
        });
        if let Some(&number) = names.get(partition) {
            return self.tracker.load_key(number, key, mark, is_saved);
        }
        match lasting.earlier.get_mut(partition).filter(|_| self.live) {
            Some(earlier) => earlier.keys.push(EarlierKey { key: key.to_vec(), mark, is_saved }),
            None if mine => lasting.stale.push(name.to_vec()),
            None => {}
        }
        Ok(())
    }

    /// Tells what follows how far event time had come.
    pub fn announce(&mut self, driver: &mut Driver) {
        self.lasting.names = None;
        self.tracker.loaded();
        self.tell_reached();
        self.signal(driver, Signal::Watermark(self.tracker.watermark()));
    }

    /// What was last saved is durable.
    pub fn checkpointed(&mut self) {
        self.partitions.iter_mut().for_each(|partition| partition.rows.checkpointed());
    }
}

/// By how much a watermark that goes on is wrong, where that is asked for.
#[cfg(feature = "simulation")]
fn too_new() -> i64 {
    use crate::state::mutation::{self, Mutation};
    if mutation::is(Mutation::RestoreNewWatermark) { 100 } else { 0 }
}
