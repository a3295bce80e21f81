//! `anomaly`: keeps values that are far from what is usual for their key.

use super::baseline::{Baseline, Score};
use super::hysteresis::number;
use super::retain::retain;
use crate::config::{Role, Section, Setting, StateTtl, read};
use crate::dataflow::{
    Binding, Codec, ColdKeys, ComponentSpec, KeyedState, MAIN, NodePlanner, Operator, OptionKind, OptionSpec,
    Output, Point, Ports, Saved, Saving, Signal, StartContext, StepPlan, TransformSpec, key_names,
};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::expr::Type;
use crate::time::{Env, Millis, Timestamp};

/// The registry entry.
pub const ANOMALY: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "anomaly",
    role: Role::Transform,
    summary: "Keeps events whose value is far from what the key's values so far were, with `score`: how many standard \
              deviations it is above their mean (negative: below; null where they were all the same). Every value counts \
              for those behind it, outlying ones too. Events count in the order in which they arrive; `ordered: true` puts \
              them in order of time first.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required(
            "value",
            OptionKind::Expression,
            "The number that is judged; an event for which it is null counts for nothing.",
        ),
        OptionSpec::or(
            "method",
            "zscore",
            OptionKind::Word(&["zscore", "ewma", "seasonal"]),
            "`zscore`: mean and standard deviation of all values (Welford 1962). `ewma`: those in which newer values weigh \
             more (Roberts 1959; variance by Finch 2009), for what drifts. `seasonal`: those of values at the same time of \
             the season, such as the hour of the day, UTC, by event time.",
        ),
        OptionSpec::or(
            "threshold",
            "3",
            OptionKind::Number,
            "From how many standard deviations on a value is outlying.",
        ),
        OptionSpec::or(
            "warmup",
            "30",
            OptionKind::Integer,
            "How many values it takes before any is judged: of the key, or of the key at that time of the season.",
        ),
        OptionSpec::optional(
            "alpha",
            OptionKind::Number,
            "The weight of the newest value, between 0 and 1; each older one weighs less by that share. Absent: 0.1 for \
             `ewma`; for `seasonal` all values weigh the same.",
        ),
        OptionSpec::or("season", "24h", OptionKind::Duration, "How long a season is: `24h`, or `7d`."),
        OptionSpec::or(
            "buckets",
            "24",
            OptionKind::Integer,
            "Into how many parts of equal length a season is cut.",
        ),
    ],
    later: &[],
    example: "\
transforms:
  odd:
    from: readings
    anomaly: { key: [device], value: temp, threshold: 3, warmup: 4 }
tests:
  - name: far from all before
    steps:
      - send:
          readings:
            - { device: d1, temp: 20.0 }
            - { device: d1, temp: 21.0 }
            - { device: d1, temp: 20.0 }
            - { device: d1, temp: 21.0 }
            - { device: d1, temp: 25.5 }
      - expect: { out: [{ device: d1, temp: 25.5, score: 8.660254037844387 }] }
",
};

const SCORE: &str = "score";
/// The weight of the newest value with `ewma`, unless it is given.
const USUAL_ALPHA: f64 = 0.1;
/// The most parts of a season: each key keeps as many means.
const MOST_BUCKETS: i64 = 1024;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Zscore,
    Ewma,
    Seasonal,
}

const METHODS: &[(&str, Method)] =
    &[("zscore", Method::Zscore), ("ewma", Method::Ewma), ("seasonal", Method::Seasonal)];

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let (mut at, key) = planner.keyed(at, &section, &[], false)?;
    let value = section.required("value", |setting| number(planner, &mut at, &key, setting, "anomaly"));
    let usual = usual(&section);
    let warmup = section.or("warmup", 30, read::integer(2..=1_000_000_000));
    let threshold = section.or("threshold", 3.0, read::number(0.001..=1e9));
    let (value, usual) = (value?, usual?);
    let by = planner.by(&at, &key);
    let slot = planner.draft.slot(at.stage, SCORE, Type::FLOAT);
    let plan = AnomalyPlan {
        text: format!("{} of {}{by}", usual.words(), value.1),
        names: key_names(&key),
        key: key.iter().map(|field| field.slot).collect(),
        value,
        usual,
        warmup: warmup as u64,
        threshold,
        slot,
        ttl: planner.state_ttl(),
    };
    let step = planner.attach(&at, Box::new(plan));
    let scope = at.scope.clone().with(SCORE, Binding::Slot(slot, Type::FLOAT));
    Some(vec![(String::new(), planner.behind(&at, step, MAIN, scope))])
}

/// Reads what values are compared with; options of other methods are reported.
fn usual(section: &Section<'_>) -> Option<Usual> {
    let method = section.or("method", Method::Zscore, read::word(METHODS, &[]));
    let alpha = section.optional("alpha", read::number(1e-6..=1.0 - 1e-6));
    let season = section.or("season", Millis(86_400_000), read::positive_duration);
    let buckets = section.or("buckets", 24, read::integer(1..=MOST_BUCKETS));
    let misplaced: &[&str] = match method {
        Method::Zscore => &["alpha", "season", "buckets"],
        Method::Ewma => &["season", "buckets"],
        Method::Seasonal => &[],
    };
    if let Some(setting) = misplaced.iter().find_map(|name| section.get(name)) {
        let (word, _) = METHODS.iter().find(|(_, known)| *known == method)?;
        let reported =
            setting.faults.error(setting.key, format!("`{}` means nothing for `{word}`", setting.name));
        reported.hint(if setting.name == "alpha" {
            "it goes with `ewma`"
        } else {
            "it goes with `seasonal`"
        });
        return None;
    }
    let alpha = if method == Method::Ewma { alpha.or(Some(USUAL_ALPHA)) } else { alpha };
    let season = (method == Method::Seasonal).then_some((season, buckets));
    Some(Usual { alpha, season })
}

