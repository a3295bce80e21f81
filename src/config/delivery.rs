//! How often an event that came in has its effect at a sink: what a pipeline's `options` and each sink may ask for.

use super::read;
use super::section::Setting;
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
