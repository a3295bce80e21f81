//! `lua`: a script for each event.

mod bridge;
mod call;
mod crossing;
mod emitted;
mod needs;
mod operator;
mod options;
mod plan;
mod planning;
mod runner;
mod state;
mod values;

use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec, TransformSpec};

/// The registry entry.
pub const LUA: TransformSpec = TransformSpec { spec: &SPEC, plan: planning::plan, gathers: true };

const NAMES: OptionKind = OptionKind::OneOrList(&OptionKind::Text);

/// What an argument may be; the file's own limits bound how deep it is.
const SCALAR: OptionKind = OptionKind::Any(&[OptionKind::Text, OptionKind::Number, OptionKind::Boolean]);
const INNER: OptionKind = OptionKind::Any(&[SCALAR, OptionKind::List(&SCALAR), OptionKind::Map(&SCALAR)]);
const ARGUMENT: OptionKind = OptionKind::Any(&[SCALAR, OptionKind::List(&INNER), OptionKind::Map(&INNER)]);

const SPEC: ComponentSpec = ComponentSpec {
    name: "lua",
    role: Role::Transform,
    summary: "Runs a Lua script for each event: `process(event)` gives the event, another one, a list of events, or nil, which \
              drops it. Only the fields that the script names are read and written, as far as its text shows them.",
    short: Some(OptionKind::Text),
    options: &[
        OptionSpec::required(
            "script",
            OptionKind::Text,
            "The script: a path, or, where it has spaces, parentheses or several lines, its text. It defines \
             `process(event)`, or `process_batch(events)`, which gets several events at once and must not depend on how many.",
        ),
        OptionSpec::optional(
            "key",
            OptionSpec::KEY.kind,
            "What keeps `state` and timers apart: a field, a list of fields, or a map of names and expressions; absent: one \
             key for all, if the script keeps anything.",
        ),
        OptionSpec::optional(
            "args",
            OptionKind::Map(&ARGUMENT),
            "What the script finds in its table `args`.",
        ),
        OptionSpec::optional(
            "reads",
            NAMES,
            "The fields that the script reads, where its text does not show them. Others are nil in it.",
        ),
        OptionSpec::optional(
            "writes",
            NAMES,
            "The fields that it writes, and all fields of events that it makes. An event with another one is rejected.",
        ),
        OptionSpec::optional(
            "ports",
            NAMES,
            "Ports that `emit(event, port)` may name, besides those that stand in the script literally.",
        ),
        OptionSpec::or(
            "on_error",
            "reject",
            OptionKind::Word(&["reject", "pass", "stop"]),
            "What becomes of an event for which the script fails: it leaves by `.rejected`, it goes on unchanged, or the \
             pipeline stops. What the failed call has changed or emitted is undone in any case.",
        ),
        OptionSpec::or(
            "version",
            "1",
            OptionKind::Integer,
            "The version of what it keeps. State of an older one goes through `migrate(old, version)` when its key comes next; \
             that of a newer one is refused.",
        ),
        OptionSpec::or("memory", "16MiB", OptionKind::Size, "What the interpreter may hold."),
        OptionSpec::or("instructions", "1000000", OptionKind::Integer, "What one call may execute."),
        OptionSpec::or("time", "1s", OptionKind::Duration, "How long one call may take by the clock."),
    ],
    later: &[],
    example: "\
transforms:
  level:
    from: readings
    lua: |
      function process(event)
        if event.celsius == nil then return nil end
        event.fahrenheit = event.celsius * 9 / 5 + 32
        return event
      end
tests:
  - name: what has no reading is dropped
    steps:
      - send: { readings: [{ celsius: 100 }, { celsius: null }] }
      - expect: { out: [{ celsius: 100, fahrenheit: 212.0 }] }
",
};
