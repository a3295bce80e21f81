//! Expressions run over events given as JSON text.

use crate::event::{Batch, Path, Row, Slot, Span, Step, Value, json};
use crate::expr::compile::compile_as;
use crate::expr::{Functions, Literal, Program, Resolved, Scope, Type, UnknownField, compile, parse};
use crate::time::{Env, Millis, Random, Timestamp};

/// A scope in which every field exists. Fields that begin with `t_` are timestamps, with `s_` text, with `n_`
/// integers; of all others nothing is known.
#[derive(Default)]
pub(in crate::expr) struct Open {
    pub(in crate::expr) fields: Vec<String>,
    pub(in crate::expr) constants: Vec<u8>,
    pub(in crate::expr) params: Vec<(&'static str, Literal)>,
}

impl Scope for Open {
    fn field(&mut self, path: &Path) -> Result<Resolved, UnknownField> {
        let root = path.root();
        if root.starts_with("no_") {
            return Err(UnknownField { candidates: self.fields.clone(), hint: None });
        }
        let known = self.fields.iter().position(|field| field == root);
        let slot = known.unwrap_or_else(|| {
            self.fields.push(root.to_owned());
            self.fields.len() - 1
        });
        let ty = match root.get(..2) {
            Some("t_") => Type::TIMESTAMP,
            Some("s_") => Type::TEXT,
            Some("n_") => Type::INT,
            _ => Type::ANY,
        };
        Ok(Resolved { slot: Slot(slot as u16), ty, rest: path.rest().to_vec() })
    }

    fn constant(&mut self, bytes: &[u8]) -> Span {
        let start = self.constants.len();
        self.constants.extend_from_slice(bytes);
        Span::new(start, bytes.len())
    }

    fn param(&self, name: &str) -> Option<Literal> {
        self.params.iter().find(|(param, _)| *param == name).map(|(_, literal)| literal.clone())
    }
}

impl Open {
    /// Compiles; faults as text.
    pub(in crate::expr) fn compile(&mut self, text: &str) -> Result<Program, String> {
        let expr = parse(text).map_err(|fault| fault.to_string())?;
        compile(&expr, self, &Functions::standard()).map_err(|fault| fault.to_string())
    }

    /// As [`Open::compile`], leaving constants to be computed for each event.
    pub(in crate::expr) fn compile_unfolded(&mut self, text: &str) -> Result<Program, String> {
        let expr = parse(text).map_err(|fault| fault.to_string())?;
        compile_as(&expr, self, &Functions::standard(), false).map_err(|fault| fault.to_string())
    }

    /// A batch of the events, a row for each, with one slot more than there are fields.
    pub(in crate::expr) fn batch(&self, events: &[&str]) -> Batch {
        let mut batch = Batch::new(self.fields.len() + 1, &self.constants);
        batch.ingested = Timestamp(2_000);
        for (i, event) in events.iter().enumerate() {
            json::validate(event.as_bytes()).unwrap();
            let row = batch.push_row(Timestamp(1_000 + i as i64), Timestamp::MIN);
            for (slot, field) in self.fields.iter().enumerate() {
                let Some(raw) = json::get(event.as_bytes(), &[Step::Field(field.clone())]) else { continue };
                let value = json::to_value(raw, &mut batch.arena).unwrap();
                let time = field.starts_with("t_").then(|| value.as_int()).flatten();
                batch.set(row, Slot(slot as u16), time.map_or(value, Value::timestamp));
            }
        }
        batch
    }
}

/// The environment of all tests.
pub(in crate::expr) fn env() -> Env {
    Env { now: Timestamp(3_000), elapsed: Millis::ZERO, random: Random::seeded(1) }
}

/// All rows of a batch.
pub(in crate::expr) fn rows(batch: &Batch) -> Vec<Row> {
    (0..batch.len() as u32).map(Row).collect()
}

/// What the expression gives for each event: JSON text, or the reason it is rejected for.
pub(in crate::expr) fn values(text: &str, events: &[&str]) -> Result<Vec<Result<String, String>>, String> {
    let mut scope = Open::default();
    let mut program = scope.compile(text)?;
    let mut batch = scope.batch(events);
    Ok(stored(&mut program, &mut batch))
}

/// What a program gives for each row of a batch.
pub(in crate::expr) fn stored(program: &mut Program, batch: &mut Batch) -> Vec<Result<String, String>> {
    let (mut kept, mut rejects) = (rows(batch), Vec::new());
    let slot = Slot((batch.slots() - 1) as u16);
    program.store(batch, &mut kept, slot, &mut env(), &mut rejects);
    let mut results: Vec<_> = rows(batch)
        .into_iter()
        .map(|row| {
            let mut text = Vec::new();
            json::write_value(batch, batch.get(row, slot), &mut text);
            Ok(String::from_utf8(text).unwrap())
        })
        .collect();
    for (row, reason) in &rejects {
        assert!(!kept.contains(row));
        results[row.index()] = Err(reason.text.to_string());
    }
    assert_eq!(kept.len() + rejects.len(), batch.len());
    results
}

/// What the expression gives for one event: `= value`, `! reason`, or `? fault`.
pub(in crate::expr) fn outcome(text: &str, event: &str) -> String {
    match values(text, &[event]) {
        Err(fault) => format!("? {fault}"),
        Ok(results) => match &results[0] {
            Ok(value) => format!("= {value}"),
            Err(reason) => format!("! {reason}"),
        },
    }
}
