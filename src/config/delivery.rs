//! How often an event that came in has its effect at a sink: what a pipeline's `options` and each sink may ask for.

use super::read;
use super::section::{Keys, Setting};
use crate::time::Millis;
use std::fmt;
use std::ops::RangeInclusive;

/// How often a checkpoint is taken where nobody says.
pub const CHECKPOINT: Millis = Millis(10_000);

/// How often it may be taken: more often would only write, more rarely would repeat too much.
pub const CHECKPOINTS: RangeInclusive<Millis> = Millis(10)..=Millis(3_600_000);

/// How often an event that came in has its effect at a sink, whenever the process ends and runs again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Once or more.
    #[default]
    AtLeastOnce,
    /// Once.
    ExactlyOnce,
}

impl Delivery {
    /// Reads it as it is written.
    pub fn read(setting: Setting<'_>) -> Option<Delivery> {
        let all = [Delivery::AtLeastOnce, Delivery::ExactlyOnce];
        read::word(&all.map(|delivery| (delivery.name(), delivery)), &[])(setting)
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Delivery::AtLeastOnce => "at_least_once",
            Delivery::ExactlyOnce => "exactly_once",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The keys of `checkpoint`, where it is a map.
pub const CHECKPOINT_OPTIONS: Keys<'static> =
    Keys::of(&["every", "min_pause", "timeout", "tolerated_failures"]);

/// How checkpoints are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpointing {
    /// From one to the next.
    pub every: Millis,
    /// The least time between the end of one and the next; None: half of that.
    pub min_pause: Option<Millis>,
    /// One that is under way for longer counts as failed; None: a minute, or three times that if it is longer.
    pub timeout: Option<Millis>,
    /// After more failures in a row than these the pipeline fails; None: it is tried again without end.
    pub tolerated_failures: Option<u32>,
}

impl Default for Checkpointing {
    fn default() -> Checkpointing {
        Checkpointing { every: CHECKPOINT, min_pause: None, timeout: None, tolerated_failures: None }
    }
}

impl Checkpointing {
    /// Reads it as it is written: a duration, or a map.
    pub fn read(setting: Setting<'_>) -> Option<Checkpointing> {
        if setting.node.entries().is_none() {
            let every = read::duration_in(CHECKPOINTS)(setting)?;
            return Some(Checkpointing { every, ..Checkpointing::default() });
        }
        let section = setting.section("`checkpoint`", CHECKPOINT_OPTIONS);
        let failures = |setting: Setting<'_>| {
            let unlimited = setting.node.scalar() == Some("unlimited");
            if unlimited { Some(None) } else { read::integer(0..=1_000_000)(setting).map(|n| Some(n as u32)) }
        };
        Some(Checkpointing {
            every: section.or("every", CHECKPOINT, read::duration_in(CHECKPOINTS)),
            min_pause: section.optional("min_pause", read::duration),
            timeout: section.optional("timeout", read::positive_duration),
            tolerated_failures: section.optional("tolerated_failures", failures).flatten(),
        })
    }
}
