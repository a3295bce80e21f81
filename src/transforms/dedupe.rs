//! `dedupe`: the first event of a key within a span of event time.

use super::spacing::SpacingPlan;
use crate::config::{Role, Setting, read};
use crate::dataflow::{
    ComponentSpec, MAIN, NodePlanner, OptionKind, OptionSpec, Point, Ports, TransformSpec, key_names,
};

/// The registry entry.
pub const DEDUPE: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "dedupe",
    role: Role::Transform,
    summary: "Drops an event if one of its key passed less than a span of event time before or after it.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required(
            "within",
            OptionKind::Duration,
            "How far from an event that passed others are dropped; it is kept until the watermark is that far past it.",
        ),
    ],
    later: &[],
    example: "\
sources:
  messages: { stdin: {}, event_time: { field: ts } }
transforms:
  once:
    from: messages
    dedupe: { key: [device, seq], within: 10m }
tests:
  - name: a repeat is dropped, the same number ten minutes later is not
    steps:
      - send:
          messages:
            - { device: d1, seq: 7, ts: 0 }
            - { device: d1, seq: 7, ts: 2000 }
            - { device: d1, seq: 7, ts: 600000 }
      - expect: { out: [{ device: d1, seq: 7, ts: 0 }, { device: d1, seq: 7, ts: 600000 }] }
",
};

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let within = section.required("within", read::positive_duration);
    let (at, key) = planner.keyed(at, &section, &[], false)?;
    let within = within?;
    let by = planner.by(&at, &key);
    let plan = SpacingPlan {
        text: format!("dedupe within {within}{by}"),
        names: key_names(&key),
        key: key.iter().map(|field| field.slot).collect(),
        length: within,
        reason: "duplicate",
    };
    let step = planner.attach(&at, Box::new(plan));
    Some(vec![(String::new(), planner.behind(&at, step, MAIN, at.scope.clone()))])
}
