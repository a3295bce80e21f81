//! Running compiled expressions over the rows of a batch.
//!
//! Each operation is evaluated for a list of rows and leaves its results in its register, which is indexed by row.
//! A row that fails gets null in place of the value, and its failure is noted; the first one noted for a
//! row counts. Operations that choose (`AND`, `CASE`, …) evaluate operands only for the rows that need
//! them, so `x <> 0 AND 10 / x > 1` does not fail where `x` is 0.

use super::arithmetic::compute;
use super::ast::BinaryOp;
use super::compare::{equal, order};
use super::functions::{Buffers, Context, Failure, Outcome};
use super::op::{Apply, ApplyBody, In, Op, Source, Unit, View};
use super::types::Type;
use crate::event::{Batch, Kind, Reason, Rejects, Row, Span, Step, Value, json};
use crate::time::Env;
use std::cmp::Ordering;

/// What evaluation needs room for, kept from batch to batch so that it allocates nothing for an event.
#[derive(Default)]
pub(super) struct Machine {
    pub(super) registers: Vec<Vec<Value>>,
    /// Lists of rows that are not in use.
    spare: Vec<Vec<Row>>,
    /// Lists of elements and lists in the making that are not in use.
    pub(super) spans: Vec<Vec<Span>>,
    pub(super) bytes: Vec<Vec<u8>>,
    /// How many elements lambdas were computed for in this row.
    pub(super) elements: usize,
    args: Vec<Value>,
    pub(super) failures: Rejects,
    buffers: Buffers,
}

impl Machine {
    /// A machine with this many registers.
    pub(super) fn new(registers: usize) -> Machine {
        Machine { registers: vec![Vec::new(); registers], ..Machine::default() }
    }

    /// An empty list of rows; give it back by [`Machine::release`].
    pub(super) fn rows(&mut self) -> Vec<Row> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a list of rows.
    pub(super) fn release(&mut self, mut rows: Vec<Row>) {
        rows.clear();
        self.spare.push(rows);
    }
}

/// One pass of an expression over a batch.
pub(super) struct Pass<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) env: &'a mut Env,
    pub(super) machine: &'a mut Machine,
}

