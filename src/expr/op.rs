//! A compiled expression: a tree of operations, each with the register that its results go to.

use super::ast::BinaryOp;
use super::functions::{Context, Instance, Outcome};
use super::lambda::Each;
use super::literal::Literal;
use super::members::Members;
use super::types::Type;
use crate::event::{Slot, Step, Value};

/// An operation and what is known about it.
#[derive(Clone)]
pub(super) struct Unit {
    pub(super) op: Op,
    /// The type of the result.
    pub(super) ty: Type,
    /// Where results go, a cell for each row; unused by constants and cells, and where a parameter is found.
    pub(super) register: usize,
    /// The expression's text, for reasons.
    pub(super) label: Box<str>,
}

/// The operations. Operands are evaluated for just those rows that need them.
#[derive(Clone)]
pub(super) enum Op {
    /// A constant; its text lies among the stage's constants.
    Constant(Value, Literal),
    /// A slot as it is.
    Cell(Slot),
    /// The element that a lambda around is computed for, in its register.
    Parameter,
    /// A value inside a list or map.
    Inside(Source, Box<[Step]>),
    /// True if all are; stops a row at the first false.
    And(Box<[Unit]>),
    /// True if any is; stops a row at the first true.
    Or(Box<[Unit]>),
    /// A comparison of two operands.
    Compare(BinaryOp, Box<[Unit; 2]>),
    /// `+ - * / %`.
    Arithmetic(BinaryOp, Box<[Unit; 2]>),
    /// Whether the operand is null, or with `true` whether it is not.
    IsNull(Box<Unit>, bool),
    /// Whether the operand is among the members.
    In(Box<In>),
    /// The first result whose condition holds.
    Case(Box<Case>),
    /// The first operand that is not null.
    Coalesce(Box<[Unit]>),
    /// A function of operands that are all evaluated.
    Call(Box<Apply>),
    /// A list made element by element.
    Each(Box<Each>),
}

/// `of [NOT] IN (…)`.
#[derive(Clone)]
pub(super) struct In {
    pub(super) of: Unit,
    /// The constants of the list.
    pub(super) members: Members,
    /// The rest of the list.
    pub(super) others: Vec<Unit>,
    pub(super) negated: bool,
}

/// `CASE`.
#[derive(Clone)]
pub(super) struct Case {
    /// With it, conditions are compared with its value.
    pub(super) operand: Option<Unit>,
    pub(super) branches: Vec<(Unit, Unit)>,
    pub(super) otherwise: Option<Unit>,
}

/// A function and its arguments.
#[derive(Clone)]
pub(super) struct Apply {
    pub(super) args: Vec<Unit>,
    /// Where each argument is found, and the type that it must have.
    pub(super) inputs: Vec<(Source, Type)>,
    /// Whether the function is given nulls.
    pub(super) takes_nulls: bool,
    pub(super) body: ApplyBody,
}

impl Apply {
    /// A function of arguments, each with the type that it must have.
    pub(super) fn new(args: Vec<Unit>, types: &[Type], takes_nulls: bool, body: ApplyBody) -> Apply {
        let inputs = args.iter().zip(types).map(|(arg, ty)| (arg.source(), *ty)).collect();
        Apply { args, inputs, takes_nulls, body }
    }
}

impl Apply {
    /// See [`Unit::each_instance`].
    fn each_instance(&mut self, visit: &mut dyn FnMut(&mut dyn Instance)) {
        self.args.iter_mut().for_each(|arg| arg.each_instance(visit));
        if let ApplyBody::Made(instance) = &mut self.body {
            visit(&mut **instance);
        }
    }
}

/// What is called.
pub(super) enum ApplyBody {
    Plain(fn(&mut Context, &[Value]) -> Outcome),
    Made(Box<dyn Instance>),
}

impl Clone for ApplyBody {
    fn clone(&self) -> ApplyBody {
        match self {
            ApplyBody::Plain(function) => ApplyBody::Plain(*function),
            ApplyBody::Made(instance) => ApplyBody::Made(instance.duplicate()),
        }
    }
}

impl Unit {
    /// Where the value of a row is found once the unit was evaluated.
    #[inline]
    pub(super) fn source(&self) -> Source {
        match &self.op {
            Op::Constant(value, _) => Source::Constant(*value),
            Op::Cell(slot) => Source::Cell(*slot),
            _ => Source::Register(self.register),
        }
    }

    /// Everything that is called here and counts or remembers, in an order that the expression fixes.
    pub(super) fn each_instance(&mut self, visit: &mut dyn FnMut(&mut dyn Instance)) {
        match &mut self.op {
            Op::Constant(..) | Op::Cell(_) | Op::Parameter | Op::Inside(..) => {}
            Op::And(parts) | Op::Or(parts) | Op::Coalesce(parts) => {
                parts.iter_mut().for_each(|part| part.each_instance(visit));
            }
            Op::Compare(_, both) | Op::Arithmetic(_, both) => {
                both.iter_mut().for_each(|part| part.each_instance(visit));
            }
            Op::IsNull(of, _) => of.each_instance(visit),
            Op::In(within) => {
                within.of.each_instance(visit);
                within.others.iter_mut().for_each(|other| other.each_instance(visit));
            }
            Op::Case(case) => {
                let branches = case.branches.iter_mut().flat_map(|(when, then)| [when, then]);
                let parts = case.operand.iter_mut().chain(branches).chain(&mut case.otherwise);
                parts.for_each(|part| part.each_instance(visit));
            }
            Op::Call(apply) => apply.each_instance(visit),
            Op::Each(each) => each.each_instance(visit),
        }
    }

    /// The value, if it is the same for every row.
    pub(super) fn literal(&self) -> Option<&Literal> {
        match &self.op {
            Op::Constant(_, literal) => Some(literal),
            _ => None,
        }
    }
}

/// Where values are found.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Constant(Value),
    Cell(Slot),
    Register(usize),
}

/// The values of an evaluated unit, addressed by row: cells with the batch's stride, a register with stride one,
/// a constant with stride zero.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    base: &'a [Value],
    offset: usize,
    stride: usize,
}

impl<'a> View<'a> {
    /// The view of a unit that was evaluated.
    pub(super) fn of(
        unit: &'a Unit,
        cells: &'a [Value],
        slots: usize,
        registers: &'a [Vec<Value>],
    ) -> View<'a> {
        match &unit.op {
            Op::Constant(value, _) => View { base: std::slice::from_ref(value), offset: 0, stride: 0 },
            Op::Cell(slot) => View { base: cells, offset: slot.0.into(), stride: slots },
            _ => View { base: &registers[unit.register], offset: 0, stride: 1 },
        }
    }

    /// The value of a row.
    #[inline(always)]
    pub(super) fn at(&self, row: crate::event::Row) -> Value {
        self.base[row.index() * self.stride + self.offset]
    }
}