/// What values are compared with.
#[derive(Clone, Copy, Debug)]
struct Usual {
    /// The weight of the newest value; None where all weigh the same.
    alpha: Option<f64>,
    /// How long a season is, and of how many parts.
    season: Option<(Millis, i64)>,
}

impl Usual {
    fn words(&self) -> String {
        match (self.alpha, self.season) {
            (None, None) => "anomaly (zscore)".to_owned(),
            (Some(alpha), None) => format!("anomaly (ewma, alpha {alpha})"),
            (alpha, Some((season, buckets))) => {
                let alpha = alpha.map(|alpha| format!(", alpha {alpha}")).unwrap_or_default();
                format!("anomaly (seasonal, {season} in {buckets} parts{alpha})")
            }
        }
    }

    fn buckets(&self) -> usize {
        self.season.map_or(1, |(_, buckets)| buckets as usize)
    }

    /// The part of the season that a time is in.
    fn bucket(&self, time: Timestamp) -> usize {
        let Some((season, buckets)) = self.season else { return 0 };
        let within = i128::from(time.0).rem_euclid(i128::from(season.0));
        (within * i128::from(buckets) / i128::from(season.0)) as usize
    }
}

/// Keeps rows whose value is outlying.
#[derive(Clone, Debug)]
struct AnomalyPlan {
    text: String,
    names: String,
    key: Vec<Slot>,
    value: (Slot, String),
    usual: Usual,
    warmup: u64,
    threshold: f64,
    /// Where the score goes.
    slot: Slot,
    ttl: StateTtl,
}

impl StepPlan for AnomalyPlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        vec![
            format!("outlying from {} standard deviations on, after {} values", self.threshold, self.warmup),
            format!("state: a key's mean and variance{}", self.ttl.words_behind()),
        ]
    }

    fn state(&self) -> Option<String> {
        // What an `alpha` weighs may change; that there is one says what the bytes are.
        let kind = if self.usual.alpha.is_some() { "weighted " } else { "" };
        let season = self.usual.season.map(|(season, buckets)| format!(" in {buckets} parts of {season}"));
        let season = season.unwrap_or_default();
        Some(format!("1 {kind}means and variances of {}{season} {}", self.value.1, self.names))
    }

    fn spills(&self) -> bool {
        self.ttl.0.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Anomaly {
            plan: self.clone(),
            keys: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable)
                .forgetting(self.ttl),
        })
    }
}

/// What is usual for a key: one for each part of the season.
type Baselines = Vec<Baseline>;

struct Anomaly {
    plan: AnomalyPlan,
    keys: KeyedState<Baselines>,
}

impl Anomaly {
    /// The score, if the value is outlying.
    fn judge(&mut self, batch: &Batch, row: Row) -> Result<Option<Score>, Reason> {
        let found = self.keys.meet(batch, row);
        let (slot, text) = &self.plan.value;
        let Some(value) = super::threshold::number(batch.get(row, *slot), text)? else { return Ok(None) };
        let usual = self.plan.usual;
        let bucket = usual.bucket(batch.times[row.index()]);
        let before = found.and_then(|key| self.keys.entry(key).item.get(bucket).copied()).unwrap_or_default();
        let Some(after) = before.with(value, usual.alpha) else {
            return Err(Reason::expression(format!(
                "`{text}` is too far from what it was before to be judged"
            )));
        };
        let key = found.unwrap_or_else(|| self.keys.insert(batch, row));
        let baselines = self.keys.item(key);
        baselines.resize(usual.buckets(), Baseline::default());
        baselines[bucket] = after;
        if before.count < self.plan.warmup {
            return Ok(None);
        }
        let score = before.score(value, usual.alpha);
        let is_outlying = match score {
            Score::Deviations(deviations) => deviations.abs() >= self.plan.threshold,
            Score::Unlike => true,
        };
        Ok(is_outlying.then_some(score))
    }
}

fn put(baselines: &Baselines, into: &mut Vec<u8>) {
    put_number(into, baselines.len() as u64);
    baselines.iter().for_each(|baseline| baseline.put(into));
}

fn take(buckets: usize, reader: &mut Reader<'_>) -> Result<Baselines, Malformed> {
    if reader.count()? != buckets {
        return Err(Malformed("parts of another season"));
    }
    (0..buckets).map(|_| Baseline::take(reader)).collect()
}

impl Operator for Anomaly {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.keys.read(batch, rows);
        retain(batch, rows, out, "usual", |batch, row| {
            let judged = self.judge(batch, row);
            self.keys.advance();
            let Some(score) = judged? else { return Ok(false) };
            let score = match score {
                Score::Deviations(deviations) => Value::float(deviations),
                Score::Unlike => Value::NULL,
            };
            batch.set(row, self.plan.slot, score);
            Ok(true)
        });
    }

    fn signal(&mut self, signal: Signal, _out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.keys.reach(watermark);
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.keys.save(into, put);
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        let buckets = self.plan.usual.buckets();
        self.keys.load(saved, |reader| take(buckets, reader)).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.keys.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        let buckets = self.plan.usual.buckets();
        self.keys.spill(cold, Codec::new(put, move |reader| take(buckets, reader)));
    }
}