impl Pass<'_> {
    /// Evaluates a unit for the rows.
    pub(super) fn eval(&mut self, unit: &mut Unit, rows: &[Row]) {
        if matches!(unit.op, Op::Constant(..) | Op::Cell(_) | Op::Parameter) {
            return;
        }
        let register = unit.register;
        self.machine.registers[register] = self.take_register(register);
        match &mut unit.op {
            Op::Constant(..) | Op::Cell(_) | Op::Parameter => {}
            Op::Inside(of, steps) => self.inside(*of, steps, register, &unit.label, rows),
            Op::And(parts) => self.chain(parts, false, register, rows),
            Op::Or(parts) => self.chain(parts, true, register, rows),
            Op::Compare(op, operands) => self.compare(*op, operands, register, rows),
            Op::Arithmetic(op, operands) => self.arithmetic(*op, operands, register, &unit.label, rows),
            Op::IsNull(of, negated) => self.is_null(of, *negated, register, rows),
            Op::In(within) => self.among(within, register, rows),
            Op::Case(case) => self.case(case, register, rows),
            Op::Coalesce(parts) => self.coalesce(parts, register, rows),
            Op::Call(apply) => self.call(apply, register, &unit.label, rows),
            Op::Each(each) => self.each(each, register, &unit.label, rows),
        }
    }

    /// Takes a register out, with room for all rows.
    pub(super) fn take_register(&mut self, register: usize) -> Vec<Value> {
        let mut cells = std::mem::take(&mut self.machine.registers[register]);
        cells.resize(self.batch.len().max(cells.len()), Value::NULL);
        cells
    }

    /// The value of a row, of a unit that was evaluated for it.
    #[inline]
    pub(super) fn fetch(&self, source: Source, row: Row) -> Value {
        match source {
            Source::Constant(value) => value,
            Source::Cell(slot) => self.batch.get(row, slot),
            Source::Register(register) => self.machine.registers[register][row.index()],
        }
    }

    #[inline]
    pub(super) fn put(&mut self, register: usize, row: Row, value: Value) {
        self.machine.registers[register][row.index()] = value;
    }

    /// Notes why a row failed. `operand` gives the label of an operand by its place.
    #[cold]
    pub(super) fn fail<'a>(
        &mut self,
        row: Row,
        failure: Failure,
        label: &str,
        operand: impl Fn(usize) -> Option<&'a Unit>,
    ) {
        let reason = reason(failure, label, operand);
        self.machine.failures.push((row, reason));
    }

    fn inside(&mut self, of: Source, steps: &[Step], register: usize, label: &str, rows: &[Row]) {
        for &row in rows {
            let value = step_into(self.batch, self.fetch(of, row), steps);
            let value = value.unwrap_or_else(|failure| {
                self.fail(row, failure, label, |_| None);
                Value::NULL
            });
            self.put(register, row, value);
        }
    }

    fn compare(&mut self, op: BinaryOp, operands: &mut [Unit; 2], register: usize, rows: &[Row]) {
        self.pairwise(operands, register, "", rows, |left, right, arena, into| {
            match test(op, left, right, arena)? {
                Some(holds) => *into = Value::bool(holds),
                None => *into = Value::NULL,
            }
            Ok(())
        });
    }

    fn arithmetic(
        &mut self,
        op: BinaryOp,
        operands: &mut [Unit; 2],
        register: usize,
        label: &str,
        rows: &[Row],
    ) {
        // A loop for each operator, so that it is not asked for at each row.
        use BinaryOp::*;
        match op {
            Add => self.pairwise(operands, register, label, rows, |l, r, _, into| compute(Add, l, r, into)),
            Subtract => {
                self.pairwise(operands, register, label, rows, |l, r, _, into| compute(Subtract, l, r, into));
            }
            Multiply => {
                self.pairwise(operands, register, label, rows, |l, r, _, into| compute(Multiply, l, r, into));
            }
            op => self.pairwise(operands, register, label, rows, |l, r, _, into| compute(op, l, r, into)),
        }
    }

    /// Evaluates two operands and puts what `compute` makes of them into the register.
    #[inline]
    fn pairwise(
        &mut self,
        operands: &mut [Unit; 2],
        register: usize,
        label: &str,
        rows: &[Row],
        // Writes its result in place: a cell returned by value goes through memory in pieces, which stalls.
        compute: impl Fn(Value, Value, &[u8], &mut Value) -> Result<(), Failure>,
    ) {
        for operand in operands.iter_mut() {
            self.eval(operand, rows);
        }
        let mut results = std::mem::take(&mut self.machine.registers[register]);
        let (left, right) = (self.view(&operands[0]), self.view(&operands[1]));
        let arena = self.batch.arena.as_slice();
        let cells = results.as_mut_slice();
        let mut failures = Vec::new();
        for &row in rows {
            let cell = &mut cells[row.index()];
            if let Err(failure) = compute(left.at(row), right.at(row), arena, cell) {
                *cell = Value::NULL;
                failures.push((row, failure));
            }
        }
        self.machine.registers[register] = results;
        for (row, failure) in failures {
            self.fail(row, failure, label, |place| operands.get(place));
        }
    }

    /// The values of a unit that was evaluated.
    #[inline]
    pub(super) fn view<'a>(&'a self, unit: &'a Unit) -> View<'a> {
        View::of(unit, self.batch.cells(), self.batch.slots(), &self.machine.registers)
    }

    fn is_null(&mut self, of: &mut Unit, negated: bool, register: usize, rows: &[Row]) {
        self.eval(of, rows);
        let mut results = std::mem::take(&mut self.machine.registers[register]);
        let of = self.view(of);
        for &row in rows {
            results[row.index()] = Value::bool(of.at(row).is_null() != negated);
        }
        self.machine.registers[register] = results;
    }

    fn among(&mut self, within: &mut In, register: usize, rows: &[Row]) {
        self.eval(&mut within.of, rows);
        for other in &mut within.others {
            self.eval(other, rows);
        }
        let of = within.of.source();
        for &row in rows {
            let value = self.fetch(of, row);
            let result = match value.is_null() {
                true => None,
                false if within.members.contains(value, &self.batch.arena) => Some(true),
                false => self.among_others(within, value, row),
            };
            let result = result.map_or(Value::NULL, |found| Value::bool(found != within.negated));
            self.put(register, row, result);
        }
    }

    /// Whether one of the values that are no constants equals; None if only nulls stand against it.
    fn among_others(&self, within: &In, value: Value, row: Row) -> Option<bool> {
        let mut null = within.members.null;
        for other in &within.others {
            let other = self.fetch(other.source(), row);
            null |= other.is_null();
            if !other.is_null() && equal(value, other, &self.batch.arena) {
                return Some(true);
            }
        }
        (!null).then_some(false)
    }

    fn call(&mut self, apply: &mut Apply, register: usize, label: &str, rows: &[Row]) {
        for arg in &mut apply.args {
            self.eval(arg, rows);
        }
        let mut results = std::mem::take(&mut self.machine.registers[register]);
        let mut args = std::mem::take(&mut self.machine.args);
        args.resize(apply.args.len(), Value::NULL);
        for &row in rows {
            let value = match self.gather(apply, row, &mut args) {
                Gathered::All => self.apply(&mut apply.body, row, &args),
                Gathered::Null => Ok(Value::NULL),
                Gathered::Wrong(failure) => Err(failure),
            };
            results[row.index()] = value.unwrap_or_else(|failure| {
                self.fail(row, failure, label, |place| apply.args.get(place));
                Value::NULL
            });
        }
        self.machine.args = args;
        self.machine.registers[register] = results;
    }

    /// Collects and checks the arguments of one row: a null makes the result null, whatever the others are.
    #[inline]
    fn gather(&self, apply: &Apply, row: Row, args: &mut [Value]) -> Gathered {
        let mut gathered = Gathered::All;
        for (place, (&(source, ty), arg)) in apply.inputs.iter().zip(args).enumerate() {
            *arg = self.fetch(source, row);
            if arg.is_null() && !apply.takes_nulls {
                return Gathered::Null;
            }
            if !ty.has(arg.kind()) && matches!(gathered, Gathered::All) {
                gathered = Gathered::Wrong(Failure::Wrong(place, arg.kind(), ty));
            }
        }
        gathered
    }

    fn apply(&mut self, body: &mut ApplyBody, row: Row, args: &[Value]) -> Outcome {
        let buffers = &mut self.machine.buffers;
        let mut context = Context { batch: self.batch, env: self.env, row, buffers };
        match body {
            ApplyBody::Plain(function) => function(&mut context, args),
            ApplyBody::Made(instance) => instance.call(&mut context, args),
        }
    }
}

