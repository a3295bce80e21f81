//! Lambdas: an expression computed for each element of a list, `transform(l, x -> x * 2)`.
//!
//! Elements are taken one after the other, rows in order, so that functions with a state (`rand()`) give the same
//! however rows were cut into batches. The parameter is a register that holds the element at the row; the body is an
//! ordinary part of the program and finds the event's fields where they always are.

use super::ast::{Expr, Node};
use super::compile::{Compiler, Lowered, check, label};
use super::eval::Pass;
use super::fault::ExprFault;
use super::functions::{Failure, Instance, check_depth, check_length, keep};
use super::op::{Op, Unit};
use super::types::Type;
use crate::event::{Kind, Path, Row, Span, Value, json};

/// Elements that a lambda, with those inside it, may be computed for in one event.
pub(super) const MAX_ELEMENTS: usize = 100_000;

/// What comes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Its values are the new list.
    Results,
    /// The elements for which it is true are the new list.
    Elements,
}

/// A lambda applied to a list.
#[derive(Clone)]
pub(super) struct Each {
    pub(super) list: Unit,
    /// The register that the body finds the element in.
    pub(super) parameter: usize,
    pub(super) body: Unit,
    pub(super) keep: Keep,
    /// Whether no other lambda is around: then the count of elements begins anew with each row.
    pub(super) outermost: bool,
}

impl Each {
    /// See [`Unit::each_instance`].
    pub(super) fn each_instance(&mut self, visit: &mut dyn FnMut(&mut dyn Instance)) {
        self.list.each_instance(visit);
        self.body.each_instance(visit);
    }
}

impl Compiler<'_> {
    /// `transform` and `filter`: a list and a lambda.
    pub(super) fn each(&mut self, expr: &Expr, args: &[Expr], keep: Keep, register: usize) -> Lowered {
        let [list, lambda] = args else {
            return Err(ExprFault::new(expr.span.clone(), "a list and a lambda are expected"));
        };
        let Node::Lambda(name, body) = &lambda.node else {
            let message = format!("`{}` is not a lambda", label(lambda));
            return Err(ExprFault::new(lambda.span.clone(), message).hint("a lambda is written `x -> x * 2`"));
        };
        let unit = self.lower(list, register + 1)?;
        check(list, unit.ty, Type::JSON)?;
        let parameter = register + 2;
        self.registers = self.registers.max(parameter + 1);
        let outermost = self.parameters.is_empty();
        self.parameters.push((name.clone(), parameter));
        let lowered = self.guarded(body, register + 3);
        self.parameters.pop();
        let lowered = lowered?;
        if keep == Keep::Elements {
            check(body, lowered.ty, Type::BOOL)?;
        }
        let each = Each { list: unit, parameter, body: lowered, keep, outermost };
        Ok(self.unit(expr, Op::Each(Box::new(each)), Type::JSON, register))
    }

    /// The parameter of the innermost lambda of its name, or what stands inside it.
    pub(super) fn parameter(&mut self, expr: &Expr, path: &Path, register: usize) -> Lowered {
        let found = self.parameters.iter().rev().find(|(name, _)| name == path.root());
        let Some(&(_, parameter)) = found else {
            let message = format!("`{}` is the parameter of a lambda, and unknown here", path.root());
            let fault = ExprFault::new(expr.span.clone(), message);
            return Err(fault.hint(
                "what is computed over events takes no elements; if a field is meant, rename the parameter",
            ));
        };
        let ty = Type::SCALAR.or(Type::JSON);
        if path.rest().is_empty() {
            return Ok(self.unit(expr, Op::Parameter, ty, parameter));
        }
        let of = super::op::Source::Register(parameter);
        Ok(self.unit(expr, Op::Inside(of, path.rest().into()), ty, register))
    }
}

impl Pass<'_> {
    /// Computes the new list of each row.
    pub(super) fn each(&mut self, each: &mut Each, register: usize, label: &str, rows: &[Row]) {
        self.eval(&mut each.list, rows);
        self.machine.registers[each.parameter] = self.take_register(each.parameter);
        let list = each.list.source();
        let mut elements = self.machine.spans.pop().unwrap_or_default();
        let mut out = self.machine.bytes.pop().unwrap_or_default();
        for &row in rows {
            let list = self.fetch(list, row);
            let result = match list.kind() {
                Kind::Null => Ok(Value::NULL),
                Kind::Json => self.each_element(each, list, row, &mut elements, &mut out),
                kind => Err(Failure::Wrong(0, kind, Type::JSON)),
            };
            let value = result.unwrap_or_else(|failure| {
                self.fail(row, failure, label, |_| Some(&each.list));
                Value::NULL
            });
            self.put(register, row, value);
        }
        self.machine.spans.push(elements);
        self.machine.bytes.push(out);
    }

    /// The new list of a row; null if the body fails for an element, which was noted then.
    fn each_element(
        &mut self,
        each: &mut Each,
        list: Value,
        row: Row,
        elements: &mut Vec<Span>,
        out: &mut Vec<u8>,
    ) -> Result<Value, Failure> {
        self.find_elements(list, elements)?;
        if each.outermost {
            self.machine.elements = 0;
        }
        out.clear();
        out.push(b'[');
        let failures = self.machine.failures.len();
        for &element in &*elements {
            self.machine.elements += 1;
            if self.machine.elements > MAX_ELEMENTS {
                return Err(format!("it is computed for more than {MAX_ELEMENTS} elements").into());
            }
            // What the body adds to the arena is not needed once its value was written.
            let mark = self.batch.arena.len();
            let value = json::value_at(&mut self.batch.arena, element).map_err(|error| error.to_string())?;
            self.put(each.parameter, row, value);
            self.eval(&mut each.body, &[row]);
            let before = out.len();
            if before > 1 {
                out.push(b',');
            }
            match each.keep {
                Keep::Results => {
                    let value = self.fetch(each.body.source(), row);
                    let start = out.len();
                    json::write_value(self.batch, value, out);
                    check_depth(&out[start..])?;
                }
                Keep::Elements if self.truth(&each.body, row) == Some(true) => {
                    out.extend_from_slice(&self.batch.arena[element.range()]);
                }
                Keep::Elements => out.truncate(before),
            }
            self.batch.arena.truncate(mark);
            if self.machine.failures.len() > failures {
                return Ok(Value::NULL);
            }
            check_length(out.len())?;
        }
        out.push(b']');
        keep(self.batch, out).map(Value::json)
    }

    /// Where the elements of a list stand in the arena.
    fn find_elements(&self, list: Value, elements: &mut Vec<Span>) -> Result<(), Failure> {
        let arena = self.batch.arena.as_slice();
        let text = &arena[list.span().range()];
        if !text.starts_with(b"[") {
            return Err("a map is not a list".into());
        }
        let start = arena.as_ptr().addr();
        elements.clear();
        elements.extend(json::elements(text).map(|raw| Span::new(raw.as_ptr().addr() - start, raw.len())));
        Ok(())
    }
}
