//! The options of a `file` sink.

use super::{FILE, FileMode, FileSink, FileSinkConfig, Packing, ROTATE, Rotation, SpreadSink};
use crate::config::{Setting, read};
use crate::dataflow::{NodePlanner, Sink, SinkPlan, Template, open_options};
use std::path::{Component, Path, PathBuf};

/// Bytes of the longest name of a file or folder, and of the longest path, that Linux takes.
const MAX_NAME: usize = 255;
const MAX_PATH: usize = 4095;

/// Plans a `file` sink.
pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = FILE.open(setting);
    let path = section.required("path", |setting| Template::plan(planner, setting, check));
    let modes = [("append", FileMode::Append), ("replace", FileMode::Replace)];
    let mode = section.or("mode", FileMode::Append, read::word(&modes, &[]));
    let rotation = section.optional("rotate", rotation);
    let sync = section.or("fsync", true, read::word(&[("checkpoint", true), ("never", false)], &[]));
    let path = path?;
    let fixed = path.fixed().map(PathBuf::from);
    Some(Box::new(FilePlan { path: [path], fixed, mode, rotation, sync, lines: true }))
}

fn rotation(setting: Setting<'_>) -> Option<Rotation> {
    let section = open_options(setting, "`rotate`", ROTATE, &[]);
    let packings = [("none", None), ("gzip", Some(Packing::Gzip)), ("zstd", Some(Packing::Zstd))];
    let rotation = Rotation {
        size: section.optional("size", size),
        every: section.optional("every", read::positive_duration),
        keep: section.optional("keep", read::integer(0..=1_000_000)).map(|keep| keep as usize),
        packing: section.or("compress", None, read::word(&packings, &[])),
    };
    if !section.has("size") && !section.has("every") && !section.is_broken() {
        section.error("`rotate` needs `size` or `every`").hint("`rotate: { size: 10MB }`");
        return None;
    }
    Some(rotation)
}

fn size(setting: Setting<'_>) -> Option<u64> {
    let size = read::size(setting)?;
    if size == 0 {
        setting.wrong("a size above zero");
        return None;
    }
    Some(size)
}

#[derive(Debug)]
struct FilePlan {
    path: [Template; 1],
    /// The path, where it is the same for all events.
    fixed: Option<PathBuf>,
    mode: FileMode,
    rotation: Option<Rotation>,
    sync: bool,
    lines: bool,
}

impl FilePlan {
    /// The one file that is never put aside.
    fn plain(&self) -> Option<&PathBuf> {
        self.fixed.as_ref().filter(|_| self.rotation.is_none())
    }
}

impl SinkPlan for FilePlan {
    fn describe(&self) -> String {
        match &self.fixed {
            Some(path) => format!("file {}", path.display()),
            None => format!("file {}", self.path[0].written()),
        }
    }

    fn target(&self) -> Option<String> {
        let path = self.fixed.clone().unwrap_or_else(|| PathBuf::from(self.path[0].written()));
        // Two spellings of one path are one file: `./a` and `a`.
        let parts: PathBuf = path.components().collect();
        Some(format!("file {}", std::path::absolute(&parts).unwrap_or(parts).display()))
    }

    fn address(&self) -> &[Template] {
        if self.plain().is_some() { &[] } else { &self.path }
    }

    fn separated_by(&mut self, separator: &[u8]) {
        self.lines = separator == b"\n";
    }

    fn delivers_exactly_once(&self) -> bool {
        true
    }

    fn is_lasting(&self) -> bool {
        self.sync
    }

    fn starts_anew(&self) -> bool {
        self.mode == FileMode::Replace
    }

    fn sink(&self, preamble: Vec<u8>) -> Box<dyn Sink> {
        let config = FileSinkConfig { mode: self.mode, preamble, lines: self.lines, sync: self.sync };
        match self.plain() {
            Some(path) => Box::new(FileSink::new(path.clone(), config)),
            None => Box::new(SpreadSink::new(config, self.rotation.unwrap_or_default(), self.fixed.clone())),
        }
    }
}

/// Whether a path may be written to: what events put into it must neither leave the folder that the template names, nor
/// make a name that no file can have.
fn check(path: &str, own: usize) -> Result<(), &'static str> {
    // Up to its last slash the template's own text decides where the path leads; a text without values is all its own.
    let own = path.get(..own).unwrap_or_default();
    let trusted =
        if own.len() == path.len() { own.len() } else { own.rfind('/').map_or(0, |slash| slash + 1) };
    let filled = Path::new(&path[trusted..]);
    if filled.is_absolute() {
        return Err("an event may not choose an absolute path");
    }
    if filled.components().any(|part| part == Component::ParentDir) {
        return Err("an event may not lead out of the folder by `..`");
    }
    if path.len() > MAX_PATH || filled.iter().any(|name| name.len() > MAX_NAME) {
        return Err("the path or a name in it is too long");
    }
    if path.contains('\0') || path.ends_with('/') || path.is_empty() {
        return Err("the path names no file");
    }
    Ok(())
}
