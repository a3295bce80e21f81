//! Which files a path means.

use glob::{MatchOptions, Pattern, PatternError, glob_with};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// As in a shell: `*` matches within a folder, and no hidden file.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// How folders are walked. Hidden files are left out behind the walk: the library would do so at once, but panics at a
/// name that is not UTF-8.
const WALK: MatchOptions = MatchOptions { require_literal_leading_dot: false, ..OPTIONS };

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
        let no_glob = |error: PatternError| io::Error::other(error.msg);
        let wanted = Pattern::new(&plain(Path::new(pattern)).to_string_lossy()).map_err(no_glob)?;
        let mut files = Vec::new();
        for found in glob_with(pattern, WALK).map_err(no_glob)? {
            match found {
                Ok(path) if wanted.matches_path_with(&plain(&path), OPTIONS) && !path.is_dir() => {
                    files.push(path);
                }
                Ok(_) => {}
                Err(error) if error.error().kind() == ErrorKind::NotFound || is_hidden(error.path()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        files.sort();
        Ok(files)
    }
}

/// A path without parts that mean nothing, as patterns are compared with it.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.iter().any(|name| name.as_encoded_bytes().starts_with(b".") && name != ".." && name != ".")
}
