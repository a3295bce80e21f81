//! Snapshots in a directory: another disk of the machine, or one that is mounted.

use super::target::{SnapshotTarget, Stored, TargetError};
use crate::time::Timestamp;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of a file while it is written. One process writes, so what was left unfinished is written over.
const NEW: &str = ".new";

/// How deep folders are looked into: no name has more parts.
const DEPTH: usize = 4;

/// A directory.
#[derive(Debug)]
pub struct FolderTarget {
    folder: PathBuf,
}

impl FolderTarget {
    /// Uses a directory, which is made when something is put there.
    pub fn new(folder: &Path) -> FolderTarget {
        FolderTarget { folder: folder.to_path_buf() }
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let is_plain = name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        if !is_plain {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name of a snapshot"));
        }
        Ok(self.folder.join(name))
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        let folder = path.parent().unwrap_or(&self.folder);
        make_folder(folder)?;
        let new = folder.join(NEW);
        let mut file = File::create(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    }

    fn read(&self, name: &str, limit: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(self.path(name)?)?.take(limit as u64 + 1).read_to_end(&mut content)?;
        if content.len() > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
        }
        Ok(content)
    }

    fn find(&self, name: &str, depth: usize, into: &mut Vec<Stored>) -> io::Result<()> {
        let folder = self.path(name)?;
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            // A name that is no text, or hidden, is none of ours.
            let Ok(file) = entry.file_name().into_string() else { continue };
            if file.starts_with('.') {
                continue;
            }
            let name = format!("{name}/{file}");
            let found = entry.metadata()?;
            if found.is_dir() && depth > 0 {
                self.find(&name, depth - 1, into)?;
            } else if found.is_file() {
                let modified = Timestamp(found.mtime().saturating_mul(1000));
                into.push(Stored { name, bytes: found.len(), modified });
            }
        }
        Ok(())
    }
}

/// Makes a folder and those above, durably: each is an entry of the one above.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    File::open(above)?.sync_all()
}

impl SnapshotTarget for FolderTarget {
    fn put(&mut self, name: &str, content: &[u8]) -> Result<(), TargetError> {
        self.write(name, content).map_err(|error| TargetError::new(format!("writing {name}"), error))
    }

    fn get(&mut self, name: &str, limit: usize) -> Result<Vec<u8>, TargetError> {
        self.read(name, limit).map_err(|error| TargetError::new(format!("reading {name}"), error))
    }

    fn list(&mut self, folder: &str) -> Result<Vec<Stored>, TargetError> {
        let mut found = Vec::new();
        let listed = self.find(folder.trim_end_matches('/'), DEPTH, &mut found);
        listed.map_err(|error| TargetError::new(format!("listing {folder}"), error))?;
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn delete(&mut self, name: &str) -> Result<(), TargetError> {
        match self.path(name).and_then(fs::remove_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(TargetError::new(format!("removing {name}"), error))
            }
            _ => Ok(()),
        }
    }

    fn place(&self) -> String {
        self.folder.display().to_string()
    }
}
