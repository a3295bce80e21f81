//! How a sink gathers events that its target takes together.

use super::sink::SinkPlan;
use super::spec::{OptionKind, OptionSpec, open_options};
use crate::config::{Section, Setting, read};
use crate::time::Millis;

/// The key beside a connector that this is about.
pub const BATCH: OptionSpec = OptionSpec::optional(
    "batch",
    OptionKind::Options(BATCH_OPTIONS),
    "How many events go to the target together, for sinks that gather them.",
);

const BATCH_OPTIONS: &[OptionSpec] = &[
    OptionSpec::or("events", "500", OptionKind::Integer, "With so many events a batch is full."),
    OptionSpec::or("bytes", "1MB", OptionKind::Size, "With so many bytes a batch is full."),
    OptionSpec::or(
        "every",
        "1s",
        OptionKind::Duration,
        "How long a batch that is not full waits for further events; `0s`: not at all.",
    ),
];

/// When a batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// With so many events it is full; at least one.
    pub events: usize,
    /// With so many bytes it is full; at least one.
    pub bytes: usize,
    /// How long it waits to become full.
    pub every: Millis,
}

impl Default for Batching {
    fn default() -> Batching {
        Batching { events: 500, bytes: 1_000_000, every: Millis(1_000) }
    }
}

impl Batching {
    /// Reads `batch` of a sink and tells it. A sink that gathers nothing cannot have it.
    pub fn plan(section: &Section<'_>, plan: &mut dyn SinkPlan, connector: &str) {
        let Some(setting) = section.get("batch") else { return };
        let Some(batching) = Batching::read(setting) else { return };
        if !plan.gather(batching) {
            let message = format!("`{connector}` gathers nothing: each event goes as it comes");
            setting.faults.error(setting.key, message).hint("leave `batch` away");
        }
    }

    fn read(setting: Setting<'_>) -> Option<Batching> {
        setting.node.entries().is_some().then_some(()).or_else(|| {
            setting.wrong("a map such as `{ events: 500, every: 1s }`");
            None
        })?;
        let options = open_options(setting, "`batch`", BATCH_OPTIONS, &[]);
        let usual = Batching::default();
        let events = options.or("events", usual.events as i64, read::integer(1..=1_000_000));
        let bytes = options.or("bytes", usual.bytes as u64, read::positive_size);
        Some(Batching {
            events: events as usize,
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            every: options.or("every", usual.every, read::duration),
        })
    }
}
