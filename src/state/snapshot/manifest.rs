//! What is in a snapshot: written last, so that what it names is there.

use super::super::number::{Epoch, Incarnation};
use super::error::SnapshotError;
use super::parts::PART_LIMIT;
use super::target::SnapshotOwner;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};

/// The format of manifests and of what they name.
pub const MANIFEST_VERSION: u64 = 1;

/// The longest manifest that is read: one of about a terabyte.
pub const MANIFEST_LIMIT: usize = 64 << 20;

/// The name of a snapshot among those of its pipeline: its time. Names sort as times do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId(String);

const ID_FORM: &str = "%Y%m%dT%H%M%S.%3fZ";

impl SnapshotId {
    /// The one of a moment.
    pub fn at(time: Timestamp) -> SnapshotId {
        let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
        SnapshotId(time.strftime(ID_FORM).to_string())
    }

    /// Reads one, as it is written.
    pub fn parse(text: &str) -> Option<SnapshotId> {
        let id = SnapshotId::at(SnapshotId(text.to_owned()).time()?);
        (id.0 == text).then_some(id)
    }

    /// Its moment.
    pub fn time(&self) -> Option<Timestamp> {
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.fZ", &self.0).ok()?;
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Timestamp(time.timestamp().as_millisecond()))
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of a part's bytes, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartName(String);

impl PartName {
    /// The name of some bytes.
    pub fn of(bytes: &[u8]) -> PartName {
        let mut name = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            // Writing to a text does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        PartName(name)
    }

    fn parse(text: &str) -> Option<PartName> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| PartName(text.to_owned()))
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its name.
    pub name: String,
    /// Its parts in order, with their sizes.
    pub parts: Vec<(PartName, usize)>,
}

impl ManifestFile {
    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| *bytes as u64).sum()
    }
}

/// What is in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Whose state it is.
    pub owner: SnapshotOwner,
    /// Which life of the folder it is of.
    pub incarnation: Incarnation,
    /// The last epoch in it.
    pub epoch: Epoch,
    /// When it was made.
    pub time: Timestamp,
    /// Its files, in order.
    pub files: Vec<ManifestFile>,
}

impl Manifest {
    /// What the snapshot is called.
    pub fn id(&self) -> SnapshotId {
        SnapshotId::at(self.time)
    }

    /// Its name at the target.
    pub fn name(&self) -> String {
        format!("{}{}", self.owner.manifests(), self.id())
    }

    /// The size of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(ManifestFile::bytes).sum()
    }

    /// The names of all parts.
    pub fn parts(&self) -> impl Iterator<Item = &PartName> {
        self.files.iter().flat_map(|file| file.parts.iter().map(|(name, _)| name))
    }

    /// As it is kept: a line of JSON, and a line with the SHA-256 of the first.
    pub fn encode(&self) -> Vec<u8> {
        let part = |(name, bytes): &(PartName, usize)| json!({ "sha256": name.0, "bytes": bytes });
        let file = |file: &ManifestFile| json!({ "name": file.name, "parts": file.parts.iter().map(part).collect::<Vec<_>>() });
        let manifest = json!({
            "format": FORMAT,
            "version": MANIFEST_VERSION,
            "instance": self.owner.instance,
            "pipeline": self.owner.pipeline,
            "incarnation": format!("{:016x}", self.incarnation.0),
            "epoch": self.epoch.0,
            "time": self.id().0,
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
        });
        let mut text = manifest.to_string();
        let checksum = PartName::of(text.as_bytes());
        // Writing to a text does not fail.
        let _ = write!(text, "\n{checksum}\n");
        text.into_bytes()
    }

    /// Reads one; `name` is where it was found.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Manifest, SnapshotError> {
        let damaged = |what: &str| SnapshotError::damaged(name, what);
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
        let (line, checksum) = text.split_once('\n').ok_or_else(|| damaged("it is not whole"))?;
        if checksum.strip_suffix('\n') != Some(PartName::of(line.as_bytes()).0.as_str()) {
            return Err(damaged("its checksum is wrong"));
        }
        let value: Value = serde_json::from_str(line).map_err(|_| damaged("it is no JSON"))?;
        if value["format"] != FORMAT {
            return Err(damaged("it is no manifest"));
        }
        match value["version"].as_u64() {
            Some(MANIFEST_VERSION) => {}
            Some(version) => return Err(SnapshotError::Newer { name: name.to_owned(), version }),
            None => return Err(damaged("it has no version")),
        }
        let manifest = value.as_object().and_then(read).ok_or_else(|| damaged("it lacks something"))?;
        if manifest.name() != name {
            return Err(damaged("it belongs elsewhere"));
        }
        Ok(manifest)
    }
}

const FORMAT: &str = "headwater snapshot";

fn read(map: &Map<String, Value>) -> Option<Manifest> {
    let text = |key: &str| map.get(key)?.as_str();
    let incarnation = Incarnation(u64::from_str_radix(text("incarnation")?, 16).ok()?);
    let files = map.get("files")?.as_array()?.iter().map(read_file).collect::<Option<_>>()?;
    Some(Manifest {
        owner: SnapshotOwner::new(text("instance")?, text("pipeline")?).ok()?,
        incarnation,
        epoch: Epoch(map.get("epoch")?.as_u64()?),
        time: SnapshotId::parse(text("time")?)?.time()?,
        files,
    })
}

fn read_file(value: &Value) -> Option<ManifestFile> {
    let part = |part: &Value| {
        let bytes = usize::try_from(part["bytes"].as_u64()?).ok().filter(|bytes| *bytes <= PART_LIMIT)?;
        Some((PartName::parse(part["sha256"].as_str()?)?, bytes))
    };
    let parts = value["parts"].as_array()?.iter().map(part).collect::<Option<_>>()?;
    Some(ManifestFile { name: value["name"].as_str()?.to_owned(), parts })
}
