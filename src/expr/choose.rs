//! Operations that evaluate operands only for the rows that need them.

use super::ast::BinaryOp;
use super::eval::{Pass, test};
use super::functions::Failure;
use super::op::{Case, Unit};
use super::types::Type;
use crate::event::{Row, Value};

impl Pass<'_> {
    /// `AND` (which stops a row at false) or `OR` (which stops it at true); null if undecided and one is null.
    pub(super) fn chain(&mut self, parts: &mut [Unit], stop: bool, register: usize, rows: &[Row]) {
        let mut rest = self.machine.rows();
        rest.extend_from_slice(rows);
        let mut results = std::mem::take(&mut self.machine.registers[register]);
        rows.iter().for_each(|row| results[row.index()] = Value::bool(!stop));
        for part in parts {
            self.eval(part, &rest);
            let source = part.source();
            rest.retain(|&row| {
                let value = self.fetch(source, row);
                if value.as_bool() == Some(!stop) {
                    return true;
                }
                results[row.index()] = self.truth(part, row).map_or(Value::NULL, Value::bool);
                value.as_bool().is_none()
            });
        }
        self.machine.registers[register] = results;
        self.machine.release(rest);
    }

    /// Whether a unit that was evaluated is true for a row; None for null and, with a failure, for what is
    /// no boolean.
    #[inline]
    pub(super) fn truth(&mut self, unit: &Unit, row: Row) -> Option<bool> {
        let value = self.fetch(unit.source(), row);
        if !value.is_null() && value.as_bool().is_none() {
            let failure = Failure::Wrong(0, value.kind(), Type::BOOL);
            self.fail(row, failure, "", |_| Some(unit));
        }
        value.as_bool()
    }

    /// `CASE`: each row goes to the first branch whose condition is true.
    pub(super) fn case(&mut self, case: &mut Case, register: usize, rows: &[Row]) {
        let (mut rest, mut hits) = (self.machine.rows(), self.machine.rows());
        rest.extend_from_slice(rows);
        if let Some(operand) = &mut case.operand {
            self.eval(operand, &rest);
        }
        for (when, then) in &mut case.branches {
            self.eval(when, &rest);
            hits.clear();
            rest.retain(|&row| {
                let hit = match &case.operand {
                    Some(operand) => self.same(operand, when, row),
                    None => self.truth(when, row) == Some(true),
                };
                if hit {
                    hits.push(row);
                }
                !hit
            });
            self.eval(then, &hits);
            self.copy(then, register, &hits);
        }
        match &mut case.otherwise {
            Some(otherwise) => {
                self.eval(otherwise, &rest);
                self.copy(otherwise, register, &rest);
            }
            None => rest.iter().for_each(|&row| self.put(register, row, Value::NULL)),
        }
        self.machine.release(rest);
        self.machine.release(hits);
    }

    fn same(&self, left: &Unit, right: &Unit, row: Row) -> bool {
        let (left, right) = (self.fetch(left.source(), row), self.fetch(right.source(), row));
        matches!(test(BinaryOp::Equal, left, right, &self.batch.arena), Ok(Some(true)))
    }

    fn copy(&mut self, from: &Unit, register: usize, rows: &[Row]) {
        let source = from.source();
        for &row in rows {
            let value = self.fetch(source, row);
            self.put(register, row, value);
        }
    }

    /// `COALESCE`: the first operand that is not null.
    pub(super) fn coalesce(&mut self, parts: &mut [Unit], register: usize, rows: &[Row]) {
        let mut rest = self.machine.rows();
        rest.extend_from_slice(rows);
        for part in parts {
            self.eval(part, &rest);
            let source = part.source();
            rest.retain(|&row| {
                let value = self.fetch(source, row);
                self.put(register, row, value);
                value.is_null()
            });
        }
        self.machine.release(rest);
    }
}
