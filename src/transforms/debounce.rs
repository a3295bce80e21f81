//! `debounce`: the first event of a spell, once the condition has lasted.

use crate::config::{Role, Setting, StateTtl, read};
use crate::dataflow::{
    Codec, ColdKeys, ComponentSpec, Keeper, KeptRow, KeyField, KeyedState, MAIN, NodePlanner, Operator,
    OptionKind, OptionSpec, Output, Point, Ports, RowForm, Saved, Saving, Signal, StartContext, StepPlan,
    TransformSpec, key_names,
};
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Row, Slot};
use crate::expr::{Expr, Literal, Node, Type};
use crate::time::{Env, Millis, Timestamp};

/// The registry entry.
pub const DEBOUNCE: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "debounce",
    role: Role::Transform,
    summary: "Waits until a condition has lasted: puts out the first event of each spell in which it holds, once, with that \
              event's own time.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required(
            "where",
            OptionKind::Expression,
            "The condition. The first event for which it is false ends the spell; null neither begins nor ends one.",
        ),
        OptionSpec::required(
            "for",
            OptionKind::Duration,
            "How long it must last in event time: until an event, or the watermark, is this far behind the first.",
        ),
    ],
    later: &[],
    example: "\
sources:
  doors: { stdin: {}, event_time: { field: ts } }
transforms:
  left_open:
    from: doors
    debounce: { key: [door], where: state = 'open', for: 5m }
tests:
  - name: only the spell that lasts five minutes is told
    steps:
      - send:
          doors:
            - { door: a, state: open, ts: 0 }
            - { door: a, state: closed, ts: 60000 }
            - { door: a, state: open, ts: 120000 }
      - watermark: { doors: 7m }
      - expect: { out: [{ door: a, state: open, ts: 120000 }] }
",
};

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let lasting = section.required("for", read::positive_duration);
    let (mut at, key) = planner.keyed(at, &section, &[], false)?;
    let condition = section.required("where", |setting| condition(planner, &mut at, &key, setting));
    let (lasting, (condition, written)) = (lasting?, condition?);
    let ttl = planner.state_ttl_beyond(section.get("for")?, lasting)?;
    let text = format!("debounce {written} for {lasting}{}", planner.by(&at, &key));
    let shape = format!("{written} for {lasting} {}", key_names(&key));
    let key = key.iter().map(|field| field.slot).collect();
    let point = planner.emitting(&at, Box::new(DebouncePlan { text, shape, key, condition, lasting, ttl }));
    Some(vec![(String::new(), point)])
}

/// Where the condition stands, and what it is as written.
fn condition(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    key: &[KeyField],
    setting: Setting<'_>,
) -> Option<(Slot, String)> {
    let (written, mut expr) = planner.parse_by(at, key, setting)?;
    let ty = planner.condition_of(at, setting, &expr)?.ty();
    if !ty.within(Type::BOOL) {
        // What is neither true nor false rejects the event, as a condition does anywhere else.
        let span = expr.span.clone();
        expr = Expr::new(Node::And(vec![expr, Expr::literal(Literal::Bool(true))]), span);
    }
    Some((planner.slot_of(at, setting, &expr, "debounce")?, written))
}

/// Emits the first event of each spell that lasts.
#[derive(Clone, Debug)]
pub struct DebouncePlan {
    pub(super) text: String,
    /// What spells are about, see [`StepPlan::state`].
    pub(super) shape: String,
    pub(super) key: Vec<Slot>,
    pub(super) condition: Slot,
    pub(super) lasting: Millis,
    /// At least as long as that.
    pub(super) ttl: StateTtl,
}

impl StepPlan for DebouncePlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        vec![
            format!(
                "state: a key's spell until it ends, and its first event until it has lasted{}",
                self.ttl.words_behind()
            ),
            format!("holds the watermark back to the first event that waits, {} at most", self.lasting),
        ]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 spells of {}", self.shape))
    }

    fn spills(&self) -> bool {
        self.ttl.0.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Debounce {
            form: context.row_form(MAIN),
            condition: self.condition,
            lasting: self.lasting,
            spells: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable)
                .forgetting(self.ttl),
            keeper: Keeper::new(&context.copies(MAIN, 0)),
        })
    }
}

