//! `headwater.yaml`: what holds for a process with all its pipelines.

mod serving;
mod telemetry;

pub use serving::{AUTH, GUARD_IT, LISTEN, Listen, NOWHERE, Serving, TLS, Tokens};
pub use telemetry::{TELEMETRY, Telemetry};

use std::fmt;
use std::path::PathBuf;

use super::diagnostic::Faults;
use super::environment::Environment;
use super::name;
use super::node::{Meaning, Node};
use super::params::Override;
use super::read;
use super::secrets::Secrets;
use super::section::{Keys, Section, Setting};
use super::source::Place;
use super::substitute::Substitution;
use super::yaml;
use crate::time::Millis;

/// The keys of `headwater.yaml`.
pub const PROCESS: Keys<'static> = Keys {
    known: &["data_dir", "instance", "listen", "auth", "tls", "limits", "snapshots", "params", "telemetry"],
    later: &["log", "reload", "restart", "connections"],
    hints: &[
        ("log", "`--log-level` and `--log-format` say what is logged"),
        ("sources", "a pipeline stands in a file of its own"),
        ("sinks", "a pipeline stands in a file of its own"),
        ("options", "they stand in the pipeline's file"),
    ],
};
/// The keys of `limits`.
pub const LIMITS: Keys<'static> = Keys::of(&["memory", "disk", "writes_per_day"]);
/// The keys of `snapshots`.
pub const SNAPSHOTS: Keys<'static> = Keys::of(&["every", "keep", "to"]);
/// The keys of `snapshots.to.s3`.
pub const S3: Keys<'static> =
    Keys::of(&["bucket", "prefix", "endpoint", "region", "access_key", "secret_key"]);

/// How many snapshots are kept where nobody says.
pub const KEEP: usize = 7;
/// The region of a bucket where nobody says.
pub const REGION: &str = "us-east-1";

/// The most snapshots that may be kept.
const MAX_KEEP: i64 = 10_000;
/// The longest id of an instance.
const LONGEST_ID: usize = 64;
/// The least memory that state can be told to stay within: 1 MiB.
const MIN_MEMORY: u64 = 1 << 20;

/// What holds for a process.
#[derive(Clone, Debug, Default)]
pub struct ProcessFile {
    /// Where what must last is kept, as written: a relative path starts at the working directory.
    pub data_dir: Option<PathBuf>,
    /// The id of this gateway among others that run the same files.
    pub instance: Option<String>,
    /// Where it listens, and who may ask it.
    pub serving: Serving,
    /// What it may use.
    pub limits: Limits,
    /// Copies of its state.
    pub snapshots: Option<Snapshots>,
    /// Who is told what is measured.
    pub telemetry: Telemetry,
    /// Values of the pipelines' parameters, with where each stands.
    pub params: Vec<(Override, Place)>,
}

/// What a process may use. None: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of state held in memory.
    pub memory: Option<u64>,
    /// Bytes in the data directory.
    pub disk: Option<u64>,
    /// Bytes written to the data directory a day.
    pub writes_per_day: Option<u64>,
}

/// Copies of the state of a running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// How often one is taken.
    pub every: Millis,
    /// How many are kept.
    pub keep: usize,
    /// Where they go.
    pub to: SnapshotTarget,
}

/// Where snapshots go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotTarget {
    /// A directory, as written: a relative path starts at the working directory.
    Directory(PathBuf),
    /// Storage that speaks the protocol of S3.
    S3(S3Target),
}

/// A bucket, and who may write to it.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Target {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The server; None: that of Amazon for the region.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// The name of the key.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
}

/// The key is not shown.
impl fmt::Debug for S3Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Target({} {}/{})", self.endpoint.as_deref().unwrap_or("-"), self.bucket, self.prefix)
    }
}

