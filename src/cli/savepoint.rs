//! `savepoint`: the state of a pipeline as one file, and back.

use super::exit::Exit;
use super::remote;
use super::state::args::SavepointVerb;
use super::state::folders::{Folders, Whereabouts, said};
use super::state::list;
use super::terminal::Terminal;
use crate::config::is_instance;
use crate::state::savepoint::{Counts, OnState, Origin, SAVEPOINT_MAGIC, SavepointReader, restore, write};
use crate::state::{OnCorruption, StateBackend, StateError};
use crate::time::Clock;
use serde_json::{Map, Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Does what was asked with savepoints.
///
/// # Errors
/// A file or state cannot be read or written, or is in the way.
pub fn savepoint(verb: &SavepointVerb, whereabouts: &Whereabouts, terminal: &Terminal) -> Result<(), Exit> {
    match verb {
        SavepointVerb::Create { pipeline, file } => {
            if create_live(pipeline, file, whereabouts, terminal)? {
                return Ok(());
            }
            let folders = Folders::existing(whereabouts)?;
            let (state, _) = folders.open(pipeline, OnCorruption::Refuse)?;
            let (instance, taken) = (folders.instance().to_owned(), folders.clock().wall());
            let origin = Origin { instance, pipeline: pipeline.clone(), text: None, taken };
            let counts = create(&state, &origin, file).map_err(Exit::failed)?;
            say(terminal, &format!("wrote {}: {}", file.display(), shown(counts)));
            Ok(())
        }
        SavepointVerb::Restore { file, pipeline, replace } => {
            let on_state = if *replace { OnState::Replace } else { OnState::Refuse };
            restore_file(file, pipeline.as_deref(), whereabouts, on_state, terminal)
        }
        SavepointVerb::List { path } => list_all(path, terminal),
    }
}

/// Asks the process that uses the data directory; false if none does.
fn create_live(
    pipeline: &str,
    file: &Path,
    whereabouts: &Whereabouts,
    terminal: &Terminal,
) -> Result<bool, Exit> {
    let at =
        std::path::absolute(file).map_err(|error| Exit::failed(format!("{}: {error}", file.display())))?;
    let path = format!("/api/v1/pipelines/{pipeline}/savepoint");
    let body = json!({ "file": at.to_string_lossy() }).to_string();
    let Some(done) = remote::ask_some(whereabouts.data_dir()?, "POST", &path, body)? else {
        return Ok(false);
    };
    let count = |name: &str| done[name].as_u64().unwrap_or_default();
    let counts = Counts {
        keys: count("keys"),
        frames: count("frames"),
        chunks: count("chunks"),
        refused: count("refused"),
    };
    say(terminal, &format!("wrote {}: {}", file.display(), shown(counts)));
    Ok(true)
}

fn say(terminal: &Terminal, text: &str) {
    if !terminal.quiet {
        terminal.say(&format!("{text}\n"));
    }
}

/// As programs read it.
pub fn counted(counts: Counts) -> Map<String, Value> {
    let Counts { keys, frames, chunks, refused } = counts;
    let counted = json!({ "keys": keys, "frames": frames, "chunks": chunks, "refused": refused });
    counted.as_object().cloned().unwrap_or_default()
}

fn shown(counts: Counts) -> String {
    let Counts { keys, frames, chunks, refused } = counts;
    format!("{keys} keys, {frames} frames not read, {chunks} chunks not delivered, {refused} rows refused")
}

/// Writes a savepoint to a file, which is there as a whole or not at all.
///
/// # Errors
/// What to say: there is a file of that name, or it cannot be written.
pub fn create(state: &StateBackend, origin: &Origin, file: &Path) -> Result<Counts, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{} cannot be written: {error}", file.display());
    if file.exists() {
        return Err(failed(&"it is there already"));
    }
    let mut name = file.file_name().ok_or_else(|| failed(&"it is no name of a file"))?.to_owned();
    name.push(".new");
    let making = file.with_file_name(name);
    let made = write_to(state, origin, &making).and_then(|counts| {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let named = fs::rename(&making, file).and_then(|()| File::open(folder)?.sync_all());
        named.map_err(|error| StateError::disk("giving it its name", error)).map(|()| counts)
    });
    made.map_err(|error| {
        // What was begun is of no use; if it cannot be removed, that is not what is to be said.
        let _ = fs::remove_file(&making);
        failed(&error)
    })
}

