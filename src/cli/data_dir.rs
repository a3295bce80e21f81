//! The directory in which a gateway keeps what must outlive the process.
//!
//! That is the lock, the instance's id, and a folder of state for each pipeline; see `docs/state-format.md`.

use super::exit::Exit;
use crate::config::{is_instance, is_name};
use crate::dataflow::Instance;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the folders of pipelines are.
const PIPELINES: &str = "pipelines";

/// A directory that nobody else uses while this value lives.
pub struct DataDir {
    id: String,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is not there, takes it for this process, and reads or makes the id.
    ///
    /// # Errors
    /// It cannot be made or written, or another process has it.
    pub fn open(path: &Path, entropy: u64) -> Result<DataDir, Exit> {
        DataDir::open_as(path, &new_id(entropy))
    }

    /// The same for a directory that must be there already.
    pub fn existing(path: &Path, entropy: u64) -> Result<DataDir, Exit> {
        match path.is_dir() {
            true => DataDir::open(path, entropy),
            false => Err(Exit::failed(format!("there is no data directory `{}`", path.display()))),
        }
    }

    /// The same; where there is no id yet it is the one given.
    pub fn open_as(path: &Path, id: &str) -> Result<DataDir, Exit> {
        let failed =
            |error: io::Error| Exit::failed(format!("the data directory `{}`: {error}", path.display()));
        if path.exists() && !path.is_dir() {
            return Err(Exit::failed(format!("the data directory `{}` is no directory", path.display())));
        }
        fs::create_dir_all(path).map_err(failed)?;
        let lock = OpenOptions::new().create(true).append(true).open(path.join("lock")).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let message = format!("the data directory `{}` is used by another process", path.display());
                return Err(Exit::failed(message));
            }
            // A file system that has no locks.
            Err(error) => return Err(failed(error.into())),
        }
        let id = instance(path, id).map_err(failed)?;
        Ok(DataDir { id, _lock: lock })
    }

    /// The gateway that the directory belongs to.
    pub fn instance(&self) -> Instance {
        Instance { id: self.id.clone(), lasting: true }
    }
}

/// The id that was made first in the directory.
fn instance(path: &Path, new: &str) -> io::Result<String> {
    let file = path.join("instance");
    match fs::read_to_string(&file) {
        Ok(text) if is_instance(text.trim()) => Ok(text.trim().to_owned()),
        Ok(_) => {
            let message = "the file `instance` in it holds no id; remove it for a new one";
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Under another name first: a half-written id must not stay when the power goes.
            let making = path.join("instance.new");
            let mut written = File::create(&making)?;
            writeln!(written, "{new}")?;
            written.sync_all()?;
            fs::rename(&making, &file)?;
            File::open(path)?.sync_all()?;
            Ok(new.to_owned())
        }
        Err(error) => Err(error),
    }
}

/// The folder of a pipeline's state in a data directory. What may be a pipeline's name may be that of a folder.
pub fn pipeline_folder(data_dir: &Path, pipeline: &str) -> PathBuf {
    data_dir.join(PIPELINES).join(pipeline)
}

/// The pipelines of which there is state in a data directory, in order.
pub fn pipelines(data_dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(data_dir.join(PIPELINES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        entries => entries?,
    };
    for entry in entries {
        // What is called otherwise is none of ours.
        names.extend(entry?.file_name().into_string().ok().filter(|name| is_name(name)));
    }
    names.sort_unstable();
    Ok(names)
}

/// An id that no other gateway has, as good as certainly.
pub fn new_id(entropy: u64) -> String {
    format!("{entropy:016x}")
}

/// The directory that systemd made for the service.
pub fn of_the_service() -> Option<PathBuf> {
    let all = std::env::var_os("STATE_DIRECTORY").filter(|all| !all.is_empty())?;
    // Of several, separated by colons, the first is ours.
    std::env::split_paths(&all).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once_and_the_directory_is_for_one() {
        let path = std::env::temp_dir().join(format!("headwater-data-dir-{}", std::process::id()));
        let first = DataDir::open(&path, 7).unwrap();
        assert!(DataDir::open(&path, 8).is_err());
        let instance = first.instance();
        drop(first);
        assert_eq!(DataDir::open(&path, 8).unwrap().instance(), instance);
        assert_eq!(instance, Instance { id: "0000000000000007".to_owned(), lasting: true });
        fs::write(path.join("instance"), "a b").unwrap();
        assert!(DataDir::open(&path, 8).is_err());
        fs::remove_dir_all(path).unwrap();
    }
}