/// What came of collecting the arguments of a call.
enum Gathered {
    All,
    Null,
    Wrong(Failure),
}

/// What a comparison says of two values; None where a null makes it unknown.
#[inline]
pub(super) fn test(op: BinaryOp, left: Value, right: Value, arena: &[u8]) -> Result<Option<bool>, Failure> {
    if left.is_null() || right.is_null() {
        let same = left.is_null() && right.is_null();
        return Ok(match op {
            BinaryOp::Distinct => Some(!same),
            BinaryOp::NotDistinct => Some(same),
            _ => None,
        });
    }
    let holds = match op {
        BinaryOp::Equal | BinaryOp::NotDistinct => equal(left, right, arena),
        BinaryOp::NotEqual | BinaryOp::Distinct => !equal(left, right, arena),
        _ => in_order(op, order(left, right, arena)?),
    };
    Ok(Some(holds))
}

/// Whether an order of two values is one that the operator asks for.
#[inline]
pub(super) fn in_order(op: BinaryOp, order: Ordering) -> bool {
    match op {
        BinaryOp::Less => order.is_lt(),
        BinaryOp::LessOrEqual => order.is_le(),
        BinaryOp::Greater => order.is_gt(),
        BinaryOp::GreaterOrEqual => order.is_ge(),
        BinaryOp::NotEqual => order.is_ne(),
        _ => order.is_eq(),
    }
}

/// The value some steps inside a list or map; null where it is not there.
pub(super) fn step_into(batch: &mut Batch, value: Value, steps: &[Step]) -> Outcome {
    if value.kind() != Kind::Json {
        return Ok(Value::NULL);
    }
    let Some(raw) = json::get(batch.bytes(value), steps) else {
        return Ok(Value::NULL);
    };
    let start = raw.as_ptr() as usize - batch.arena.as_ptr() as usize;
    let raw = Span::new(start, raw.len());
    json::value_at(&mut batch.arena, raw).map_err(|error| error.to_string().into())
}

/// The sentence for a failure.
fn reason<'a>(failure: Failure, label: &str, operand: impl Fn(usize) -> Option<&'a Unit>) -> Reason {
    let text = match failure {
        Failure::Wrong(place, found, wanted) => {
            let label = operand(place).map_or(label, |unit| &unit.label);
            format!("`{label}` is {}, not {}", Type::of(found).noun(), wanted.noun())
        }
        Failure::Because(text) if label.is_empty() => text.into_owned(),
        Failure::Because(text) => format!("`{label}`: {text}"),
    };
    Reason::expression(text)
}
