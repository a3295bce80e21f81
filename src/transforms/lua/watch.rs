//! Whether a script's file was replaced.

use crate::lua::{Script, ScriptError};
use crate::time::Millis;
use std::path::PathBuf;
use std::time::SystemTime;

/// How often the file is looked at.
const EVERY: Millis = Millis(1_000);

/// What tells one content of a file from another without reading it.
type Stamp = Option<(SystemTime, u64)>;

/// Looks at a file now and then.
pub(super) struct Watch {
    path: PathBuf,
    looked: Millis,
    stamp: Stamp,
}

impl Watch {
    pub(super) fn new(path: PathBuf) -> Watch {
        // A file that is replaced while the process starts is read once more.
        Watch { path, looked: Millis::ZERO, stamp: None }
    }

    /// The file's content if it may be another than before. A file that is not there is about to be replaced.
    pub(super) fn changed(&mut self, elapsed: Millis) -> Option<Result<Script, ScriptError>> {
        if elapsed.0.saturating_sub(self.looked.0) < EVERY.0 {
            return None;
        }
        self.looked = elapsed;
        let about = std::fs::metadata(&self.path).ok()?;
        let stamp = Some((about.modified().ok()?, about.len()));
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        Some(Script::read(&self.path))
    }
}
