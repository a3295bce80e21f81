//! What the marker that stands in a target says about output that waits.

use crate::dataflow::{Marked, Marker};
use crate::state::{ChunkId, ChunkNumber, Epoch, Incarnation, StateBackend};

/// What the state itself knows of a sink's output.
pub struct Standing {
    /// The last chunk that was acknowledged.
    pub delivered: Option<ChunkId>,
    /// Whether a marker of this sink has stood in the target.
    pub was_marked: bool,
    /// Whether output waited when this run began; what came since was never tried.
    pub waits: bool,
    /// The last epoch that was durable when this run began: it has delivered nothing before it asked.
    pub epoch: Epoch,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target has not said yet.
    Unknown,
    /// Nothing has arrived yet.
    New,
    /// All up to this chunk has arrived, and nothing behind it.
    Through(ChunkId),
    /// It is unknown what has arrived. Why, and what can be done.
    Doubt(String),
}

/// Compares the marker in the target with what the state knows.
pub fn judge(found: Marked, standing: &Standing, backend: &StateBackend) -> Verdict {
    let marker = match found {
        Marked::Unknown => return Verdict::Unknown,
        // What waits was never tried, if nothing of this sink has ever stood there: nothing is delivered before that is
        // known to have.
        Marked::Absent if standing.was_marked && standing.waits => {
            return doubt("the target no longer knows how far output had come");
        }
        Marked::Absent => return Verdict::New,
        Marked::At(marker) => marker,
    };
    let Marker { life, epoch, chunk } = marker;
    let (life, through) = (Incarnation(life), ChunkId { epoch: Epoch(epoch), number: ChunkNumber(chunk) });
    let is_known = life != backend.incarnation() || Epoch(epoch) <= standing.epoch;
    if is_known && backend.is_ours(life, Epoch(epoch)) {
        return match standing.delivered {
            Some(delivered) if through < delivered => doubt("the target has lost output that it had taken"),
            _ => Verdict::Through(through),
        };
    }
    let is_kin = life == backend.incarnation() || backend.lineage().contains_key(&life);
    doubt(match is_kin {
        true => {
            "the target has output of a later time than this state: an older copy of the state was restored"
        }
        false => {
            "the target has output that this state knows nothing of: state was deleted, or another gateway has the same \
             `instance` in headwater.yaml"
        }
    })
}

/// How a chunk of this state is named in a target.
pub fn marker_of(backend: &StateBackend, chunk: ChunkId) -> Marker {
    Marker { life: backend.incarnation().0, epoch: chunk.epoch.0, chunk: chunk.number.0 }
}

fn doubt(what: &str) -> Verdict {
    Verdict::Doubt(format!(
        "{what}; start with `--accept-duplicates` to deliver what waits though it may be there twice, or with \
         `--accept-gap` to leave it out though it may be missing"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::disk::{Disk, SimulatedDisk};
    use crate::state::{self, Changes, Checkpoint, OnCorruption, OpenOptions, StateLimits};
    use crate::time::Timestamp;
    use std::sync::Arc;

    /// A state in its third epoch that has a life before it, up to the second.
    fn backend() -> StateBackend {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(1));
        let (limits, on_corruption) = (StateLimits::default(), OnCorruption::Refuse);
        let how = OpenOptions { limits, on_corruption, entropy: 1, now: Timestamp(0) };
        let (mut backend, _) = state::open(&disk, &how).unwrap();
        let lineage = vec![(Incarnation(7), Epoch(2))];
        let checkpoint = Checkpoint { epoch: Epoch(3), lineage, ..Checkpoint::default() };
        backend.commit(Changes { checkpoint: Some(checkpoint), ..Changes::default() }).unwrap();
        backend
    }

    fn chunk(epoch: u64, number: u32) -> ChunkId {
        ChunkId { epoch: Epoch(epoch), number: ChunkNumber(number) }
    }

    #[test]
    fn a_marker_of_ours_says_what_has_arrived() {
        let backend = backend();
        let standing =
            Standing { delivered: Some(chunk(2, 0)), was_marked: true, waits: true, epoch: Epoch(3) };
        let at = |life, epoch, chunk| Marked::At(Marker { life, epoch, chunk });
        let ours = backend.incarnation().0;
        assert_eq!(judge(Marked::Unknown, &standing, &backend), Verdict::Unknown);
        assert_eq!(judge(at(ours, 3, 1), &standing, &backend), Verdict::Through(chunk(3, 1)));
        assert_eq!(judge(at(7, 2, 0), &standing, &backend), Verdict::Through(chunk(2, 0)));
        let doubtful = |marked, word: &str| match judge(marked, &standing, &backend) {
            Verdict::Doubt(text) => assert!(text.contains(word), "{text}"),
            other => panic!("{other:?}"),
        };
        doubtful(at(ours, 1, 9), "lost output");
        doubtful(at(ours, 4, 0), "older copy");
        doubtful(at(7, 3, 0), "older copy");
        doubtful(at(8, 1, 0), "knows nothing of");
        doubtful(Marked::Absent, "no longer knows");
    }

    #[test]
    fn where_nothing_waits_a_missing_marker_is_no_matter() {
        let backend = backend();
        let fresh = Standing { delivered: None, was_marked: false, waits: true, epoch: Epoch(3) };
        assert_eq!(judge(Marked::Absent, &fresh, &backend), Verdict::New);
        let idle = Standing { delivered: Some(chunk(2, 0)), was_marked: true, waits: false, epoch: Epoch(3) };
        assert_eq!(judge(Marked::Absent, &idle, &backend), Verdict::New);
    }

    #[test]
    fn a_target_that_was_away_is_judged_by_what_was_known_at_the_start() {
        let backend = backend();
        // The run began at the first epoch, of an older copy; by now it has come to the third again.
        let standing = Standing { delivered: None, was_marked: true, waits: false, epoch: Epoch(1) };
        let ahead = Marked::At(Marker { life: backend.incarnation().0, epoch: 2, chunk: 0 });
        assert!(
            matches!(judge(ahead, &standing, &backend), Verdict::Doubt(text) if text.contains("older copy"))
        );
    }
}
