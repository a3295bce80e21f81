//! How rows of other stages come into a stage by copying: a union, or an exchange between workers.
//!
//! Inputs that come from one upstream stage form a *group*. While that stage's batch is driven, its places note which
//! rows go in; when the batch is done they are copied in the order of its rows. So what a union delivers does not
//! depend on how events were cut into batches, even where ways part and meet again.

use super::driver::Driver;
use super::exchange::{News, Outgoing, Parcel};
use super::merge::{Drained, Merge, MergeKeeper};
use crate::dataflow::{Copier, Copies, Saved, Saving, Signal, StageId};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Row};
use crate::time::Env;

/// The way into a stage.
pub struct Inlet {
    copiers: Vec<Copier>,
    groups: Vec<Group>,
    /// The group of each input.
    group_of: Vec<usize>,
    onward: Onward,
    /// What the rows that wait need to outlive it, where state is kept across restarts.
    keeper: Option<MergeKeeper>,
}

/// Where the copied rows go.
pub enum Onward {
    /// Straight into the stage: there is one group.
    Stage,
    /// Into the stage, merged with other groups: a batch in the making for each.
    Merge(Merge, Vec<Option<Batch>>),
    /// To the worker that owns the key.
    Exchange(Outgoing),
}

impl Onward {
    /// Where rows wait.
    fn merge(&mut self) -> Option<&mut Merge> {
        match self {
            Onward::Stage => None,
            Onward::Merge(merge, _) => Some(merge),
            Onward::Exchange(outgoing) => Some(outgoing.incoming()),
        }
    }
}

#[derive(Default)]
struct Group {
    /// Rows of the batch at hand and the inputs they came by.
    noted: Vec<(Row, usize)>,
}

impl Inlet {
    /// An inlet with the given copies an input; `group_of` tells each input's group.
    pub fn new(copies: &[Copies], group_of: Vec<usize>, onward: Onward) -> Inlet {
        let groups = group_of.iter().max().map_or(0, |last| last + 1);
        Inlet {
            copiers: copies.iter().map(Copier::new).collect(),
            groups: (0..groups).map(|_| Group::default()).collect(),
            group_of,
            onward,
            keeper: None,
        }
    }

    /// The same, and rows that wait in it are kept across restarts.
    pub fn lasting(self, keeper: MergeKeeper) -> Inlet {
        Inlet { keeper: Some(keeper), ..self }
    }

    /// Says what changed since this was called last, or since [`Inlet::load`]. Called when all workers have sent what they
    /// had (see [`Signal::Flush`]), and what they sent has come.
    pub fn save(&mut self, saving: &mut Saving<'_>) {
        if let (Some(merge), Some(keeper)) = (self.onward.merge(), &mut self.keeper) {
            merge.save(keeper, saving);
        }
    }

