//! The options of a `file` source.

use super::{FILE, FileSource, FileSourceConfig, Start};
use crate::config::{Setting, read};
use crate::dataflow::{FormatPlan, Framed, NodePlanner, PlannedSource, Replay, RowSource, SourcePlan};
use crate::formats::Decoder;
use std::path::{Path, PathBuf};

/// Plans a `file` source.
pub fn plan(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    format: &dyn FormatPlan,
) -> Option<PlannedSource> {
    let section = FILE.open(setting);
    let paths = section.required("path", read::one_or_list(|item| path(planner.folder, item)));
    let start =
        section.or("start", Start::Begin, read::word(&[("begin", Start::Begin), ("end", Start::End)], &[]));
    let plan = Box::new(FileSourcePlan { paths: paths?, start });
    Some(PlannedSource { plan, stage: planner.decoded_stage(format) })
}

/// A path relative to the pipeline's folder.
fn path(folder: &Path, item: Setting<'_>) -> Option<PathBuf> {
    let text = read::text(item)?;
    if text.contains(['*', '?', '[']) {
        item.error("a glob is not in this version").hint("list the files: `path: [a.ndjson, b.ndjson]`");
        return None;
    }
    Some(folder.join(text))
}

#[derive(Debug)]
struct FileSourcePlan {
    paths: Vec<PathBuf>,
    start: Start,
}

impl SourcePlan for FileSourcePlan {
    fn describe(&self) -> String {
        let names: Vec<String> = self.paths.iter().map(|path| path.display().to_string()).collect();
        format!("file {}", names.join(", "))
    }

    fn is_live(&self) -> bool {
        false
    }

    fn replay(&self) -> Replay {
        match self.start {
            Start::Begin => Replay::FromStart,
            Start::End => Replay::Gone,
        }
    }

    fn partitions(&self) -> usize {
        self.paths.len()
    }

    fn partition(&self, number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        let config = FileSourceConfig { path: self.paths[number].clone(), start: self.start };
        Box::new(Framed::new(Box::new(FileSource::new(config)), decoder(), self.paths.len()))
    }
}
