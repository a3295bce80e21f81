//! Filters: conditions that shorten a list of rows without computing a column of booleans.

use super::ast::BinaryOp;
use super::compare::numeric;
use super::eval::{Pass, in_order, test};
use super::functions::Failure;
use super::op::{Op, Unit, View};
use super::types::Type;
use crate::event::{Kind, Row, Value};

/// Keeps the rows for which `holds` is true, in order. Unlike `retain`, it takes no branch on the outcome.
#[inline(always)]
fn keep(rows: &mut Vec<Row>, mut holds: impl FnMut(Row) -> bool) {
    let mut kept = 0;
    for at in 0..rows.len() {
        let row = rows[at];
        rows[kept] = row;
        kept += usize::from(holds(row));
    }
    rows.truncate(kept);
}

impl Pass<'_> {
    /// Keeps the rows for which the unit is true.
    pub(super) fn narrow(&mut self, unit: &mut Unit, rows: &mut Vec<Row>) {
        match &mut unit.op {
            Op::And(parts) => parts.iter_mut().for_each(|part| self.narrow(part, rows)),
            Op::Or(parts) => self.narrow_to_any(parts, unit.register, rows),
            Op::IsNull(of, negated) => {
                self.eval(of, rows);
                let (of, negated) = (self.view(of), *negated);
                keep(rows, |row| of.at(row).is_null() != negated);
            }
            Op::Compare(op, operands) => self.narrow_by_comparison(*op, operands, rows),
            _ => {
                self.eval(unit, rows);
                rows.retain(|&row| self.truth(unit, row) == Some(true));
            }
        }
    }

    /// Keeps the rows for which one of the parts is true.
    fn narrow_to_any(&mut self, parts: &mut [Unit], register: usize, rows: &mut Vec<Row>) {
        let (mut rest, mut hits) = (self.machine.rows(), self.machine.rows());
        rest.extend_from_slice(rows);
        let mut kept = self.take_register(register);
        rows.iter().for_each(|row| kept[row.index()] = Value::bool(false));
        for part in parts {
            hits.clear();
            hits.extend_from_slice(&rest);
            self.narrow(part, &mut hits);
            hits.iter().for_each(|row| kept[row.index()] = Value::bool(true));
            keep(&mut rest, |row| kept[row.index()].as_bool() == Some(false));
        }
        keep(rows, |row| kept[row.index()].as_bool() == Some(true));
        self.machine.registers[register] = kept;
        self.machine.release(rest);
        self.machine.release(hits);
    }

    fn narrow_by_comparison(&mut self, op: BinaryOp, operands: &mut [Unit; 2], rows: &mut Vec<Row>) {
        for operand in operands.iter_mut() {
            self.eval(operand, rows);
        }
        let (left, right) = (self.view(&operands[0]), self.view(&operands[1]));
        let arena = self.batch.arena.as_slice();
        let mut failures = Vec::new();
        match operands[1].literal().map(|_| right.at(Row(0))) {
            Some(text) if op == BinaryOp::Equal && text.kind() == Kind::Text => {
                keep_text(left, text, arena, rows);
            }
            Some(number) if ordered(op) && number.as_number().is_some() => {
                keep_numbers(op, left, number, rows, &mut failures);
            }
            _ => keep(rows, |row| match test(op, left.at(row), right.at(row), arena) {
                Ok(holds) => holds == Some(true),
                Err(failure) => {
                    failures.push((row, failure));
                    false
                }
            }),
        }
        for (row, failure) in failures {
            self.fail(row, failure, "", |place| operands.get(place));
        }
    }
}

fn ordered(op: BinaryOp) -> bool {
    use BinaryOp::*;
    matches!(op, Less | LessOrEqual | Greater | GreaterOrEqual)
}

/// `x = 'text'`.
fn keep_text(view: View, text: Value, arena: &[u8], rows: &mut Vec<Row>) {
    let text = &arena[text.span().range()];
    keep(rows, |row| {
        let value = view.at(row);
        let span = value.span();
        value.kind() == Kind::Text && span.len as usize == text.len() && &arena[span.range()] == text
    });
}

/// `x < number` and its like.
fn keep_numbers(
    op: BinaryOp,
    view: View,
    number: Value,
    rows: &mut Vec<Row>,
    failures: &mut Vec<(Row, Failure)>,
) {
    keep(rows, |row| {
        let value = view.at(row);
        match numeric(value, number) {
            Some(order) => in_order(op, order),
            None if value.is_null() => false,
            None => {
                failures.push((row, Failure::Wrong(0, value.kind(), Type::NUMBER)));
                false
            }
        }
    });
}
