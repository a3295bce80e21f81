//! What files that were put aside are called: `events.ndjson` becomes `events-20260301T080000Z-001.ndjson`, with `.gz` or
//! `.zst` behind it once it is packed. So their names stand in the order of time.

use crate::time::Timestamp;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What files put aside are packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Packing {
    /// What stands behind the name of a packed file.
    pub fn ending(self) -> &'static str {
        match self {
            Packing::Gzip => ".gz",
            Packing::Zstd => ".zst",
        }
    }
}

/// What stands behind the name of a file while it is packed.
pub(super) const UNFINISHED: &str = ".part";

const ENDINGS: [&str; 3] = ["", ".gz", ".zst"];

/// The parts of a file's name, around what is put in between.
struct Name {
    stem: String,
    extension: String,
}

impl Name {
    fn of(path: &Path) -> Name {
        let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
        let extension = text(path.extension()).map(|extension| format!(".{extension}"));
        Name { stem: text(path.file_stem()).unwrap_or_default(), extension: extension.unwrap_or_default() }
    }
}

/// A name for a file to be put aside: behind all names that were given in the same second, also where the oldest of them
/// were deleted meanwhile.
pub(super) fn aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let name = Name::of(path);
    let time =
        jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (others, _) = all_aside(path)?;
    let numbers = others.iter().filter_map(|other| time_and_number(other, &name));
    let last = numbers.filter(|(other, _)| *other == time).map(|(_, number)| number).max();
    let number = last.unwrap_or_default().saturating_add(1);
    Ok(path.with_file_name(format!("{}-{time}-{number:03}{}", name.stem, name.extension)))
}

/// A path with something behind it.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// All files that were put aside for a path, the oldest first; and what was left of packing.
pub(super) fn all_aside(path: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let name = Name::of(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (mut aside, mut unfinished) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?.file_name().to_string_lossy().into_owned();
        let (whole, list) = match entry.strip_suffix(UNFINISHED) {
            Some(whole) => (whole, &mut unfinished),
            None => (entry.as_str(), &mut aside),
        };
        if is_aside(whole, &name) {
            list.push(path.with_file_name(&entry));
        }
    }
    // Numbers of more than three digits do not stand in the order of names.
    aside.sort_by_key(|path| time_and_number(path, &name));
    Ok((aside, unfinished))
}

fn middle<'n>(file: &'n str, name: &Name) -> Option<&'n str> {
    let unpacked = ENDINGS[1..].iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file);
    unpacked.strip_prefix(&name.stem)?.strip_prefix('-')?.strip_suffix(&name.extension)
}

/// Whether a file's name is one that [`aside`] gives.
fn is_aside(file: &str, name: &Name) -> bool {
    let Some((time, number)) = middle(file, name).and_then(|middle| middle.split_once('-')) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let time = time.strip_suffix('Z').and_then(|time| time.split_once('T'));
    time.is_some_and(|(date, time)| date.len() == 8 && digits(date) && time.len() == 6 && digits(time))
        && digits(number)
}

fn time_and_number(path: &Path, name: &Name) -> Option<(String, u64)> {
    let file = path.file_name()?.to_string_lossy().into_owned();
    let (time, number) = middle(&file, name)?.split_once('-')?;
    Some((time.to_owned(), number.parse().unwrap_or(u64::MAX)))
}

/// Whether a file that was put aside is packed.
pub(super) fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "zst")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_was_put_aside() {
        let folder = std::env::temp_dir().join(format!("headwater-names-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.b.log");
        let now = Timestamp(1_772_352_000_999);
        let first = aside(&path, now).unwrap();
        assert_eq!(first, folder.join("a.b-20260301T080000Z-001.log"));
        fs::write(with_ending(&first, ".gz"), "").unwrap();
        let second = aside(&path, now).unwrap();
        assert_eq!(second, folder.join("a.b-20260301T080000Z-002.log"));
        let older = "a.b-20260228T080000Z-001.log";
        let others = ["a.b.log", "a.b-x-001.log", "a.b-20260301T080000Z-1.txt", "a-20260301T080000Z-1.log"];
        let late = ["a.b-20260301T080000Z-1000.log.zst", "a.b-20260301T080000Z-999.log", older];
        others.iter().chain(&late).for_each(|name| fs::write(folder.join(name), "").unwrap());
        let part = "a.b-20260301T080000Z-003.log.gz.part";
        fs::write(folder.join(part), "").unwrap();
        let (aside, unfinished) = all_aside(&path).unwrap();
        let first = "a.b-20260301T080000Z-001.log.gz";
        assert_eq!(aside, [older, first, late[1], late[0]].map(|name| folder.join(name)));
        assert_eq!(unfinished, [folder.join(part)]);
        fs::remove_dir_all(folder).unwrap();
    }
}