fn write_to(state: &StateBackend, origin: &Origin, making: &Path) -> Result<Counts, StateError> {
    let failed = |error| StateError::disk("writing the savepoint", error);
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(making);
    let mut out = BufWriter::new(opened.map_err(failed)?);
    let counts = write(state, origin, &mut out)?;
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(failed)?;
    Ok(counts)
}

/// A savepoint in a file.
pub type FileReader = SavepointReader<BufReader<File>>;

/// Begins to read a savepoint.
///
/// # Errors
/// It cannot be read, or is none.
pub fn open(file: &Path) -> Result<FileReader, StateError> {
    let name = file.display().to_string();
    let opened = File::open(file).map_err(|error| StateError::disk(format!("reading {name}"), error))?;
    SavepointReader::open(BufReader::new(opened), &name)
}

fn restore_file(
    file: &Path,
    pipeline: Option<&str>,
    whereabouts: &Whereabouts,
    on_state: OnState,
    terminal: &Terminal,
) -> Result<(), Exit> {
    let savepoint = open(file).map_err(|error| Exit::failed(error.to_string()))?;
    let origin = savepoint.head().origin.clone();
    let pipeline = pipeline.unwrap_or(&origin.pipeline);
    let folders =
        Folders::made_for(whereabouts, Some(origin.instance.as_str()).filter(|id| is_instance(id)))?;
    let disk = folders.disk(pipeline)?;
    let restored = restore(&disk, &folders.options(OnCorruption::Refuse), savepoint, on_state);
    let counts = restored.map_err(|error| match error {
        StateError::Occupied { .. } => {
            let hint = "`--replace` puts the savepoint in its place, and what is there is lost";
            Exit::failed(format!("pipeline `{pipeline}`: {error}; {hint}"))
        }
        error => Exit::failed(said(pipeline, &error)),
    })?;
    say(terminal, &format!("restored `{pipeline}`: {}", shown(counts)));
    if folders.instance() != origin.instance {
        let (here, there) = (folders.instance(), &origin.instance);
        let warning = terminal.bold("warning");
        terminal.say(&format!(
            "{warning}: this gateway is `{here}`, the savepoint is of `{there}`: what targets keep under that id is not found\n"
        ));
    }
    Ok(())
}

fn list_all(path: &Path, terminal: &Terminal) -> Result<(), Exit> {
    let failed = |error: io::Error| Exit::failed(format!("{}: {error}", path.display()));
    if !path.is_dir() {
        let entry = described(path, open(path)).map_err(|error| Exit::failed(error.to_string()))?;
        print(path, &entry, terminal);
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(failed)?;
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in entries {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort_unstable();
    let mut corrupt = false;
    for file in files.iter().filter(|file| file.is_file()) {
        // Other files may lie beside savepoints.
        if !is_savepoint(file) {
            continue;
        }
        match described(file, open(file)) {
            Ok(entry) => print(file, &entry, terminal),
            Err(error) => {
                corrupt = true;
                terminal.say(&format!("{}: {error}\n", terminal.bold("error")));
            }
        }
    }
    if corrupt { Err(Exit::Failed) } else { Ok(()) }
}

fn is_savepoint(file: &Path) -> bool {
    let mut first = [0; SAVEPOINT_MAGIC.len()];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && first == SAVEPOINT_MAGIC
}

fn described(
    file: &Path,
    savepoint: Result<FileReader, StateError>,
) -> Result<Map<String, Value>, StateError> {
    let mut savepoint = savepoint?;
    let survey = savepoint.survey()?;
    let head = savepoint.head();
    let mut entry = list::described(&head.origin.pipeline, head.incarnation, &head.progress, &survey);
    entry.insert("file".to_owned(), json!(file.display().to_string()));
    entry.insert("instance".to_owned(), json!(head.origin.instance));
    entry.insert("taken".to_owned(), json!(list::time(head.origin.taken)));
    entry.insert("text".to_owned(), json!(head.origin.text.map(|text| format!("{text:016x}"))));
    Ok(entry)
}

fn print(file: &Path, entry: &Map<String, Value>, terminal: &Terminal) {
    terminal.print(&match terminal.json {
        true => format!("{}\n", Value::Object(entry.clone())),
        false => format!("{}\n{}", file.display(), list::text(entry)),
    });
}
