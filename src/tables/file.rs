//! `file`: the rows of a file, which is read again when it changes.

use crate::config::{Role, Setting, read};
use crate::dataflow::{
    ComponentSpec, FormatPlan, NodePlanner, OpenTable, OptionKind, OptionSpec, SharedTable, TableHead,
    TableKeeper, TableLayout, TablePlan, TableSpec, column_names, read_rows,
};
use crate::expr::Type;
use crate::time::{Millis, Timestamp};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The registry entry.
pub const FILE: TableSpec = TableSpec { spec: &SPEC, decodes: true, plan };

const SPEC: ComponentSpec = ComponentSpec {
    name: "file",
    role: Role::Table,
    summary: "The rows of a file, at most 64 MiB and a million of them. It is watched: once it has changed and stays the same \
              for a second, it is read again, and events from then on meet the new rows. A file that has become unreadable, \
              or holds two rows of one key, changes nothing: the old rows stay, and an error says so. Where it is missing \
              or unreadable at the start, the pipeline does not start.",
    short: None,
    options: &[OptionSpec::required(
        "path",
        OptionKind::Path,
        "Where it is; a relative path starts at the pipeline's file.",
    )],
    later: &[],
    example: "\
transforms:
  placed:
    from: readings
    lookup: { table: assets, match: asset = device }
tables:
  assets:
    file: { path: data/assets.csv }
    format: csv
    key: [asset]
tests:
  - name: a test reads the file, or states what the table holds
    tables: { assets: [{ asset: d1, line: L7 }] }
    steps:
      - send: { readings: { device: d1, temp: 20.5 } }
      - expect: { out: [{ device: d1, temp: 20.5, line: L7 }] }
",
};

/// The largest file.
const MOST_BYTES: u64 = 64 << 20;
/// How often it is looked at.
const LOOK_EVERY: Millis = Millis(500);

fn plan(planner: &NodePlanner<'_>, head: &TableHead<'_>, setting: Setting<'_>) -> Option<Box<dyn TablePlan>> {
    let section = SPEC.open(setting);
    let path = PathBuf::from(section.required("path", read::text)?);
    let file =
        TableFile { shown: path.clone(), path: planner.folder.join(&path), format: head.format.clone() };
    let (columns, fault) = match file.look(head.key) {
        Ok((columns, fault)) => (Some(columns), fault),
        Err(fault) => (None, Some(fault)),
    };
    Some(Box::new(FilePlan { file, columns, fault }))
}

/// A file as a table.
#[derive(Debug)]
struct FilePlan {
    file: TableFile,
    columns: Option<Vec<String>>,
    fault: Option<String>,
}

impl TablePlan for FilePlan {
    fn describe(&self) -> String {
        format!("file {} as {}", self.file.shown.display(), self.file.format.describe())
    }

    fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    fn type_of(&self, column: &str) -> Type {
        let known = self.file.format.known_fields().into_iter().flatten();
        let fixed = known.into_iter().find(|(name, _)| name == column).map(|(_, ty)| ty);
        fixed.unwrap_or_else(|| self.file.format.type_of(column))
    }

    fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    fn open(&self, layout: &TableLayout) -> Result<OpenTable, String> {
        let stamp = self.file.stamp();
        let rows = self.file.rows(layout)?;
        let keeper = Watch { file: self.file.clone(), layout: layout.clone(), tried: stamp, seen: stamp };
        Ok(OpenTable::of(Some(rows), Some(Box::new(keeper))))
    }
}

/// Where a table is and how it is read.
#[derive(Clone, Debug)]
struct TableFile {
    path: PathBuf,
    /// As it is written.
    shown: PathBuf,
    format: Arc<dyn FormatPlan>,
}

/// What changes with a file: its inode, length, and when it was written.
type Stamp = (u64, u64, i64, i64);

impl TableFile {
    fn stamp(&self) -> Option<Stamp> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    }

    fn unreadable(&self, why: &str) -> String {
        format!("`{}` cannot be read: {why}", self.shown.display())
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = open(&self.path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 > MOST_BYTES => Err(self.unreadable("it is larger than 64 MiB")),
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.unreadable(&error.to_string())),
        }
    }

    /// The columns, and what is wrong with the rows.
    fn look(&self, key: &[String]) -> Result<(Vec<String>, Option<String>), String> {
        let bytes = self.read()?;
        let columns = column_names(&*self.format, &bytes).map_err(|error| self.unreadable(&error))?;
        // A column that is not there is told of at its place.
        let has_key = key.iter().all(|name| columns.contains(name));
        let layout = TableLayout { columns: key.to_vec(), key: key.len() };
        let fault = has_key.then(|| read_rows(&*self.format, &layout, bytes).err()).flatten();
        Ok((columns, fault.map(|fault| self.unreadable(&fault))))
    }

    fn rows(&self, layout: &TableLayout) -> Result<crate::dataflow::TableRows, String> {
        let bytes = self.read()?;
        read_rows(&*self.format, layout, bytes).map_err(|error| self.unreadable(&error))
    }
}

/// Pipes and devices would hang or never end.
fn open(path: &Path) -> std::io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    File::open(path)
}

/// Reads a file again when it has changed.
struct Watch {
    file: TableFile,
    layout: TableLayout,
    /// How it was when it was read last, whether or not that went well.
    tried: Option<Stamp>,
    /// How it was at the last look: what still changes is not read.
    seen: Option<Stamp>,
}

impl TableKeeper for Watch {
    fn keep(&mut self, table: &SharedTable, _now: (Timestamp, Millis)) -> Millis {
        let stamp = self.file.stamp();
        if stamp != self.tried && stamp == self.seen {
            self.tried = stamp;
            let path = self.file.shown.display();
            match self.file.rows(&self.layout) {
                Ok(rows) => {
                    tracing::info!("table: `{path}` has changed and was read again");
                    table.replace(rows);
                }
                Err(error) => tracing::error!("table: {error}; the rows that were read before stay"),
            }
        }
        self.seen = stamp;
        LOOK_EVERY
    }
}
