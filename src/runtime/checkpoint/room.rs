//! A disk that takes no state, or not as much: sources are held back, and it is tried again.

use super::coordinator::Coordinator;
use super::delivery::Delivery;
use super::frames::JournalFeed;
use crate::state::{Remedy, StateError};
use crate::time::Millis;

/// How long to wait before a commit that failed is tried again: doubled each time, up to the second.
pub const AGAIN: [Millis; 2] = [Millis(50), Millis(5_000)];
/// The least time between two compactions of a store that is too large.
const COMPACT_EVERY: Millis = Millis(60_000);

/// Without a commit for so long, a pipeline rests: room in the store is given back then.
const QUIET: Millis = Millis(600_000);

/// How the disk is doing.
#[derive(Default)]
pub struct Room {
    trouble: Option<Trouble>,
    /// Bytes that log and store took when somebody looked last.
    pub disk_bytes: u64,
    /// Why that is more than there may be.
    over: Option<Over>,
    compacted: Option<Millis>,
    /// Checkpoints that failed since one that did not.
    pub failed_in_a_row: u32,
}

/// The disk takes nothing, or did not when it was tried last.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// When it is tried again.
    again: Millis,
    /// How long that is from the last time.
    pause: Millis,
}

/// What takes more than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// Output that waits: it will go.
    Output,
    /// State, all by itself.
    State,
}

impl Room {
    /// When the disk is tried again; None if it is not in trouble.
    pub fn again(&self) -> Option<Millis> {
        self.trouble.map(|trouble| trouble.again)
    }
}

impl Coordinator {
    /// Whether the disk is not to be tried yet.
    pub(super) fn is_waiting(&self, now: Millis) -> bool {
        self.has_failed || self.room.again().is_some_and(|again| now < again)
    }

    /// The disk took something, if `written`.
    pub(super) fn recover(&mut self, written: bool, now: Millis) {
        if written {
            self.written = Some(now);
        }
        if written && self.room.trouble.take().is_some() {
            tracing::info!("pipeline `{}`: the disk takes state again", self.pipeline);
            self.hold_back();
        }
    }

    /// Holds sources back, where there is a reason.
    pub(super) fn hold_back(&self) {
        let is_full = self.room.over.is_some() || self.room.trouble.is_some();
        self.barrier.hold_back(is_full || self.is_postponed);
    }

    /// Counts a failure, and gives it back.
    ///
    /// # Errors
    /// It, where there were too many in a row.
    pub(super) fn count_failure(&mut self, error: StateError) -> Result<StateError, StateError> {
        self.figures.failures += 1;
        self.room.failed_in_a_row += 1;
        match self.checkpoint.tolerated_failures {
            Some(most) if self.room.failed_in_a_row > most => Err(error),
            _ => Ok(error),
        }
    }

    /// Folds the log and gives room that is not used back to the disk; how much it took before, and takes now.
    ///
    /// # Errors
    /// The disk fails, or somebody reads what is kept.
    pub fn compact(&mut self) -> Result<(u64, u64), StateError> {
        let backend = &mut self.keeping.backend;
        if backend.is_pinned() {
            let busy =
                std::io::Error::new(std::io::ErrorKind::ResourceBusy, "a snapshot or an export reads it");
            return Err(StateError::disk("compacting the store", busy));
        }
        let before = backend.disk_bytes()?;
        backend.fold()?;
        backend.compact()?;
        self.room.disk_bytes = backend.disk_bytes()?;
        self.publish();
        Ok((before, self.room.disk_bytes))
    }

    /// Gives room back where nothing was to be written for long: once in a rest.
    pub(super) fn give_back(&mut self, now: Millis) -> Result<(), StateError> {
        let backend = &mut self.keeping.backend;
        if self.written.is_none_or(|written| now - written < QUIET) || backend.is_pinned() {
            return Ok(());
        }
        self.written = None;
        match backend.compact_if_worth_it() {
            Ok(None) => Ok(()),
            Ok(Some((before, after))) => {
                let pipeline = &self.pipeline;
                tracing::info!(
                    "pipeline `{pipeline}` rests: its store took {before} bytes and takes {after} now"
                );
                self.room.disk_bytes = backend.disk_bytes()?;
                self.publish();
                Ok(())
            }
            Err(error) => self.fail_or_wait(error, now),
        }
    }

