//! Whether the files of a script were replaced.

use super::ScriptError;
use super::script::read_text;
use crate::time::Millis;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use xxhash_rust::xxh3::xxh3_64;

/// How often files are looked at.
const EVERY: Millis = Millis(1_000);
/// How soon what could not be used is tried again: what it needs may have come by then.
const AGAIN: Millis = Millis(10_000);

/// A file that was loaded.
#[derive(Clone, Debug)]
pub struct LoadedFile {
    path: PathBuf,
    /// Of its text.
    digest: u64,
}

/// What tells one content of a file from another without reading it.
type Stamp = Option<(SystemTime, u64)>;

/// Looks at the files of a script now and then.
#[derive(Debug, Default)]
pub struct Watch {
    files: Vec<(LoadedFile, Stamp)>,
    looked: Millis,
    /// When what was refused is tried again.
    again: Option<Millis>,
    /// Why the files could not be used as they are, as was said.
    refused: Option<String>,
}

impl LoadedFile {
    /// A file that had that text.
    pub(super) fn new(path: PathBuf, text: &str) -> LoadedFile {
        LoadedFile { path, digest: xxh3_64(text.as_bytes()) }
    }

    fn stamp(&self) -> Stamp {
        let about = std::fs::metadata(&self.path).ok()?;
        Some((about.modified().ok()?, about.len()))
    }

    /// Whether there is another text. What cannot be read is another: whoever loads it says why.
    fn is_replaced(&self) -> bool {
        read_text(&self.path).map_or(true, |text| xxh3_64(text.as_bytes()) != self.digest)
    }
}

impl Watch {
    /// From here on it is about these files.
    pub fn follow(&mut self, files: &[LoadedFile]) {
        // One that was replaced since it was loaded is read once more.
        self.files = files.iter().map(|file| (file.clone(), None)).collect();
    }

    /// Whether a file may be another than the one that was loaded. One that is not there is about to be replaced.
    pub fn is_changed(&mut self, elapsed: Millis) -> bool {
        if elapsed.0.saturating_sub(self.looked.0) < EVERY.0 {
            return false;
        }
        self.looked = elapsed;
        let mut is_changed = self.again.take_if(|at| *at <= elapsed).is_some();
        for (file, known) in &mut self.files {
            let stamp = file.stamp();
            if stamp.is_some() && stamp != *known {
                *known = stamp;
                is_changed |= file.is_replaced();
            }
        }
        is_changed
    }

    /// Says what came of taking up a changed script of that name, at the place that uses it: the files that were loaded,
    /// or why the one before goes on.
    pub fn conclude(&mut self, place: &str, script: &str, result: Result<Vec<LoadedFile>, String>) {
        match result {
            Ok(files) => {
                self.follow(&files);
                (self.again, self.refused) = (None, None);
                tracing::info!("{place}: goes on with the new {script}");
            }
            Err(why) => {
                self.again = Some(Millis(self.looked.0.saturating_add(AGAIN.0)));
                if self.refused.as_ref() != Some(&why) {
                    tracing::error!(
                        "{place}: {script} was changed and is not used as it is: {why}; the one before goes on"
                    );
                    self.refused = Some(why);
                }
            }
        }
    }
}

/// The file, with its text.
///
/// # Errors
/// It cannot be read.
pub(super) fn load(path: &Path) -> Result<(LoadedFile, String), ScriptError> {
    let text = read_text(path)?;
    Ok((LoadedFile::new(path.to_owned(), &text), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn another_text_is_a_change_and_the_same_is_none() {
        let path = std::env::temp_dir().join(format!("headwater-watch-{}.lua", std::process::id()));
        fs::write(&path, "return 1").unwrap();
        let mut watch = Watch::default();
        watch.follow(&[load(&path).unwrap().0]);
        assert!(!watch.is_changed(Millis(1_000)), "as it was loaded");
        fs::write(&path, "return 22").unwrap();
        assert!(!watch.is_changed(Millis(1_500)), "not looked at yet");
        assert!(watch.is_changed(Millis(2_000)));
        assert!(!watch.is_changed(Millis(3_000)), "told once");
        fs::write(&path, "return 1").unwrap();
        assert!(!watch.is_changed(Millis(4_000)), "put back");
        fs::remove_file(&path).unwrap();
        assert!(!watch.is_changed(Millis(5_000)), "about to be replaced");
    }

    #[test]
    fn what_was_refused_is_tried_again() {
        let mut watch = Watch::default();
        assert!(!watch.is_changed(Millis(2_000)));
        watch.conclude("`step`", "a.lua", Err("no such module".to_owned()));
        assert!(!watch.is_changed(Millis(11_000)) && watch.is_changed(Millis(12_000)));
        watch.conclude("`step`", "a.lua", Ok(Vec::new()));
        assert!(!watch.is_changed(Millis(30_000)));
    }
}
