//! Files that follow one that is full but may not be put aside yet, as a part of it may be written again after a crash:
//! `events.ndjson` is followed by `events.ndjson.next-1`, that by `events.ndjson.next-2`.

use super::failed;
use super::names::{aside, with_ending};
use super::output::sync_folders;
use super::position::{Mark, Place};
use crate::dataflow::SinkError;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The name of the file of that number among those of a path.
pub(super) fn name_of(path: &Path, number: usize) -> PathBuf {
    if number == 0 { path.to_owned() } else { with_ending(path, &format!(".next-{number}")) }
}

/// Begins the file behind the last, and returns its name. What stands there of the same name was written behind a position that is not known
/// any more: it comes again.
pub(super) fn begin_successor(path: &Path, mark: &mut Mark) -> Result<PathBuf, SinkError> {
    let name = name_of(path, mark.files.len());
    let made = fs::File::create(&name).and_then(|file| file.metadata());
    let metadata = made.map_err(|error| failed("open", &name, error))?;
    mark.files.push(Place::of(&metadata, 0));
    Ok(name)
}

/// Puts all files of a path aside but the last, which takes the path. It may have been begun before: a file that has left
/// its name already is left alone. Returns the names of those put aside.
pub(super) fn put_aside_before(
    path: &Path,
    mark: &mut Mark,
    now: Timestamp,
    sync: bool,
) -> Result<Vec<PathBuf>, SinkError> {
    let Some((last, full)) = mark.files.split_last().filter(|(_, full)| !full.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    let mut renamed = || -> io::Result<()> {
        for (number, place) in full.iter().enumerate() {
            let name = name_of(path, number);
            if place.is_at(&name) {
                names.push(aside(path, now)?);
                fs::rename(&name, &names[names.len() - 1])?;
            }
        }
        let name = name_of(path, full.len());
        if last.is_at(&name) {
            fs::rename(&name, path)?;
        }
        sync_folders(path, usize::from(sync))
    };
    renamed().map_err(|error| failed("put aside", path, error))?;
    mark.files = vec![*last];
    Ok(names)
}

/// Ends what was under way when the position was kept: files are put aside that wait for it, and what follows a path that
/// the position does not know of is removed, as it comes again.
pub(super) fn settle(
    marks: &mut BTreeMap<PathBuf, Mark>,
    now: Timestamp,
    sync: bool,
) -> Result<(), SinkError> {
    marks.iter_mut().try_for_each(|(path, mark)| {
        put_aside_before(path, mark, now, sync)?;
        forget_successors(path)
    })
}

fn forget_successors(path: &Path) -> Result<(), SinkError> {
    for number in 1.. {
        let name = name_of(path, number);
        match fs::remove_file(&name) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(failed("remove", &name, error)),
        }
    }
    Ok(())
}
