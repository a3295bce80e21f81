//! The options of a `file` sink.

use super::{FILE, FileMode, FileSink, FileSinkConfig};
use crate::config::{Setting, read};
use crate::dataflow::{NodePlanner, Sink, SinkPlan};
use std::path::PathBuf;

/// Plans a `file` sink.
pub fn plan(_planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = FILE.open(setting);
    let path = section.required("path", path);
    let modes = [("append", FileMode::Append), ("replace", FileMode::Replace)];
    let mode = section.or("mode", FileMode::Append, read::word(&modes, &[]));
    Some(Box::new(FileSinkPlan { path: path?, mode }))
}

/// A path relative to the working directory; `{{` is a brace.
fn path(setting: Setting<'_>) -> Option<PathBuf> {
    let text = read::text(setting)?.replace("{{", "\u{0}");
    if text.contains('{') {
        setting.error("a template in a path is not in this version").hint("a brace is written `{{`");
        return None;
    }
    Some(PathBuf::from(text.replace('\u{0}', "{")))
}

#[derive(Debug)]
struct FileSinkPlan {
    path: PathBuf,
    mode: FileMode,
}

impl SinkPlan for FileSinkPlan {
    fn describe(&self) -> String {
        format!("file {}", self.path.display())
    }

    fn target(&self) -> Option<String> {
        // Two spellings of one path are one file: `./a` and `a`.
        let parts: PathBuf = self.path.components().collect();
        Some(format!("file {}", std::path::absolute(&parts).unwrap_or(parts).display()))
    }

    fn starts_anew(&self) -> bool {
        self.mode == FileMode::Replace
    }

    fn sink(&self, preamble: Vec<u8>) -> Box<dyn Sink> {
        Box::new(FileSink::new(FileSinkConfig { path: self.path.clone(), mode: self.mode, preamble }))
    }
}
