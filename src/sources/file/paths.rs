//! Which files a path means.

use glob::{MatchOptions, Pattern, glob_with};
use std::io;
use std::path::{Path, PathBuf};

/// As in a shell: `*` matches within a folder, and no hidden file.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A path as it is written: a file, or a glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One file.
    File(PathBuf),
    /// All files that match: the pattern, and how it was written.
    Glob(String, String),
}

impl Place {
    /// The place that a text means, seen from a folder.
    ///
    /// # Errors
    /// Why it is no glob.
    pub fn new(folder: &Path, text: &str) -> Result<Place, String> {
        if !text.contains(['*', '?', '[']) {
            return Ok(Place::File(folder.join(text)));
        }
        let pattern = match Path::new(text).is_absolute() {
            true => text.to_owned(),
            // What the folder is called means itself.
            false => Path::new(&Pattern::escape(&folder.to_string_lossy())).join(text).display().to_string(),
        };
        match Pattern::new(&pattern) {
            Ok(_) => Ok(Place::Glob(pattern, text.to_owned())),
            Err(error) => Err(format!("`{text}` is no glob: {}", error.msg)),
        }
    }

    /// As it stands in the pipeline's file, or the whole path of a file.
    pub fn written(&self) -> String {
        match self {
            Place::File(path) => path.display().to_string(),
            Place::Glob(_, written) => written.clone(),
        }
    }

    /// The files, in the order of their names; a single file whether it is there or not.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let pattern = match self {
            Place::File(path) => return Ok(vec![path.clone()]),
            Place::Glob(pattern, _) => pattern,
        };
        let matches = glob_with(pattern, OPTIONS).map_err(|error| io::Error::other(error.msg))?;
        let mut files =
            matches.map(|found| found.map_err(io::Error::from)).collect::<io::Result<Vec<_>>>()?;
        files.retain(|path| !path.is_dir());
        files.sort();
        Ok(files)
    }
}