/// Reads the file behind `faults`. What is faulty was reported, and is left out.
pub fn read_process(faults: &Faults, environment: &dyn Environment) -> ProcessFile {
    let Some(mut root) = yaml::parse(faults) else { return ProcessFile::default() };
    Substitution::new(environment, Some(&[]), faults).node(&mut root);
    let section = Section::open(&root, Place::default(), "the configuration", PROCESS, faults);
    ProcessFile {
        data_dir: section.optional("data_dir", read::text).map(PathBuf::from),
        instance: section.optional("instance", instance),
        serving: serving::serving(&section),
        limits: section.optional("limits", |setting| Some(limits(setting))).unwrap_or_default(),
        snapshots: section.optional("snapshots", snapshots),
        telemetry: section
            .optional("telemetry", |setting| Some(telemetry::telemetry(setting)))
            .unwrap_or_default(),
        params: section.optional("params", read::map(param)).map(named).unwrap_or_default(),
    }
}

/// Whether it can be the id of an instance: servers must take it as part of names.
pub fn is_instance(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_ID && text.chars().all(name::is_inner)
}

fn instance(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    if !is_instance(text) {
        let reported = setting.wrong("an id");
        reported.hint("an id has letters, digits, `-` and `_`, at most 64 of them");
        return None;
    }
    Some(text.to_owned())
}

fn limits(setting: Setting<'_>) -> Limits {
    let section = setting.section("`limits`", LIMITS);
    Limits {
        memory: section.optional("memory", memory),
        disk: section.optional("disk", read::positive_size),
        writes_per_day: section.optional("writes_per_day", read::positive_size),
    }
}

fn memory(setting: Setting<'_>) -> Option<u64> {
    let bytes = read::size(setting)?;
    if bytes < MIN_MEMORY {
        setting.wrong("a size of at least 1MiB");
        return None;
    }
    Some(bytes)
}

fn snapshots(setting: Setting<'_>) -> Option<Snapshots> {
    let section = setting.section("`snapshots`", SNAPSHOTS);
    let every = section.required("every", read::positive_duration);
    let keep = section.or("keep", KEEP as i64, read::integer(1..=MAX_KEEP));
    let to = section.required("to", target);
    Some(Snapshots { every: every?, keep: usize::try_from(keep).unwrap_or(KEEP), to: to? })
}

fn target(setting: Setting<'_>) -> Option<SnapshotTarget> {
    if setting.node.entries().is_none() {
        return read::text(setting).map(|path| SnapshotTarget::Directory(PathBuf::from(path)));
    }
    let section = setting.section("`to`", Keys::of(&["s3"]));
    section.required("s3", s3).map(SnapshotTarget::S3)
}

fn s3(setting: Setting<'_>) -> Option<S3Target> {
    let section = setting.section("`s3`", S3);
    let owned = |text: &str| text.to_owned();
    let bucket = section.required("bucket", read::text);
    let access_key = section.required("access_key", read::text);
    let secret_key = section.required("secret_key", read::text);
    let endpoint = section.optional("endpoint", endpoint);
    if let Some(key) = secret_key {
        // It may stand in the file itself, too.
        let mut secrets = Secrets::default();
        secrets.add(key);
        setting.faults.keep_secret(&secrets);
    }
    Some(S3Target {
        bucket: bucket?.to_owned(),
        prefix: section.optional("prefix", read::any_text).map(owned).unwrap_or_default(),
        endpoint,
        region: section.optional("region", read::text).map_or_else(|| REGION.to_owned(), owned),
        access_key: access_key?.to_owned(),
        secret_key: secret_key?.to_owned(),
    })
}

fn endpoint(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) {
        setting.wrong("an address").hint("write `https://host:port`");
        return None;
    }
    Some(text.to_owned())
}

/// The value of a parameter, as text: what type it has is said by the pipeline.
fn param(setting: Setting<'_>) -> Option<(String, bool)> {
    name::check(setting.name, "parameter", setting.key, setting.faults);
    let node: &Node = setting.node;
    match (node.meaning(), node.scalar()) {
        (Meaning::Null, _) | (_, None) => {
            setting.wrong("a text, a number, `true` or `false`");
            None
        }
        (_, Some(text)) => Some((text.to_owned(), node.is_secret())),
    }
}

fn named(params: Vec<(Setting<'_>, (String, bool))>) -> Vec<(Override, Place)> {
    let named = |(setting, (value, secret)): (Setting<'_>, _)| {
        (Override { name: setting.name.to_owned(), value, secret }, setting.key)
    };
    params.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests;
