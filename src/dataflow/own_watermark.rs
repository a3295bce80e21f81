//! Watermarks of the keys of `partition_by`: which of the steps behind a source can follow them.
//!
//! The watermark that an event's key had by itself goes along with the event in a cell, like a field. It means something
//! as long as events come in the order in which they were read: behind filters and computed fields, ways that part, and
//! exchanges, but not behind what holds events back, makes new ones, or merges with other sources.

use super::draft::{Draft, Origin};
use super::{StageId, Target};
use crate::event::{Path, Slot};
use crate::expr::Type;

/// What a stage knows of the `partition_by` of what fills it.
#[derive(Clone, Debug)]
pub struct Partitioned {
    /// Whether it is one partition of a source that is divided by them, and nothing else: then all events of a key come in
    /// one order.
    pub is_followed: bool,
    /// Where the fields stand.
    pub by: Vec<Slot>,
    /// Where the watermark of the event's key goes; None: nobody has asked.
    pub own: Option<Slot>,
}

/// The name of the cell.
const OWN: &str = "(own watermark)";

impl Draft {
    /// Where the watermark stands that the partition of an event had before it, if a key of these slots tells partitions
    /// apart.
    pub fn own_watermark(&mut self, stage: StageId, key: &[Slot]) -> Option<Slot> {
        if let Some(partitioned) = &self.at(stage).partitioned {
            if !partitioned.is_followed || !partitioned.by.iter().all(|slot| key.contains(slot)) {
                return None;
            }
            let known = partitioned.own;
            let slot = known.unwrap_or_else(|| self.slot(stage, OWN, Type::TIMESTAMP));
            self.at(stage).partitioned.as_mut()?.own = Some(slot);
            return Some(slot);
        }
        let from = self.copied_in_order(stage)?;
        let copies = &self.at(stage).copies;
        let before = |slot: &Slot| {
            let mut found = copies.iter().map(|copies| copies.cells.iter().find(|(_, to)| to == slot));
            let first = found.next()??.0;
            found.all(|other| other.is_some_and(|(from, _)| *from == first)).then_some(first)
        };
        // Other fields of the key may come from anywhere.
        let key: Vec<Slot> = key.iter().filter_map(before).collect();
        let own = self.own_watermark(from, &key)?;
        let path = Path::field(OWN);
        if let Some(&slot) = self.at(stage).copied.get(&path) {
            return Some(slot);
        }
        let slot = self.slot(stage, OWN, Type::TIMESTAMP);
        self.at(stage).copied.insert(path, slot);
        self.at(stage).copies.iter_mut().for_each(|copies| copies.cells.push((own, slot)));
        Some(slot)
    }

    /// Whether any source of the events of a stage has watermarks by key.
    pub fn reads_partitioned(&self, stage: StageId) -> bool {
        let this = &self.stages[stage.0 as usize];
        let emits = |target: &Target| matches!(target, Target::Emit(to) if *to == stage);
        let mut makers =
            self.steps.iter().filter(|step| step.outputs.iter().any(|(_, target)| emits(target)));
        this.partitioned.is_some()
            || match &this.origin {
                Origin::Copied(points) => points.iter().any(|point| self.reads_partitioned(point.stage)),
                Origin::Made { .. } => makers.any(|step| self.reads_partitioned(step.stage)),
                Origin::Decoded(_) => false,
            }
    }

    /// The one stage whose rows come into this one as they are, in their order.
    fn copied_in_order(&self, stage: StageId) -> Option<StageId> {
        let Origin::Copied(points) = &self.stages[stage.0 as usize].origin else { return None };
        let from = points.first()?.stage;
        let emits = |target: &Target| matches!(target, Target::Emit(to) if *to == stage);
        let is_emitted = self.steps.iter().any(|step| step.outputs.iter().any(|(_, target)| emits(target)));
        (!is_emitted && points.iter().all(|point| point.stage == from)).then_some(from)
    }
}
