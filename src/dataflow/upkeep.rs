//! What a source may say beside its connector about staying connected.

use super::spec::{OptionKind, OptionSpec, open_options};
use crate::config::{Keys, Section, Setting, read};
use crate::time::Millis;

/// The keys beside a connector that this is about.
pub const UPKEEP_OPTIONS: &[OptionSpec] = &[
    OptionSpec::or(
        "startup",
        "retry",
        OptionKind::Word(&["retry", "fail"]),
        "Whether a server that cannot be reached at the start is tried again, or ends the pipeline.",
    ),
    OptionSpec::optional(
        "stale_after",
        OptionKind::Duration,
        "Connects anew when nothing has come for this long, though the connection looks alive.",
    ),
    OptionSpec::or(
        "durable",
        "journal",
        OptionKind::Any(&[
            OptionKind::Word(&["journal", "checkpoint", "none"]),
            OptionKind::Options(&[OptionSpec::optional(
                "journal",
                OptionKind::Options(JOURNAL_OPTIONS),
                "The journal.",
            )]),
        ]),
        "How input survives an end of the process, where there is a data directory. `journal`: it is written down before \
         it is acknowledged, together with what else came within `sync` (`{ journal: { sync: 200ms } }`); `checkpoint`: \
         it is acknowledged when what it led to is saved; `none`: when it has gone through, and what nodes keep of it \
         may be lost.",
    ),
];

const JOURNAL_OPTIONS: &[OptionSpec] = &[OptionSpec::or(
    "sync",
    "200ms",
    OptionKind::Duration,
    "How long input waits for more, to be written at once.",
)];

/// How input survives an end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// It is acknowledged when it stands in the journal, which is written so often.
    Journal(Millis),
    /// It is acknowledged when a checkpoint covers it.
    Checkpoint,
    /// It is acknowledged when it has gone through.
    No,
}

/// How often a journal is written where nothing else is said.
const USUAL_SYNC: Millis = Millis(200);
/// The longest that an acknowledgement may wait for the journal.
const LONGEST_SYNC: Millis = Millis(60_000);
/// Events a second below which a source that waits for checkpoints is said to be slow.
const SLOW: u64 = 100;

impl Default for Durable {
    fn default() -> Durable {
        Durable::Journal(USUAL_SYNC)
    }
}

impl Durable {
    /// What is to be said where a source may have only so many events under way and checkpoints come so often.
    pub fn slowness(self, under_way: u64, checkpoint: Millis) -> Option<String> {
        let most = under_way.saturating_mul(1000) / checkpoint.0.max(1) as u64;
        (self == Durable::Checkpoint && most < SLOW).then(|| {
            format!("at most {most} events a second: {under_way} may be unacknowledged, and a checkpoint comes every {checkpoint}")
        })
    }
}

/// Reads `durable`: a word, or `{ journal: { sync: 200ms } }`.
fn durable(setting: Setting<'_>) -> Option<Durable> {
    let words = [("journal", Durable::default()), ("checkpoint", Durable::Checkpoint), ("none", Durable::No)];
    if setting.node.entries().is_none() {
        return read::word(&words, &[])(setting);
    }
    let section = setting.section("`durable`", Keys { known: &["journal"], later: &[], hints: &[] });
    section.required("journal", |setting| {
        let options = open_options(setting, "`journal`", JOURNAL_OPTIONS, &[]);
        Some(Durable::Journal(options.or("sync", USUAL_SYNC, sync)))
    })
}

fn sync(setting: Setting<'_>) -> Option<Millis> {
    let span = read::positive_duration(setting)?;
    if span > LONGEST_SYNC {
        setting.wrong("a duration of at most 1m");
        return None;
    }
    Some(span)
}

/// What happens when the server cannot be reached at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Startup {
    /// It is tried again until it can.
    #[default]
    Retry,
    /// The pipeline fails.
    Fail,
}

/// How a source stays connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// What happens when the server cannot be reached at the start.
    pub startup: Startup,
    /// How long nothing may come before the connection is made anew.
    pub stale_after: Option<Millis>,
    /// How what came survives.
    pub durable: Durable,
    /// Whether somebody wants it so, or nothing was said.
    pub durable_is_written: bool,
}

impl Upkeep {
    /// Reads the keys beside a connector.
    pub fn plan(section: &Section<'_>) -> Upkeep {
        let words = [("retry", Startup::Retry), ("fail", Startup::Fail)];
        Upkeep {
            durable: section.or("durable", Durable::default(), durable),
            durable_is_written: section.has("durable"),
            startup: section.or("startup", Startup::Retry, read::word(&words, &[])),
            stale_after: section.optional("stale_after", read::positive_duration),
        }
    }

    /// Reports keys that mean nothing at a source without a connection.
    pub fn refuse(section: &Section<'_>, connector: &str) {
        for option in UPKEEP_OPTIONS {
            if let Some(setting) = section.get(option.name) {
                let message = format!("`{}` means nothing at `{connector}`", option.name);
                let reported = setting.faults.error(setting.key, message);
                reported.hint("it is for sources that keep a connection, such as `mqtt`");
            }
        }
    }
}
