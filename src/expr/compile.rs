//! Expression to program: names are resolved, types checked, constants folded.

use super::arithmetic;
use super::ast::{BinaryOp, Expr, Node};
use super::compare::comparable;
use super::fault::ExprFault;
use super::fold::{Folded, fold, is_constant};
use super::functions::Functions;
use super::literal::Literal;
use super::members::Members;
use super::op::{Case, In, Op, Source, Unit};
use super::operators;
use super::program::Program;
use super::scope::Scope;
use super::types::Type;
use crate::event::{Path, Span, Value, json, nearest};

/// Compiles an expression against the fields, constants and parameters of a scope.
///
/// # Errors
/// The first fault: an unknown field or function, a wrong argument, a constant that cannot be computed.
pub fn compile(expr: &Expr, scope: &mut dyn Scope, functions: &Functions) -> Result<Program, ExprFault> {
    compile_as(expr, scope, functions, true)
}

/// As [`compile`], with or without computing constant parts now.
pub(super) fn compile_as(
    expr: &Expr,
    scope: &mut dyn Scope,
    functions: &Functions,
    folding: bool,
) -> Result<Program, ExprFault> {
    let parameters = Vec::new();
    let mut compiler = Compiler { scope, functions, registers: 0, parameters, guards: 0, folding };
    let root = compiler.lower(expr, 0)?;
    Ok(Program::new(root, compiler.registers))
}

/// As [`compile`], for an expression that says yes or no.
///
/// # Errors
/// Also if the expression can never be a boolean.
pub fn compile_condition(
    expr: &Expr,
    scope: &mut dyn Scope,
    functions: &Functions,
) -> Result<Program, ExprFault> {
    let program = compile(expr, scope, functions)?;
    check(expr, program.ty(), Type::BOOL)?;
    Ok(program)
}

pub(super) struct Compiler<'a> {
    pub(super) scope: &'a mut dyn Scope,
    pub(super) functions: &'a Functions,
    /// Registers needed so far.
    pub(super) registers: usize,
    /// The parameters of the lambdas around, with their registers, the innermost last.
    pub(super) parameters: Vec<(String, usize)>,
    /// How many choices stand around: what is inside may never be evaluated.
    pub(super) guards: usize,
    /// Whether constant parts are computed now.
    pub(super) folding: bool,
}

pub(super) type Lowered = Result<Unit, ExprFault>;

/// Refuses an operand that can never be of the wanted type.
pub(super) fn check(operand: &Expr, ty: Type, wanted: Type) -> Result<(), ExprFault> {
    if ty.meets(wanted) {
        return Ok(());
    }
    let message = format!("`{}` is {}, not {}", label(operand), ty.noun(), wanted.noun());
    Err(ExprFault::new(operand.span.clone(), message))
}