/// A spell under way: its first event, until that has left.
#[derive(Default)]
struct Spell {
    first: Option<KeptRow>,
}

/// First events go on with their own times, so nothing beyond the earliest that waits may be told to what follows. Those of
/// late events count as the watermark of then.
struct Debounce {
    condition: Slot,
    lasting: Millis,
    spells: KeyedState<Spell>,
    form: RowForm,
    keeper: Keeper,
}

impl Debounce {
    /// Lets go the first events of the spells that have lasted by then.
    fn reach(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        while let Some((due, key)) = self.spells.take_due(watermark) {
            if let Some(first) = self.spells.item(key).first.take() {
                self.keeper.write(&first, due - self.lasting, out.emit(MAIN));
            }
        }
        // No spell is forgotten whose first event waits: it has been touched no longer ago than that takes.
        self.spells.reach(watermark);
    }

    /// The watermark as far as it may be told: no event that waits is earlier, unless it is late.
    fn held(&self, watermark: Timestamp) -> Timestamp {
        self.spells.next_due().map_or(watermark, |due| watermark.min(due - self.lasting))
    }

    /// Takes an event for which the condition holds, or does not. Returns the number of events that were dropped.
    fn take(&mut self, batch: &Batch, row: Row, holds: bool, out: &mut dyn Output) -> u64 {
        let (time, watermark) = (batch.times[row.index()], batch.watermarks[row.index()]);
        let Some(key) = self.spells.meet(batch, row) else {
            if holds {
                let key = self.spells.insert(batch, row);
                self.spells.item(key).first = Some(self.keeper.keep(batch, row));
                self.spells.set_due(key, time.max(watermark) + self.lasting);
            }
            return u64::from(!holds);
        };
        let held = self.held(watermark);
        let mut dropped = 1;
        let ends = |first: &KeptRow| !holds || time >= first.time + self.lasting;
        if self.spells.entry(key).item.first.as_ref().is_some_and(ends)
            && let Some(first) = self.spells.item(key).first.take()
        {
            if time >= first.time + self.lasting {
                self.keeper.write(&first, held, out.emit(MAIN));
            } else {
                dropped += 1;
            }
            self.spells.clear_due(key);
        }
        if !holds {
            self.spells.forget(key);
        }
        dropped
    }
}

impl Spell {
    fn put(&self, form: &RowForm, into: &mut Vec<u8>) {
        into.push(u8::from(self.first.is_some()));
        self.first.iter().for_each(|first| form.put(first, into));
    }

    fn take(form: &RowForm, reader: &mut Reader<'_>) -> Result<Spell, Malformed> {
        let waits = reader.flag()?;
        Ok(Spell { first: if waits { Some(form.take(reader)?) } else { None } })
    }
}

impl Operator for Debounce {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.spells.read(batch, rows);
        let mut dropped = 0;
        for row in rows.drain(..) {
            self.reach(batch.watermarks[row.index()], out);
            dropped += match batch.get(row, self.condition).as_bool() {
                Some(holds) => self.take(batch, row, holds, out),
                None => {
                    self.spells.meet(batch, row);
                    1
                }
            };
            self.spells.advance();
        }
        if dropped > 0 {
            out.discard("debounced", dropped);
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        let Signal::Watermark(watermark) = signal else { return out.signal(MAIN, signal) };
        self.reach(watermark, out);
        out.signal(MAIN, Signal::Watermark(self.held(watermark)));
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        if !self.spells.is_empty() {
            self.form.save(into);
        }
        self.spells.save(into, |spell, bytes| spell.put(&self.form, bytes));
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        if self.form.load(saved)? {
            return Ok(());
        }
        self.spells.load(saved, |reader| Spell::take(&self.form, reader)).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.spells.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        let [form, same] = self.form.own();
        let codec = Codec::new(
            move |spell: &Spell, into| spell.put(&form, into),
            move |reader| Spell::take(&same, reader),
        );
        self.spells.spill(cold, codec);
    }
}
