//! The options of a `file` source.

use super::follow::Follower;
use super::labelled::Labelled;
use super::paths::Place;
use super::whole::{Settled, Whole};
use super::{Compression, FILE, FileSource, FileSourceConfig, Start, failed};
use crate::config::{Setting, read};
use crate::dataflow::{FormatPlan, NodePlanner, PlannedSource, Replay, RowSource, SourceError, SourcePlan};
use crate::event::Slot;
use crate::expr::SourceField;
use crate::formats::Decoder;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const COMPRESSIONS: [(&str, Compression); 4] = [
    ("auto", Compression::Auto),
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
];

/// Plans a `file` source.
pub fn plan(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    format: &dyn FormatPlan,
) -> Option<PlannedSource> {
    let section = FILE.open(setting);
    let places = section.required("path", read::one_or_list(|item| place(planner.folder, item)));
    let start =
        section.or("start", Start::Begin, read::word(&[("begin", Start::Begin), ("end", Start::End)], &[]));
    let compression = section.or("compression", Compression::Auto, read::word(&COMPRESSIONS, &[]));
    let follow = section.or("follow", false, read::boolean);
    if let (Compression::Gzip | Compression::Zstd, Some(setting)) = (compression, section.get("compression"))
    {
        if follow {
            setting.error("a packed file cannot be followed").hint("follow the file before it is packed");
        } else if start == Start::End {
            setting.error("a packed file has no end to start at");
        }
    }
    let plan = FilePlan::new(places?, start, compression, None);
    let stage = planner.decoded_stage(format);
    let plan: Box<dyn SourcePlan> = match follow {
        true => Box::new(FollowPlan(plan)),
        false => Box::new(plan),
    };
    Some(PlannedSource { plan, stage })
}

/// A path relative to the pipeline's folder, or a glob.
fn place(folder: &Path, item: Setting<'_>) -> Option<Place> {
    Place::new(folder, read::text(item)?).map_err(|message| item.error(message)).ok()
}

#[derive(Debug)]
pub(super) struct FilePlan {
    places: Vec<Place>,
    start: Start,
    compression: Compression,
    /// Where the path that an event came from goes.
    topic: Option<Slot>,
    /// All paths as they are read, and which of them were read before.
    files: Arc<[PathBuf]>,
    settled: Arc<Settled>,
}

impl FilePlan {
    pub(super) fn new(
        places: Vec<Place>,
        start: Start,
        compression: Compression,
        topic: Option<Slot>,
    ) -> FilePlan {
        let path = |place: &Place| match place {
            Place::File(path) => path.clone(),
            // Looked up before a run, and never read as it is.
            Place::Glob(..) => PathBuf::from(place.written()),
        };
        let files = places.iter().map(path).collect();
        FilePlan { places, start, compression, topic, files, settled: Arc::default() }
    }

    fn names(&self) -> String {
        self.places.iter().map(Place::written).collect::<Vec<_>>().join(", ")
    }

    fn replayed(&self) -> Replay {
        match self.start {
            Start::Begin => Replay::FromStart,
            Start::End => Replay::Gone,
        }
    }

    /// All files, each once, in the order of the places and within them of names.
    fn files(&self) -> Result<Vec<PathBuf>, SourceError> {
        let mut files: Vec<PathBuf> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for place in &self.places {
            let found = place.files().map_err(|error| failed("list", Path::new(&place.written()), error))?;
            if found.is_empty() {
                let message = format!(
                    "no file matches `{}`: is it right, seen from the pipeline's file?",
                    place.written()
                );
                return Err(SourceError { message });
            }
            files.extend(found.into_iter().filter(|path| seen.insert(path.clone())));
        }
        Ok(files)
    }
}

impl SourcePlan for FilePlan {
    fn describe(&self) -> String {
        format!("file {}", self.names())
    }

    fn is_live(&self) -> bool {
        false
    }

    fn replay(&self) -> Replay {
        self.replayed()
    }

    fn found(&self) -> Result<Option<Box<dyn SourcePlan>>, SourceError> {
        let places = self.files()?.into_iter().map(Place::File).collect();
        Ok(Some(Box::new(FilePlan::new(places, self.start, self.compression, self.topic))))
    }

    fn provide(&mut self, wanted: Vec<(SourceField, Slot)>) {
        self.topic = topic(wanted);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn partitions(&self) -> usize {
        self.places.len()
    }

    fn is_one_partition(&self) -> bool {
        matches!(self.places[..], [Place::File(_)])
    }

    fn partition(&self, number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        let (path, start) = (self.files[number].clone(), self.start);
        let config = FileSourceConfig { path: path.clone(), start, compression: self.compression };
        let source = FileSource::new(config);
        let (files, settled) = (self.files.clone(), self.settled.clone());
        let whole = Whole::new((path, start), source, decoder(), files, settled);
        Labelled::around(Box::new(whole), self.topic, self.places[number].written())
    }
}

/// Files that are followed: one partition finds them, and each that it finds is a partition of its own.
#[derive(Debug)]
struct FollowPlan(FilePlan);

impl SourcePlan for FollowPlan {
    fn describe(&self) -> String {
        format!("file {}, followed", self.0.names())
    }

    fn is_live(&self) -> bool {
        true
    }

    fn replay(&self) -> Replay {
        self.0.replayed()
    }

    fn provide(&mut self, wanted: Vec<(SourceField, Slot)>) {
        self.0.topic = topic(wanted);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn partitions(&self) -> usize {
        1
    }

    fn partition(&self, _number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        let FilePlan { places, start, compression, topic, .. } = &self.0;
        let pass_packed = *compression == Compression::Auto;
        Box::new(Follower::new(places.clone(), *start, pass_packed, *topic, decoder()))
    }
}

/// Where the path goes, if it is asked for. A file has no key, offset or header to tell.
fn topic(wanted: Vec<(SourceField, Slot)>) -> Option<Slot> {
    wanted.into_iter().find(|(field, _)| *field == SourceField::Topic).map(|(_, slot)| slot)
}
