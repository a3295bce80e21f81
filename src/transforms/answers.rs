//! Events that wait for the answer of a table that is asked for one row at a time, in the order in which they came.

use crate::dataflow::{
    Address, Answer, AskedTable, Binding, Copier, Keeper, KeptRow, MAIN, NodePlanner, Operator, Origin,
    Output, Point, RowForm, Saved, Saving, Scope, Signal, StartContext, StepPlan, TableId,
};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_time};
use crate::event::{Batch, Reason, Row, Slot, Value};
use crate::expr::Type;
use crate::time::{Env, Millis, Timestamp};
use std::collections::VecDeque;

/// Attaches the step that waits. Returns the point behind it, with the fields, and where stands what came of asking: true
/// for a row, null for none, a text that says why the answer cannot be used.
pub(super) fn wait_for_answers(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    table: TableId,
    (address, key): (Address, Vec<Slot>),
    fields: &[(String, String)],
) -> (Point, Slot) {
    let stage = planner.draft.stage(Origin::Copied(vec![at.clone()]));
    let status = planner.draft.slot(stage, "(answer)", Type::BOOL.or(Type::TEXT));
    let (mut columns, mut scope) = (Vec::new(), Scope::origin());
    for (field, column) in fields {
        let slot = planner.draft.slot(stage, field.clone(), Type::ANY);
        columns.push((planner.draft.tables[usize::from(table.0)].layout.column(column), slot));
        scope = scope.with(field.clone(), Binding::Slot(slot, Type::ANY));
    }
    let name = planner.draft.tables[usize::from(table.0)].name.clone();
    let step = planner.attach(at, Box::new(AnswersPlan { name, table, address, key, columns, status }));
    planner.draft.emit_to(step, MAIN, stage);
    (Point { stage, behind: None, scope }, status)
}

/// Lets events wait for answers.
#[derive(Clone, Debug)]
struct AnswersPlan {
    name: String,
    table: TableId,
    address: Address,
    /// What the columns of the table's key are equal to.
    key: Vec<Slot>,
    /// Slots in the table's layout and in the stage behind.
    columns: Vec<(Slot, Slot)>,
    status: Slot,
}

impl StepPlan for AnswersPlan {
    fn describe(&self) -> String {
        format!("ask {}", self.name)
    }

    fn details(&self) -> Vec<String> {
        vec!["state: events that wait for an answer; nothing more is read while there are any".to_owned()]
    }

    fn state(&self) -> Option<String> {
        Some("1 events that wait for answers".to_owned())
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Answers {
            table: context.table(self.table).asked(),
            form: context.row_form(MAIN),
            copier: Copier::new(&context.copies(MAIN, 0)),
            keeper: Keeper::new(&context.copies(MAIN, 0)),
            plan: self.clone(),
            waiting: VecDeque::new(),
            held: Vec::new(),
            seen: ASK,
            was_saved: false,
            watermark: Timestamp::MIN,
            paths: Vec::new(),
            answers: Vec::new(),
        })
    }
}

/// An event that waits.
struct Waiting {
    row: KeptRow,
    watermark: Timestamp,
    /// Where its row is asked for; None where there is nothing to ask.
    path: Option<String>,
}

/// As long as anything waits, later events wait behind it, and so do watermarks and the end.
struct Answers {
    plan: AnswersPlan,
    table: Option<AskedTable>,
    form: RowForm,
    copier: Copier,
    keeper: Keeper,
    waiting: VecDeque<Waiting>,
    /// Signals that came behind what waits: at most one watermark, one word on idleness, and the end.
    held: Vec<Signal>,
    /// How many answers there were when all that waits was asked for last.
    seen: u64,
    /// Whether what is saved says that something waits.
    was_saved: bool,
    watermark: Timestamp,
    /// Of the batch at hand.
    paths: Vec<Option<String>>,
    answers: Vec<Option<Answer>>,
}

/// Stands for a number of answers that was never seen.
const ASK: u64 = u64::MAX;

/// How many of those that wait are asked for at a time.
const AT_A_TIME: usize = 1024;

impl Answers {
    /// Asks for what the rows need; those whose key cannot be asked for are rejected.
    fn ask(&mut self, batch: &Batch, rows: &mut Vec<Row>, now: Millis, out: &mut dyn Output) {
        let Answers { plan, paths, answers, table, .. } = self;
        paths.clear();
        answers.clear();
        rows.retain(|&row| {
            let mut path = String::new();
            match plan.address.write(batch, row, &plan.key, &mut path) {
                Ok(is_key) => paths.push(is_key.then_some(path)),
                Err(why) => {
                    out.reject(batch, row, Reason::expression(why));
                    return false;
                }
            }
            true
        });
        if let Some(table) = table {
            table.ask(paths.iter().map(Option::as_deref), true, now, answers);
        }
    }