/// The text of an expression for a message, cut where it is long.
pub(super) fn label(expr: &Expr) -> String {
    const LONGEST: usize = 60;
    let text = expr.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Compiler<'_> {
    /// Compiles a part. Its result goes to `register`, and what it needs besides to later ones.
    pub(super) fn lower(&mut self, expr: &Expr, register: usize) -> Lowered {
        if self.folding && !matches!(expr.node, Node::Literal(_)) && is_constant(expr, self.functions) {
            match fold(expr, self.scope, self.functions)? {
                Folded::Value(literal) => return self.constant(expr, &literal),
                Folded::Fails(reason) if self.guards == 0 => {
                    let message = format!("this can never be computed: {reason}");
                    return Err(ExprFault::new(expr.span.clone(), message));
                }
                // Perhaps it is never reached; if it is, the event is rejected.
                Folded::Fails(_) | Folded::Later => {}
            }
        }
        match &expr.node {
            Node::Literal(literal) => self.constant(expr, literal),
            Node::Field(path) => self.field(expr, path, register),
            Node::Parameter(path) => self.parameter(expr, path, register),
            Node::Lambda(..) => {
                let fault = ExprFault::new(expr.span.clone(), "a lambda is not expected here");
                Err(fault
                    .hint("lambdas are for lists: `transform(list, x -> x * 2)`, `filter(list, x -> x > 0)`"))
            }
            Node::And(parts) => self.chain(expr, parts, Op::And, register),
            Node::Or(parts) => self.chain(expr, parts, Op::Or, register),
            Node::Binary(op, left, right) => self.binary(expr, *op, left, right, register),
            Node::In { of, list, negated } => self.among(expr, of, list, *negated, register),
            Node::Case { operand, branches, otherwise } => {
                self.case(expr, (operand.as_deref(), branches, otherwise.as_deref()), register)
            }
            Node::Call(call) => self.call(expr, call, register),
            _ => operators::lower(self, expr, register),
        }
    }

    /// A unit for an expression.
    pub(super) fn unit(&mut self, expr: &Expr, op: Op, ty: Type, register: usize) -> Unit {
        if !matches!(op, Op::Constant(..) | Op::Cell(_) | Op::Parameter) {
            self.registers = self.registers.max(register + 1);
        }
        Unit { op, ty, register, label: label(expr).into() }
    }

    /// Several operands, whose results stand side by side behind `register`.
    pub(super) fn operands<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        register: usize,
    ) -> Result<Vec<Unit>, ExprFault> {
        exprs.into_iter().enumerate().map(|(i, expr)| self.lower(expr, register + 1 + i)).collect()
    }

    /// An operand that may not be evaluated.
    pub(super) fn guarded(&mut self, expr: &Expr, register: usize) -> Lowered {
        self.guards += 1;
        let unit = self.lower(expr, register);
        self.guards -= 1;
        unit
    }

    pub(super) fn constant(&mut self, expr: &Expr, literal: &Literal) -> Lowered {
        let (value, ty) = match literal {
            Literal::Null => (Value::NULL, Type::NULL),
            Literal::Bool(b) => (Value::bool(*b), Type::BOOL),
            Literal::Int(n) => (Value::int(*n), Type::INT),
            Literal::Float(x) => (Value::float(*x), Type::FLOAT),
            Literal::Timestamp(ms) => (Value::timestamp(*ms), Type::TIMESTAMP),
            Literal::Text(text) if json::is_plain(text.as_bytes()) => {
                (Value::plain_text(self.intern(text)), Type::TEXT)
            }
            Literal::Text(text) => (Value::text(self.intern(text)), Type::TEXT),
            Literal::Json(text) => (Value::json(self.intern(text)), Type::JSON),
            Literal::Months(_) => {
                let message = "months and years have no fixed length";
                let hint = "they can be added to a timestamp or subtracted from one, nothing else";
                return Err(ExprFault::new(expr.span.clone(), message).hint(hint));
            }
        };
        Ok(self.unit(expr, Op::Constant(value, literal.clone()), ty, 0))
    }

    fn intern(&mut self, text: &str) -> Span {
        self.scope.constant(text.as_bytes())
    }

    fn field(&mut self, expr: &Expr, path: &Path, register: usize) -> Lowered {
        let resolved = self.scope.field(path).map_err(|unknown| {
            let fault = ExprFault::new(expr.span.clone(), format!("there is no field `{}`", label(expr)));
            let similar = nearest(&path.to_string(), unknown.candidates.iter().map(String::as_str));
            match (unknown.hint, similar) {
                (Some(hint), _) => fault.hint(hint),
                (None, Some(name)) => fault.hint(format!("did you mean `{name}`?")),
                (None, None) if unknown.candidates.is_empty() => fault,
                (None, None) => fault.hint(format!("there are: {}", some(&unknown.candidates))),
            }
        })?;
        if resolved.rest.is_empty() {
            return Ok(self.unit(expr, Op::Cell(resolved.slot), resolved.ty, register));
        }
        if !resolved.ty.meets(Type::JSON) {
            let message = format!("`{}` is {}, it has no fields", path.root(), resolved.ty.noun());
            return Err(ExprFault::new(expr.span.clone(), message));
        }
        let ty = Type::SCALAR.or(Type::JSON);
        Ok(self.unit(expr, Op::Inside(Source::Cell(resolved.slot), resolved.rest.into()), ty, register))
    }

    fn chain(&mut self, expr: &Expr, parts: &[Expr], op: fn(Box<[Unit]>) -> Op, register: usize) -> Lowered {
        let mut units = Vec::with_capacity(parts.len());
        for (i, part) in parts.iter().enumerate() {
            // Each is done with before the next begins, so that they can share registers.
            let unit =
                if i == 0 { self.lower(part, register + 1)? } else { self.guarded(part, register + 1)? };
            check(part, unit.ty, Type::BOOL)?;
            units.push(unit);
        }
        Ok(self.unit(expr, op(units.into()), Type::BOOL, register))
    }

    fn binary(&mut self, expr: &Expr, op: BinaryOp, left: &Expr, right: &Expr, register: usize) -> Lowered {
        use BinaryOp::*;
        match op {
            Concat => return operators::concat(self, expr, register),
            Add | Subtract if matches!(right.node, Node::Literal(Literal::Months(_))) => {
                return operators::add_months(self, expr, op, left, right, register);
            }
            Add if matches!(left.node, Node::Literal(Literal::Months(_))) => {
                return operators::add_months(self, expr, op, right, left, register);
            }
            _ => {}
        }
        // A constant goes to the right, where comparisons with it are quick and reasons name the other side.
        let (op, left, right) = match flipped(op) {
            Some(flipped) if is_constant(left, self.functions) && !is_constant(right, self.functions) => {
                (flipped, right, left)
            }
            _ => (op, left, right),
        };
        let operands = [self.lower(left, register + 1)?, self.lower(right, register + 2)?];
        let types = (operands[0].ty, operands[1].ty);
        if let Add | Subtract | Multiply | Divide | Modulo = op {
            let ty = arithmetic::result(op, types.0, types.1).map_err(|(place, wanted)| {
                let (operand, ty) = if place == 0 { (left, types.0) } else { (right, types.1) };
                let message = format!("`{}` is {}, not {}", label(operand), ty.noun(), wanted.noun());
                ExprFault::new(operand.span.clone(), message)
            })?;
            return Ok(self.unit(expr, Op::Arithmetic(op, Box::new(operands)), ty, register));
        }
        if let Less | LessOrEqual | Greater | GreaterOrEqual = op {
            check_order(left, types.0, types.1)?;
        }
        Ok(self.unit(expr, Op::Compare(op, Box::new(operands)), Type::BOOL, register))
    }

    fn among(&mut self, expr: &Expr, of: &Expr, list: &[Expr], negated: bool, register: usize) -> Lowered {
        let of = self.lower(of, register + 1)?;
        let (mut members, mut others) = (Members::default(), Vec::new());
        for item in list {
            let unit = self.lower(item, register + 2 + others.len())?;
            match (&unit.op, unit.literal()) {
                (Op::Constant(value, _), Some(Literal::Text(text))) => members.add(*value, text.as_bytes()),
                (Op::Constant(value, _), _) => members.add(*value, &[]),
                _ => others.push(unit),
            }
        }
        let op = Op::In(Box::new(In { of, members, others, negated }));
        Ok(self.unit(expr, op, Type::BOOL, register))
    }

    fn case(
        &mut self,
        expr: &Expr,
        (operand, branches, otherwise): (Option<&Expr>, &[(Expr, Expr)], Option<&Expr>),
        register: usize,
    ) -> Lowered {
        let base = if operand.is_some() { register + 2 } else { register + 1 };
        let operand = operand.map(|operand| self.lower(operand, register + 1)).transpose()?;
        let mut units = Vec::with_capacity(branches.len());
        let mut ty = Type::NULL;
        for (i, (when, then)) in branches.iter().enumerate() {
            let unit = if i == 0 { self.lower(when, base)? } else { self.guarded(when, base)? };
            if operand.is_none() {
                check(when, unit.ty, Type::BOOL)?;
            }
            let then = self.guarded(then, base)?;
            ty = ty.or(then.ty);
            units.push((unit, then));
        }
        let otherwise = otherwise.map(|otherwise| self.guarded(otherwise, base)).transpose()?;
        ty = ty.or(otherwise.as_ref().map_or(Type::NULL, |unit| unit.ty));
        let case = Case { operand, branches: units, otherwise };
        Ok(self.unit(expr, Op::Case(Box::new(case)), ty, register))
    }

    /// `coalesce`, of which all but the first argument may not be evaluated.
    pub(super) fn coalesce(&mut self, expr: &Expr, args: &[Expr], register: usize) -> Lowered {
        let mut units = Vec::with_capacity(args.len());
        let mut ty = Type::NULL;
        for (i, arg) in args.iter().enumerate() {
            let unit = if i == 0 { self.lower(arg, register + 1)? } else { self.guarded(arg, register + 1)? };
            ty = ty.or(unit.ty);
            units.push(unit);
        }
        Ok(self.unit(expr, Op::Coalesce(units.into()), ty, register))
    }

    /// `if`, which is a `CASE` of one branch.
    pub(super) fn choice(&mut self, expr: &Expr, args: &[Expr], register: usize) -> Lowered {
        match args {
            [when, then, otherwise] => {
                let branch = [(when.clone(), then.clone())];
                self.case(expr, (None, &branch, Some(otherwise)), register)
            }
            _ => Err(ExprFault::new(expr.span.clone(), "`if` takes 3 arguments")),
        }
    }
}

/// The first names of a list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown}, …") } else { shown }
}

/// Refuses to order values whose types are known and never comparable.
pub(super) fn check_order(left: &Expr, left_ty: Type, right_ty: Type) -> Result<(), ExprFault> {
    if left_ty == Type::JSON || right_ty == Type::JSON {
        return Err(ExprFault::new(left.span.clone(), "lists and maps have no order"));
    }
    if right_ty == Type::NULL { Ok(()) } else { check(left, comparable(left_ty), comparable(right_ty)) }
}

/// The operator with its operands exchanged, for comparisons.
fn flipped(op: BinaryOp) -> Option<BinaryOp> {
    use BinaryOp::*;
    Some(match op {
        Less => Greater,
        LessOrEqual => GreaterOrEqual,
        Greater => Less,
        GreaterOrEqual => LessOrEqual,
        Equal | NotEqual | Distinct | NotDistinct => op,
        _ => return None,
    })
}
