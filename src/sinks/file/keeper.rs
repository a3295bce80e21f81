//! What is done with files that were put aside, in a thread of its own: packing takes seconds, which the events that
//! come meanwhile must not wait for.

use super::names::{Packing, UNFINISHED, all_aside, is_packed, with_ending};
use crate::time::{Clock, Millis};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// How long packing may go on once somebody wants an end. What is left is packed by the next run.
const LAST: Millis = Millis(5_000);

/// What becomes of files put aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keeping {
    /// How many are kept.
    pub keep: Option<usize>,
    /// What they are packed with.
    pub packing: Option<Packing>,
}

/// A path, and files put aside for it that are left alone for now.
type Work = (PathBuf, Vec<PathBuf>);

/// The thread, once it has something to do.
pub(super) struct Keeper {
    keeping: Keeping,
    work: Option<(Sender<Work>, JoinHandle<()>)>,
}

impl Keeper {
    pub fn new(keeping: Keeping) -> Keeper {
        Keeper { keeping, work: None }
    }

    /// Has all tidied that was put aside for a path, by this run or an earlier one, but for what is spared.
    pub fn tidy(&mut self, path: &Path, spared: Vec<PathBuf>) {
        if self.keeping == Keeping::default() {
            return;
        }
        let keeping = self.keeping;
        let (sender, _) = self.work.get_or_insert_with(|| {
            let (sender, receiver) = channel();
            (sender, std::thread::spawn(move || work(keeping, &receiver)))
        });
        // The thread lives as long as the sender does.
        let _ = sender.send((path.to_owned(), spared));
    }

    /// Waits until all is done, or as long as may be.
    pub fn finish(&mut self, clock: &dyn Clock, stopped: &dyn Fn() -> bool) {
        let Some((sender, thread)) = self.work.take() else { return };
        drop(sender);
        let mut left = LAST.0;
        while !thread.is_finished() && left > 0 {
            clock.wait(Millis(5));
            left -= if stopped() { 5 } else { 0 };
        }
    }
}

/// Two threads must not pack the same files: where a pipeline is started again, this one ends first.
impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.work.take() {
            drop(sender);
            // One that panicked is over as well.
            let _ = thread.join();
        }
    }
}

fn work(keeping: Keeping, paths: &Receiver<Work>) {
    for (path, spared) in paths {
        if let Err(error) = tidy(keeping, &path, &spared) {
            tracing::warn!("what was put aside of `{}` stays as it is: {error}", path.display());
        }
    }
}

/// Deletes the oldest files put aside for a path, and packs those that are not.
fn tidy(keeping: Keeping, path: &Path, spared: &[PathBuf]) -> io::Result<()> {
    let (mut aside, unfinished) = all_aside(path)?;
    let count = aside.len();
    aside.retain(|path| !spared.contains(path));
    unfinished.iter().try_for_each(fs::remove_file)?;
    if let Some(keep) = keeping.keep {
        let surplus = count.saturating_sub(keep).min(aside.len());
        aside.drain(..surplus).try_for_each(fs::remove_file)?;
    }
    let Some(packing) = keeping.packing else { return Ok(()) };
    aside.iter().filter(|path| !is_packed(path)).try_for_each(|path| pack(path, packing))
}

/// Packs a file. The packed one takes its place only when all of it is on the disk.
fn pack(path: &Path, packing: Packing) -> io::Result<()> {
    let packed = with_ending(path, packing.ending());
    let unfinished = with_ending(&packed, UNFINISHED);
    let (mut from, to) = (File::open(path)?, File::create(&unfinished)?);
    let written = match packing {
        Packing::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::default());
            io::copy(&mut from, &mut encoder)?;
            encoder.finish()?
        }
        Packing::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            io::copy(&mut from, &mut encoder)?;
            encoder.finish()?
        }
    };
    written.sync_all()?;
    (&written).flush()?;
    fs::rename(&unfinished, &packed)?;
    fs::remove_file(path)
}
