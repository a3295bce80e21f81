//! `sample`: a fraction of the events, or all events of a fraction of the keys.

use crate::config::{Role, Setting, read};
use crate::dataflow::{
    ComponentSpec, MAIN, NodePlanner, Operator, OptionKind, OptionSpec, Output, Point, Ports, StartContext,
    StepPlan, TransformSpec,
};
use crate::event::{Batch, Row, Slot, encode_key};
use crate::time::Random;
use xxhash_rust::xxh3::xxh3_64;

/// The registry entry.
pub const SAMPLE: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: false };

const SPEC: ComponentSpec = ComponentSpec {
    name: "sample",
    role: Role::Transform,
    summary: "Keeps a fraction of the events, chosen by chance; with `key`, all events of a fraction of the keys.",
    short: Some(OptionKind::Number),
    options: &[
        OptionSpec::required("fraction", OptionKind::Number, "From 0, which keeps none, to 1."),
        OptionSpec {
            summary: "Keys are kept or dropped whole, by their hash: the same ones in every run and pipeline. Absent: each \
                      event by itself.",
            ..OptionSpec::KEY
        },
    ],
    later: &[],
    example: "transforms:\n  few:\n    from: readings\n    sample: 0.01\n",
};

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let mut at = at.clone();
    let fraction = || read::number(0.0..=1.0);
    if setting.node.entries().is_none() && !setting.node.is_null() {
        return Some(attach(planner, &at, fraction()(setting)?, None, String::new()));
    }
    let section = SPEC.open(setting);
    let fraction = section.required("fraction", fraction());
    let Some(key) = section.get("key") else {
        return Some(attach(planner, &at, fraction?, None, String::new()));
    };
    let key = planner.key_fields(&mut at, key, &[])?;
    let by = planner.by(&at, &key);
    let slots = key.iter().map(|field| field.slot).collect();
    Some(attach(planner, &at, fraction?, Some(slots), by))
}

fn attach(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    fraction: f64,
    key: Option<Vec<Slot>>,
    by: String,
) -> Ports {
    let step = planner.attach(at, Box::new(SamplePlan { fraction, key, by }));
    vec![(String::new(), planner.behind(at, step, MAIN, at.scope.clone()))]
}

/// Keeps a fraction of the events, or of the keys.
#[derive(Clone, Debug)]
pub struct SamplePlan {
    pub(super) fraction: f64,
    /// Where the key stands, if whole keys are kept.
    pub(super) key: Option<Vec<Slot>>,
    pub(super) by: String,
}

impl StepPlan for SamplePlan {
    fn describe(&self) -> String {
        format!("sample {}{}", self.fraction, self.by)
    }

    fn start(&self, _context: &StartContext<'_>) -> Box<dyn Operator> {
        match self.key.clone() {
            None => Box::new(SampleEvents { fraction: self.fraction, random: None }),
            Some(key) => Box::new(SampleKeys { fraction: self.fraction, key, bytes: Vec::new() }),
        }
    }
}

/// Draws for each event from a sequence of its own, begun from the pass's randomness, so that what an event gets does not
/// depend on how events were cut into batches. It is not kept across restarts: any draw is as good as another.
struct SampleEvents {
    fraction: f64,
    random: Option<Random>,
}

impl Operator for SampleEvents {
    fn process(&mut self, _batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let random = self.random.get_or_insert_with(|| Random::seeded(out.env().random.bits()));
        let before = rows.len();
        rows.retain(|_| random.unit() < self.fraction);
        drop_rest(before - rows.len(), out);
    }
}

struct SampleKeys {
    fraction: f64,
    key: Vec<Slot>,
    bytes: Vec<u8>,
}

impl Operator for SampleKeys {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let before = rows.len();
        rows.retain(|&row| {
            self.bytes.clear();
            encode_key(batch, row, &self.key, &mut self.bytes);
            Random::seeded(xxh3_64(&self.bytes)).unit() < self.fraction
        });
        drop_rest(before - rows.len(), out);
    }
}

fn drop_rest(dropped: usize, out: &mut dyn Output) {
    if dropped > 0 {
        out.discard("not_sampled", dropped as u64);
    }
}