    /// An error of the disk is waited out while sources are held back.
    pub(super) fn fail_or_wait(&mut self, error: StateError, now: Millis) -> Result<(), StateError> {
        if error.remedy() != Remedy::Retry {
            return Err(error);
        }
        let error = self.count_failure(error)?;
        let pause = match self.room.trouble {
            Some(Trouble { pause, .. }) => Millis((pause.0 * 2).min(AGAIN[1].0)),
            None => {
                let what = if error.is_full() { "the disk is full" } else { "the disk takes no state" };
                let (pipeline, folder) = (&self.pipeline, self.keeping.folder.display());
                let needed = self.needed();
                tracing::error!(
                    "pipeline `{pipeline}`: {what}: {error} in `{folder}`; about {needed} bytes are to be written there; \
                     sources are held back until it takes them, nothing is lost"
                );
                AGAIN[0]
            }
        };
        self.room.trouble = Some(Trouble { again: now + pause, pause });
        self.hold_back();
        Ok(())
    }

    /// About how many bytes are gathered and not written.
    fn needed(&self) -> usize {
        let entry = |entry: &crate::state::Entry| {
            entry.key.as_bytes().len() + entry.value.as_ref().map_or(0, |value| value.len())
        };
        let entries: usize = self.gathered.entries.iter().map(entry).sum();
        let output: usize = self.deliveries.iter().map(Delivery::making_bytes).sum();
        let input: usize = self.feeds.iter().flat_map(JournalFeed::frames).map(|f| f.payload.len()).sum();
        entries + output + input
    }

    /// Looks at what log and store take on the disk. Beyond the limit what can go goes; if that is not enough, sources wait
    /// until output that waits is delivered, state has become less, or the limit is raised.
    pub(super) fn weigh(&mut self, now: Millis) {
        if let Err(error) = self.make_room(now) {
            tracing::warn!("making room within `limits.disk`: {error}: it is tried again");
        }
        let waiting: u64 = self.deliveries.iter().map(Delivery::waiting).sum();
        let over = self.is_beyond().then(|| match self.room.disk_bytes.saturating_sub(waiting) {
            rest if Some(rest) > self.keeping.disk_bytes => Over::State,
            _ => Over::Output,
        });
        let was = std::mem::replace(&mut self.room.over, over);
        let (bytes, most) = (self.room.disk_bytes, self.keeping.disk_bytes.unwrap_or_default());
        let (pipeline, folder) = (&self.pipeline, self.keeping.folder.display());
        match over {
            _ if was == over => {}
            Some(Over::Output) => tracing::error!(
                "pipeline `{pipeline}`: state takes {bytes} bytes of the {most} that `limits.disk` leaves it, {waiting} of \
                 them for output that waits; sources are held back until that is delivered, or the limit is raised"
            ),
            Some(Over::State) => tracing::error!(
                "pipeline `{pipeline}`: state in `{folder}` takes {bytes} bytes of the {most} that `limits.disk` leaves it, \
                 though what was unused was given back; only {waiting} of them are for output that waits. Sources are held \
                 back until it is less: raise the limit, or keep less (fewer keys, shorter windows and spans); \
                 `headwater state list` says which node keeps how much"
            ),
            None => {
                tracing::info!(
                    "pipeline `{pipeline}`: state takes {bytes} bytes, within `limits.disk` again"
                );
            }
        }
    }

    fn make_room(&mut self, now: Millis) -> Result<(), StateError> {
        let backend = &mut self.keeping.backend;
        let is_beyond = |bytes: u64| self.keeping.disk_bytes.is_some_and(|most| bytes > most);
        self.room.disk_bytes = backend.disk_bytes()?;
        if !is_beyond(self.room.disk_bytes) {
            self.room.compacted = None;
            return Ok(());
        }
        let is_changed = backend.fold()?;
        self.room.disk_bytes = backend.disk_bytes()?;
        // Without a change it would come to the same; and it writes all of the store.
        let is_due = match self.room.compacted {
            Some(last) => is_changed && now - last >= COMPACT_EVERY,
            None => true,
        };
        if is_beyond(self.room.disk_bytes) && is_due {
            self.room.compacted = Some(now);
            backend.compact()?;
            self.room.disk_bytes = backend.disk_bytes()?;
        }
        Ok(())
    }

    fn is_beyond(&self) -> bool {
        self.keeping.disk_bytes.is_some_and(|most| self.room.disk_bytes > most)
    }
}
