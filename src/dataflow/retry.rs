//! How a target that takes nothing for now is tried again.

use super::spec::{OptionKind, OptionSpec, open_options};
use crate::config::{Section, Setting, read};
use crate::time::Millis;

/// The key beside a sink's connector that this is about.
pub const RETRY_OPTION: OptionSpec = OptionSpec::optional(
    "retry",
    OptionKind::Options(RETRY_OPTIONS),
    "How a target that takes nothing for now (a full disk, a server that is away) is tried again.",
);

const RETRY_OPTIONS: &[OptionSpec] = &[
    OptionSpec::or(
        "first",
        "100ms",
        OptionKind::Duration,
        "The pause before the first try; each further one is twice as long.",
    ),
    OptionSpec::or("max", "1m", OptionKind::Duration, "The longest pause."),
    OptionSpec::or(
        "attempts",
        "unlimited",
        OptionKind::Any(&[OptionKind::Word(&["unlimited"]), OptionKind::Integer]),
        "How many tries in a row may fail before the pipeline does.",
    ),
];

/// How a target that takes nothing for now is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The pause before the first try; each further one is twice as long.
    pub first: Millis,
    /// The longest pause.
    pub max: Millis,
    /// How many tries in a row may fail; None: any number.
    pub attempts: Option<u32>,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { first: Millis(100), max: Millis(60_000), attempts: None }
    }
}

impl Retry {
    /// Reads `retry` of a sink; None where it does not stand.
    pub fn plan(section: &Section<'_>) -> Option<Retry> {
        let setting = section.get("retry")?;
        let options = open_options(setting, "`retry`", RETRY_OPTIONS, &[]);
        let usual = Retry::default();
        let first = options.or("first", usual.first, read::positive_duration);
        let max = options.optional("max", read::positive_duration);
        if let (Some(setting), Some(max)) = (options.get("max"), max)
            && max < first
        {
            setting.error(format!("`max: {max}` is shorter than the first pause, {first}"));
        }
        let max = max.unwrap_or(usual.max.max(first));
        Some(Retry { first, max, attempts: options.or("attempts", None, attempts) })
    }

    /// The pause behind one of that length.
    pub fn longer(&self, pause: Millis) -> Millis {
        Millis(pause.0.saturating_mul(2)).min(self.max)
    }
}

fn attempts(setting: Setting<'_>) -> Option<Option<u32>> {
    match setting.node.scalar() {
        Some("unlimited") => Some(None),
        _ => read::integer(1..=1_000_000)(setting).map(|count| u32::try_from(count).ok()),
    }
}
