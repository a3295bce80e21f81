//! A compiled expression with the room it needs to run.

use super::eval::{Machine, Pass};
use super::literal::Literal;
use super::op::{Op, Unit};
use super::types::Type;
use crate::event::bytes::{Malformed, Reader};
use crate::event::{Batch, Rejects, Row, Slot, Value};
use crate::time::Env;

/// An expression that is ready to run over batches of the stage it was compiled for.
///
/// A clone is for another worker: functions that count or remember begin anew in it.
pub struct Program {
    root: Unit,
    machine: Machine,
}

impl Clone for Program {
    fn clone(&self) -> Program {
        Program::new(self.root.clone(), self.machine.registers.len())
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("ty", &self.root.ty).finish_non_exhaustive()
    }
}

impl Program {
    pub(super) fn new(root: Unit, registers: usize) -> Program {
        Program { root, machine: Machine::new(registers) }
    }

    /// The type of the value.
    pub fn ty(&self) -> Type {
        self.root.ty
    }

    /// The slot, if the expression is nothing but one: then nothing need be computed.
    pub fn slot(&self) -> Option<Slot> {
        match self.root.op {
            Op::Cell(slot) => Some(slot),
            _ => None,
        }
    }

    /// The value, if it is the same for every event.
    pub fn constant(&self) -> Option<&Literal> {
        self.root.literal()
    }

    /// Appends what functions in it count or remember, so that another program of the same expression can go on.
    pub fn save(&mut self, into: &mut Vec<u8>) {
        self.root.each_instance(&mut |instance| instance.save(into));
    }

    /// Goes on with what another program of the same expression has saved.
    pub fn load(&mut self, saved: &mut Reader<'_>) -> Result<(), Malformed> {
        let mut outcome = Ok(());
        self.root.each_instance(&mut |instance| {
            if outcome.is_ok() {
                outcome = instance.load(saved);
            }
        });
        outcome
    }

    /// Keeps the rows for which the expression is true; null is not true. Rows that fail, or give something other
    /// than a boolean, leave `rows` too and are appended to `rejects`. An `AND` of the condition stops a row at
    /// the first operand that is not true, so that a null there spares the others.
    pub fn filter(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, env: &mut Env, rejects: &mut Rejects) {
        let mut pass = Pass { batch, env, machine: &mut self.machine };
        pass.narrow(&mut self.root, rows);
        self.settle(rows, rejects);
    }

    /// Computes the value into a slot. Rows that fail leave `rows` and are appended to `rejects`; their slot is null.
    pub fn store(
        &mut self,
        batch: &mut Batch,
        rows: &mut Vec<Row>,
        slot: Slot,
        env: &mut Env,
        rejects: &mut Rejects,
    ) {
        let mut pass = Pass { batch, env, machine: &mut self.machine };
        pass.eval(&mut self.root, rows);
        let source = self.root.source();
        for &row in rows.iter() {
            let value = pass.fetch(source, row);
            pass.batch.set(row, slot, value);
        }
        for (row, _) in &pass.machine.failures {
            pass.batch.set(*row, slot, Value::NULL);
        }
        self.settle(rows, rejects);
    }

    /// Moves rows that failed from `rows` to `rejects`, each with its first failure.
    fn settle(&mut self, rows: &mut Vec<Row>, rejects: &mut Rejects) {
        let failures = &mut self.machine.failures;
        if failures.is_empty() {
            return;
        }
        failures.sort_by_key(|(row, _)| *row);
        failures.dedup_by_key(|(row, _)| *row);
        rows.retain(|row| failures.binary_search_by_key(row, |(row, _)| *row).is_err());
        rejects.append(failures);
    }
}
