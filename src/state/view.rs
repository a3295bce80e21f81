//! State as it was between two commits, read by another thread while commits and folds go on.

use super::backend::StateBackend;
use super::check::CheckReport;
use super::error::StateError;
use super::keyed::{StateKey, VisitAll};
use super::log::{End, SegmentPin, scan_segment};
use super::memtable::Memtable;
use super::number::{Epoch, Incarnation, NodeId};
use super::progress::Node;
use super::store::StorePin;
use std::collections::VecDeque;

/// State that is not folded is copied for a view up to so many bytes; more is folded first.
const MOST_COPIED: usize = 8 << 20;

/// Keyed state, and the files that it stands in.
pub struct StateView {
    /// The last epoch in it.
    pub epoch: Epoch,
    /// The nodes, by number.
    pub nodes: Vec<Node>,
    newer: Memtable,
    store: StorePin,
    segments: VecDeque<SegmentPin>,
    incarnation: Incarnation,
}

impl StateBackend {
    /// Pins what is durable now, to be looked at. What commits and folds remove or replace stays on the disk until the view
    /// is dropped.
    ///
    /// # Errors
    /// The disk fails.
    pub fn view(&mut self) -> Result<StateView, StateError> {
        self.revive()?;
        if self.unfolded_bytes() > MOST_COPIED {
            self.fold()?;
        }
        Ok(StateView {
            epoch: self.epoch(),
            nodes: self.progress().nodes.values().cloned().collect(),
            newer: self.ledger.memtable.clone(),
            store: self.store.pin()?,
            segments: self.log.pin()?,
            incarnation: self.log.incarnation(),
        })
    }
}

impl StateView {
    /// Every key of some nodes, of each in order.
    ///
    /// # Errors
    /// It cannot be read, or `visit` has enough.
    pub fn keys(&self, nodes: &[NodeId], visit: &mut VisitAll) -> Result<(), StateError> {
        nodes.iter().try_for_each(|node| self.keys_of(*node, visit))
    }

    fn keys_of(&self, node: NodeId, visit: &mut VisitAll) -> Result<(), StateError> {
        let prefix = node.0.to_be_bytes();
        let mut newer = self.newer.iter().filter(|(key, _)| key.node() == node).peekable();
        let (is_dropped, mut outcome) = (self.newer.dropped().any(|dropped| *dropped == node), Ok(()));
        let mut older = |key: &StateKey, value: &[u8]| -> Result<(), StateError> {
            while let Some((at, changed)) = newer.next_if(|(at, _)| at <= key) {
                changed.map_or(Ok(()), |changed| visit(&at, changed))?;
                if at == *key {
                    return Ok(());
                }
            }
            visit(key, value)
        };
        if !is_dropped {
            // All keys of a node are longer than its number.
            self.store.entries_behind(&prefix, &mut |key, value| {
                let Some(key) = StateKey::from_bytes(key).filter(|key| key.node() == node) else {
                    return false;
                };
                outcome = older(&key, value);
                outcome.is_ok()
            })?;
        }
        outcome?;
        newer.try_for_each(|(key, changed)| changed.map_or(Ok(()), |changed| visit(&key, changed)))
    }

    /// Reads and verifies every value of the store and every record of the log. Pages of the store that hold neither are
    /// verified only where nobody uses it, see [`super::check()`].
    ///
    /// # Errors
    /// Something cannot be read. What is corrupt is no error but part of the report.
    pub fn check(&self) -> Result<CheckReport, StateError> {
        let mut report = CheckReport { segments: self.segments.len(), ..CheckReport::default() };
        let read = self.store.entries_behind(&[], &mut |_, _| {
            report.keys += 1;
            true
        });
        if let Some(fault) = corruption(read)? {
            report.faults.push(fault);
        }
        let mut expected = None;
        for segment in &self.segments {
            let file = segment.number.file_name();
            let mut bytes = vec![0; usize::try_from(segment.bytes).unwrap_or(usize::MAX)];
            let read = segment.file.read_at(0, &mut bytes);
            read.map_err(|error| StateError::disk(format!("reading {file}"), error))?;
            let scan = scan_segment(segment.number, &bytes, expected, self.incarnation)?;
            report.records += scan.records.len();
            expected = Some(scan.next);
            if scan.ends != End::Clean {
                let what = format!("what stands at byte {} is no record of a commit", scan.end);
                report.faults.push(StateError::corrupt(file, what).to_string());
            }
        }
        Ok(report)
    }
}

/// What is corrupt, in words; what cannot be read is an error.
fn corruption(read: Result<(), StateError>) -> Result<Option<String>, StateError> {
    match read {
        Err(error @ (StateError::Corrupt { .. } | StateError::Newer { .. })) => Ok(Some(error.to_string())),
        other => other.map(|()| None),
    }
}