    /// Takes back a part of what was saved, before anything else happens: those of workers before those of keys.
    ///
    /// # Errors
    /// The bytes are none of that.
    pub fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        match (self.onward.merge(), &mut self.keeper) {
            (Some(merge), Some(keeper)) => merge.load(keeper, saved),
            _ => Err(Malformed("nothing waits here")),
        }
    }

    /// All that was saved has been loaded. What may leave does so with the next row or watermark that comes in.
    pub fn loaded(&mut self) {
        if let (Some(merge), Some(keeper)) = (self.onward.merge(), &mut self.keeper) {
            merge.loaded(keeper);
        }
    }

    /// Notes rows of the batch at hand that come in by an input.
    pub fn note(&mut self, input: usize, rows: &[Row]) {
        let group = &mut self.groups[self.group_of[input]];
        group.noted.extend(rows.iter().map(|row| (*row, input)));
    }

    /// Copies the noted rows of a group, now that its batch is done.
    pub fn take_rows(&mut self, driver: &mut Driver, stage: StageId, group: usize, batch: &Batch) {
        let mut noted = std::mem::take(&mut self.groups[group].noted);
        noted.sort_unstable();
        for &(row, input) in &noted {
            let watermark = batch.watermarks[row.index()];
            let copier = &mut self.copiers[input];
            match &mut self.onward {
                Onward::Stage => {
                    copier.copy(batch, row, watermark, driver.filling(None, stage));
                }
                Onward::Merge(_, filling) => {
                    let into = filling[group].get_or_insert_with(|| driver.take_batch(stage));
                    copier.copy(batch, row, watermark, into);
                }
                Onward::Exchange(outgoing) => {
                    let into = outgoing.filling(batch, row, || driver.take_batch(stage));
                    copier.copy(batch, row, watermark, into);
                }
            }
        }
        noted.clear();
        self.groups[group].noted = noted;
        match &mut self.onward {
            Onward::Stage => driver.flush_stage(None, stage),
            Onward::Merge(merge, filling) => {
                if let Some(mut copied) = filling[group].take() {
                    copied.watermark = batch.watermark;
                    push(merge, group, copied);
                }
                drain(merge, driver, stage);
            }
            Onward::Exchange(outgoing) => outgoing.send_full(),
        }
    }

    /// Hands a signal of a group's stage on.
    pub fn take_signal(&mut self, driver: &mut Driver, stage: StageId, group: usize, signal: Signal) {
        match &mut self.onward {
            Onward::Stage => driver.signal(stage, signal),
            Onward::Exchange(outgoing) => outgoing.signal(signal),
            Onward::Merge(merge, _) => match signal {
                Signal::Watermark(watermark) => {
                    merge.advance(group, watermark);
                    drain(merge, driver, stage);
                }
                Signal::Idle(idle) => {
                    merge.set_idle(group, idle);
                    drain(merge, driver, stage);
                }
                Signal::Flush | Signal::Tick => driver.signal(stage, signal),
                Signal::End => {
                    merge.close(group);
                    if drain(merge, driver, stage) {
                        driver.signal(stage, Signal::End);
                    }
                }
            },
        }
    }

    /// Takes what a worker sent to this stage. Tells how many rows went on by it, and whether the stage has ended.
    pub fn receive(&mut self, driver: &mut Driver, parcel: Parcel) -> (usize, bool) {
        let Onward::Exchange(outgoing) = &mut self.onward else { return (0, false) };
        let (stage, from) = (parcel.stage, parcel.from.0 as usize);
        let merge = outgoing.incoming();
        let before = merge.pending_rows() + parcel.batch.as_ref().map_or(0, Batch::len);
        if let Some(batch) = parcel.batch {
            push(merge, from, batch);
        }
        merge.advance(from, parcel.watermark);
        if let News::Idle(idle) = parcel.news {
            merge.set_idle(from, idle);
        }
        if parcel.news == News::End {
            merge.close(from);
        }
        let ended = drain(merge, driver, stage);
        if ended {
            driver.signal(stage, Signal::End);
        }
        (before - merge.pending_rows(), ended)
    }

    /// Rows that wait for their turn.
    pub fn waiting(&mut self) -> usize {
        self.onward.merge().map_or(0, |merge| merge.pending_rows())
    }

    /// Whether rows go to other workers and come from them.
    pub fn is_exchange(&self) -> bool {
        matches!(self.onward, Onward::Exchange(_))
    }
}

/// Gives all rows of a batch to an input of a merge.
fn push(merge: &mut Merge, input: usize, batch: Batch) {
    let rows = (0..batch.len() as u32).map(Row).collect();
    merge.push(input, batch, rows);
}

/// Drives all rows whose turn has come, then the merged watermark. Tells whether all inputs have ended.
fn drain(merge: &mut Merge, driver: &mut Driver, stage: StageId) -> bool {
    let drained = loop {
        let drained = merge.drain(driver.filling(None, stage));
        driver.flush_stage(None, stage);
        if drained != Drained::Full {
            break drained;
        }
    };
    while let Some(batch) = merge.reclaim() {
        driver.return_batch(stage, batch);
    }
    driver.signal(stage, Signal::Watermark(merge.watermark()));
    if let Some(idle) = merge.idleness_changed() {
        driver.signal(stage, Signal::Idle(idle));
    }
    drained == Drained::Ended
}
