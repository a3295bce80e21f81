//! What a source may say beside its connector about staying connected.

use super::spec::{OptionKind, OptionSpec};
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
        "none",
        OptionKind::Word(&["none"]),
        "How input survives an end of the process. This version has `none`, also with a data directory: what is \
         acknowledged has gone through, and what nodes keep of it is in memory.",
    ),
];

/// Reads `durable`: a word, or in a later version `{ journal: { sync: 200ms } }`.
fn durable(setting: Setting<'_>) -> Option<()> {
    const LATER: &[&str] = &["journal", "checkpoint"];
    match setting.node.entries() {
        Some(_) => {
            setting.section("`durable`", Keys { known: &["none"], later: LATER, hints: &[] });
            None
        }
        None => read::word(&[("none", ())], LATER)(setting),
    }
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
}

impl Upkeep {
    /// Reads the keys beside a connector.
    pub fn plan(section: &Section<'_>) -> Upkeep {
        let words = [("retry", Startup::Retry), ("fail", Startup::Fail)];
        section.optional("durable", durable);
        Upkeep {
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
