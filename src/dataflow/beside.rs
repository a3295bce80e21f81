//! What may stand in a node beside its component, as data. Which keys there are is said by [`Role::keys`]; what they
//! are for is said here, and a test keeps the two together.

use super::batching::BATCH;
use super::buffer::DELIVERY_OPTIONS;
use super::retry::RETRY_OPTION;
use super::spec::{OptionKind, OptionSpec};
use super::timing::TIMING_OPTIONS;
use super::upkeep::UPKEEP_OPTIONS;
use crate::config::Role;

const FROM: OptionSpec = OptionSpec::required(
    "from",
    OptionKind::OneOrList(&OptionKind::Text),
    "What it reads from: a node, a port (`node.port`), or a list of them (a union).",
);

const ORDERED: OptionSpec = OptionSpec::optional(
    "ordered",
    OptionKind::Boolean,
    "Whether events wait for the watermark and go on in the order of event time; late ones leave by `NAME.late`.",
);

const WAS: OptionSpec = OptionSpec::optional(
    "was",
    OptionKind::OneOrList(&OptionKind::Text),
    "What it was called before, one name or several: what is kept under that name (state, positions, output that waits) is \
     its own from the next start on. May be left away after that.",
);

const TTL: OptionKind = OptionKind::Any(&[OptionKind::Duration, OptionKind::Word(&["unlimited"])]);

const TRANSFORM_TTL: OptionSpec = OptionSpec::optional(
    "state_ttl",
    TTL,
    "How long what is kept by key is kept of a key that has no events any more, by event time: once the watermark is that \
     far behind its last event, or up to a 32nd of it further, the key is forgotten, and its next event is as its first. \
     `changed` lets that pass, `hysteresis` has no alarm raised and never clears the one that was, `debounce` begins a \
     spell, `top_n` ranks anew and withdraws nothing, keyed history begins anew, `lookup` finds no row in a table that a node \
     fills; `absence`, by its own clock, does not say that a key is back which was silent for so long. Absent: as in the pipeline's `options`.",
);

const WINDOW_TTL: OptionSpec = OptionSpec::optional(
    "state_ttl",
    TTL,
    "For `count` and keyed history: how long a key that has no events any more is remembered, by event time. Once the \
     watermark is that far behind its last event, or up to a 32nd of it further, its window under way gives its result and \
     its next event is as its first. Other windows end by themselves. Absent: as in the pipeline's `options`.",
);

const SOURCE: &[OptionSpec] = &[
    OptionSpec::or("format", "json", OptionKind::Format, "How what is read becomes events."),
    OptionSpec::optional(
        "event_time",
        OptionKind::Options(TIMING_OPTIONS),
        "Where the time of events comes from; absent: the time at which they are read.",
    ),
    ORDERED,
    UPKEEP_OPTIONS[0],
    UPKEEP_OPTIONS[1],
    UPKEEP_OPTIONS[2],
    OptionSpec::optional(
        "id",
        OptionKind::Expression,
        "What tells an event from all others: one whose id was seen within `id_within` is dropped, which makes a source \
         exact that repeats events, such as `mqtt`. A property of a message does as well: `source_header('id')`. Events \
         for which it is null all go on.",
    ),
    OptionSpec::or(
        "id_within",
        "1h",
        OptionKind::Duration,
        "How long an id is remembered since it was seen last: time for which the pipeline runs, whatever events say.",
    ),
    WAS,
];

const TRANSFORM: &[OptionSpec] = &[FROM, ORDERED, TRANSFORM_TTL, WAS];

const WINDOW: &[OptionSpec] = &[
    FROM,
    OptionSpec::optional(
        "key",
        OptionKind::Any(&[
            OptionKind::OneOrList(&OptionKind::Expression),
            OptionKind::Map(&OptionKind::Expression),
        ]),
        "What events are grouped by: fields, or names with expressions; absent: one key for all.",
    ),
    OptionSpec::required(
        "aggregate",
        OptionKind::Map(&OptionKind::Expression),
        "The fields of a result: expressions over aggregates.",
    ),
    OptionSpec::optional("having", OptionKind::Expression, "Keeps the results for which it is true."),
    OptionSpec::or(
        "offset",
        "0s",
        OptionKind::Duration,
        "How far the cuts are moved: with `6h`, days begin at six.",
    ),
    OptionSpec::optional(
        "timezone",
        OptionKind::Text,
        "The zone whose midnights days and hours are cut from, such as `Europe/Berlin`; absent: UTC.",
    ),
    OptionSpec::or(
        "allowed_lateness",
        "0s",
        OptionKind::Duration,
        "How long after its end a window still takes events; later ones leave by `NAME.late`.",
    ),
    OptionSpec::optional(
        "accumulation",
        OptionKind::Word(&["discarding", "accumulating", "retracting"]),
        "What a further pane of a window holds: what is new, or everything, or everything behind the last pane once more \
         with `retracted: true`. Required where `trigger` or `allowed_lateness` allow a second pane.",
    ),
    OptionSpec::or(
        "carry",
        "7d",
        OptionKind::Duration,
        "How old the value before a window may be that `delta`, `rate`, `time_in` and `time_weighted_avg` start from.",
    ),
    OptionSpec::or(
        "trigger",
        "watermark",
        OptionKind::Trigger,
        "When a window gives its results: `{ watermark: { early: T, late: T } }`, `{ processing_time: 10s }`, `{ event_time: 1m }`, \
         `{ count: 100 }`, `any`, `all`, `each`, `repeat`, `once`, `do` with `until`; see the page on triggers.",
    ),
    OptionSpec::or(
        "emit_empty",
        "false",
        OptionKind::Boolean,
        "Whether a window that has given all it has also gives a pane when the watermark passes its end.",
    ),
    ORDERED,
    WINDOW_TTL,
    WAS,
];

const SINK: &[OptionSpec] = &[
    FROM,
    OptionSpec::or("format", "json", OptionKind::Format, "How events are written."),
    ORDERED,
    DELIVERY_OPTIONS[0],
    DELIVERY_OPTIONS[1],
    RETRY_OPTION,
    BATCH,
    WAS,
];

const TABLE: &[OptionSpec] = &[
    OptionSpec::required(
        "key",
        OptionKind::OneOrList(&OptionKind::Text),
        "The column or columns that tell a row from all others; none may be null. Two rows of one key are an error.",
    ),
    OptionSpec::or("format", "json", OptionKind::Format, "How what is read becomes rows."),
    OptionSpec::optional(
        "from",
        OptionKind::OneOrList(&OptionKind::Text),
        "In the place of what it is read from: a node whose events are the rows. `lookup` finds the latest of a key as of the \
         time of the event that asks.",
    ),
];

/// What a node of this role may have beside its component.
pub const fn beside(role: Role) -> &'static [OptionSpec] {
    match role {
        Role::Source => SOURCE,
        Role::Transform => TRANSFORM,
        Role::Window => WINDOW,
        Role::Sink => SINK,
        Role::Table => TABLE,
        Role::Format => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_node_is_documented() {
        for role in [Role::Source, Role::Transform, Role::Window, Role::Sink, Role::Table] {
            let mut known = role.keys().known.to_vec();
            let mut documented: Vec<&str> = beside(role).iter().map(|option| option.name).collect();
            known.sort_unstable();
            documented.sort_unstable();
            assert_eq!(documented, known, "keys of a {}", role.noun());
        }
    }
}