    /// Writes what an answer says beside an event.
    fn fill(&self, into: &mut Batch, row: Row, answer: &Answer) {
        let status = match answer {
            Ok(Some(found)) => {
                for (column, slot) in &self.plan.columns {
                    let value = into.adopt(found, found.get(Row(0), *column));
                    into.set(row, *slot, value);
                }
                Value::bool(true)
            }
            Ok(None) => Value::NULL,
            Err(why) => {
                let span = into.store(why.as_bytes());
                Value::text(span)
            }
        };
        into.set(row, self.plan.status, status);
    }

    /// Lets go on what has its answer, in order.
    fn collect(&mut self, now: Millis, out: &mut dyn Output) {
        let Some(table) = self.table.clone() else { return };
        while !self.waiting.is_empty() {
            let answers = table.answers();
            if answers == self.seen {
                return;
            }
            self.seen = answers;
            let mut found = Vec::new();
            let paths = self.waiting.iter().take(AT_A_TIME).map(|waiting| waiting.path.as_deref());
            table.ask(paths, false, now, &mut found);
            let asked = found.len();
            let answered: Vec<Answer> = found.into_iter().map_while(|answer| answer).collect();
            if answered.len() == asked {
                // What waits behind them may not have been asked for.
                self.seen = ASK;
            }
            for answer in answered {
                let Some(front) = self.waiting.pop_front() else { break };
                let into = out.emit(MAIN);
                let row = self.keeper.write(&front.row, front.watermark, into);
                self.fill(into, row, &answer);
            }
        }
        for signal in std::mem::take(&mut self.held) {
            out.signal(MAIN, signal);
        }
    }
}

impl Operator for Answers {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let now = out.env().elapsed;
        self.ask(batch, rows, now, out);
        let answers = std::mem::take(&mut self.answers);
        for ((row, answer), path) in rows.drain(..).zip(&answers).zip(std::mem::take(&mut self.paths)) {
            self.watermark = self.watermark.max(batch.watermarks[row.index()]);
            match answer {
                Some(answer) if self.waiting.is_empty() => {
                    let into = out.emit(MAIN);
                    let copy = self.copier.copy(batch, row, self.watermark, into);
                    self.fill(into, copy, answer);
                }
                _ => {
                    let row = self.keeper.keep(batch, row);
                    self.waiting.push_back(Waiting { row, watermark: self.watermark, path });
                    self.seen = ASK;
                }
            }
        }
        self.answers = answers;
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        if signal == Signal::Tick {
            let now = out.env().elapsed;
            self.collect(now, out);
        }
        match signal {
            Signal::Tick | Signal::Flush => out.signal(MAIN, signal),
            _ if self.waiting.is_empty() => out.signal(MAIN, signal),
            // A later word of the same kind takes the place of the one before.
            _ => {
                self.held.retain(|held| std::mem::discriminant(held) != std::mem::discriminant(&signal));
                self.held.push(signal);
            }
        }
    }

    fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        if self.waiting.is_empty() {
            if std::mem::take(&mut self.was_saved) {
                into.remove_own(WAITING);
            }
            return;
        }
        self.was_saved = true;
        self.form.save(into);
        into.put_own(WAITING, |bytes| {
            put_number(bytes, self.waiting.len() as u64);
            for waiting in &self.waiting {
                put_time(bytes, waiting.watermark);
                put_bytes(bytes, waiting.path.as_deref().unwrap_or_default().as_bytes());
                self.form.put(&waiting.row, bytes);
            }
        });
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        if self.form.load(saved)? {
            return Ok(());
        }
        let Saved::Own { mine, name: WAITING, value, .. } = saved else {
            return Err(Malformed("nothing that waits for answers"));
        };
        if !mine {
            return Ok(());
        }
        let mut reader = Reader::new(value);
        for _ in 0..reader.count()? {
            let watermark = reader.time()?;
            let path = str::from_utf8(reader.bytes(value.len())?);
            let path = path.map_err(|_| Malformed("an address that is no text"))?.to_owned();
            let row = self.form.take(&mut reader)?;
            let path = Some(path).filter(|path| !path.is_empty());
            self.waiting.push_back(Waiting { row, watermark, path });
        }
        self.was_saved = true;
        reader.finish()
    }
}

/// The name under which events that wait are saved.
const WAITING: &[u8] = b"waiting";
