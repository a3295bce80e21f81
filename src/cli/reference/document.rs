//! What a pipeline's file holds beside its nodes, as data: for the schema and the reference.

use crate::dataflow::{OptionKind, OptionSpec};

const CHECKPOINT: &[OptionSpec] = &[
    OptionSpec::or("every", "10s", OptionKind::Duration, "How often: from 10ms to 1h."),
    OptionSpec::optional(
        "min_pause",
        OptionKind::Duration,
        "The least time between the end of one and the begin of the next; absent: half of `every`.",
    ),
    OptionSpec::optional(
        "timeout",
        OptionKind::Duration,
        "One that takes longer is told of and counts as failed, but goes on; absent: a minute, or three times `every`.",
    ),
    OptionSpec::or(
        "tolerated_failures",
        "unlimited",
        OptionKind::Any(&[OptionKind::Integer, OptionKind::Word(&["unlimited"])]),
        "After more failures in a row the pipeline fails. Else they are waited out: sources are held back, and nothing is lost.",
    ),
];

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::or(
        "delivery",
        "at_least_once",
        OptionKind::Word(&["at_least_once", "exactly_once"]),
        "What holds for every event, at each sink that says nothing else: see `headwater explain`.",
    ),
    OptionSpec::or(
        "checkpoint",
        "10s",
        OptionKind::Any(&[OptionKind::Duration, OptionKind::Options(CHECKPOINT)]),
        "How often state, positions in the input and output that waits become durable: from 10ms to 1h; or a map.",
    ),
    OptionSpec::or("parallelism", "1", OptionKind::Integer, "How many threads share the keys."),
    OptionSpec::or(
        "state_ttl",
        "unlimited",
        OptionKind::Any(&[OptionKind::Duration, OptionKind::Word(&["unlimited"])]),
        "How long nodes keep what they have of a key that has no events any more, by event time; a node may say otherwise. It \
         is for what would else be kept for ever, such as `changed`, `previous(x)` and `count` windows: see `headwater \
         explain`.",
    ),
];

/// The keys of a file that hold no nodes and no tests.
pub const HEAD: &[OptionSpec] = &[
    OptionSpec::optional("pipeline", OptionKind::Text, "Its name; absent: the file's, without the ending."),
    OptionSpec::optional("description", OptionKind::Text, "What it is for."),
    OptionSpec::optional("options", OptionKind::Options(OPTIONS), "How it runs."),
    OptionSpec::optional(
        "params",
        OptionKind::Map(&OptionKind::Any(&[OptionKind::Text, OptionKind::Number, OptionKind::Boolean])),
        "Names with their defaults, which also say the type; `headwater.yaml` and `--set name=value` override them.",
    ),
    OptionSpec::optional(
        "plugins",
        OptionKind::OneOrList(&OptionKind::Text),
        "Lua scripts that register functions, aggregates and triggers for all nodes: paths from the file, with `*` for any \
         name.",
    ),
];

/// The keys of a test beside its steps.
pub const TEST: &[OptionSpec] = &[
    OptionSpec::required("name", OptionKind::Text, "What it shows."),
    OptionSpec::optional(
        "now",
        OptionKind::Any(&[OptionKind::Duration, OptionKind::Time]),
        "Where the clock starts; absent: at the time of the first event.",
    ),
    OptionSpec::optional(
        "params",
        OptionKind::Map(&OptionKind::Any(&[OptionKind::Text, OptionKind::Number, OptionKind::Boolean])),
        "Parameters that differ from their defaults.",
    ),
    OptionSpec::optional(
        "ignore",
        OptionKind::OneOrList(&OptionKind::Text),
        "Sinks that may put out what no `expect` looks at.",
    ),
    OptionSpec::optional(
        "tables",
        OptionKind::Map(&OptionKind::List(&OptionKind::Map(&OptionKind::Text))),
        "What tables hold, `{ table: [rows] }`; absent: what their files hold. Tables that are asked of a server must be \
         stated.",
    ),
    OptionSpec::or(
        "auto_watermark",
        "false",
        OptionKind::Boolean,
        "Whether sources move their watermarks by themselves.",
    ),
];

/// What can happen in a test, and in words what stands there.
pub const STEPS: &[(&str, &str)] = &[
    (
        "send",
        "Events come in: `{ source: [events] }`. A map is a decoded event, a text what the source reads.",
    ),
    ("watermark", "Sources say how far they are: `{ source: time }`."),
    ("advance", "Processing time goes on by a duration."),
    ("close", "Sources end: a name, or a list of names."),
    (
        "expect",
        "What outputs put out since they were last looked at: `{ node: [events] }`; `[]` means nothing. \
         `ordered: true` and `exact: true` may stand beside it: events in this order, and without other fields. \
         It sees output at once, also where `exactly_once` would hold it until the next checkpoint.",
    ),
];

/// What can happen in a test and is one word.
pub const WORDS: &[(&str, &str)] = &[
    ("checkpoint", "State, offsets and output become durable."),
    (
        "restart",
        "The process dies here and goes on from the last checkpoint (or from nothing): output since then that no `expect` \
         has looked at is gone, and sources give again what they gave since.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PIPELINE_OPTIONS, Role, TOP_LEVEL};

    fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_key_of_a_file_is_documented() {
        let roles = [Role::Source, Role::Transform, Role::Window, Role::Sink, Role::Table].map(Role::section);
        let documented = HEAD.iter().map(|option| option.name).chain(roles).chain(["tests"]);
        assert_eq!(sorted(documented), sorted(TOP_LEVEL.known.iter().copied()));
        let documented = OPTIONS.iter().map(|option| option.name);
        assert_eq!(sorted(documented), sorted(PIPELINE_OPTIONS.known.iter().copied()));
    }

    #[test]
    fn every_key_of_a_test_is_documented() {
        use crate::cli::test::{ACTIONS, CASE_KEYS, WORDS as WORDS_OF_TESTS};
        let documented = TEST.iter().map(|option| option.name).chain(["steps"]);
        assert_eq!(sorted(documented), sorted(CASE_KEYS.iter().copied()));
        assert_eq!(
            sorted(super::WORDS.iter().map(|(name, _)| *name)),
            sorted(WORDS_OF_TESTS.iter().copied())
        );
        assert_eq!(sorted(STEPS.iter().map(|(name, _)| *name)), sorted(ACTIONS.iter().copied()));
    }
}
