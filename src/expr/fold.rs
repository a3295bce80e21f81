//! Computing the constant parts of an expression while it is planned.

use super::ast::{Expr, Node};
use super::compile::compile_as;
use super::fault::ExprFault;
use super::functions::Functions;
use super::literal::Literal;
use super::scope::{Resolved, Scope, UnknownField};
use crate::event::{Batch, Kind, Path, Row, Slot, Span, Value};
use crate::time::{Env, Millis, Random, Timestamp};

/// Bytes that a computed constant may have; a longer one is computed for each event.
const MAX_CONSTANT: usize = 64 * 1024;

/// Whether the expression reads no field, nor a parameter from outside, and always gives the same.
pub(super) fn is_constant(expr: &Expr, functions: &Functions) -> bool {
    fn within<'e>(expr: &'e Expr, functions: &Functions, parameters: &mut Vec<&'e str>) -> bool {
        let itself = match &expr.node {
            Node::Field(_) => false,
            Node::Parameter(path) => parameters.contains(&path.root()),
            Node::Call(call) => functions.get(&call.name).is_some_and(|function| !function.volatile),
            _ => true,
        };
        let around = parameters.len();
        if let Node::Lambda(name, _) = &expr.node {
            parameters.push(name);
        }
        let constant = itself && expr.children().into_iter().all(|part| within(part, functions, parameters));
        parameters.truncate(around);
        constant
    }
    within(expr, functions, &mut Vec::new())
}

/// What came of computing a constant expression.
pub(super) enum Folded {
    /// Its value.
    Value(Literal),
    /// It fails, whenever it is computed.
    Fails(String),
    /// It is better computed for each event.
    Later,
}

/// Computes a constant expression.
///
/// # Errors
/// The expression is faulty.
pub(super) fn fold(expr: &Expr, params: &dyn Scope, functions: &Functions) -> Result<Folded, ExprFault> {
    let mut scope = Constants { bytes: Vec::new(), params };
    let mut program = compile_as(expr, &mut scope, functions, false)?;
    let mut batch = Batch::new(1, &scope.bytes);
    let row = batch.push_row(Timestamp(0), Timestamp::MIN);
    let mut env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(0) };
    let (mut rows, mut rejects): (Vec<Row>, _) = (vec![row], Vec::new());
    program.store(&mut batch, &mut rows, Slot(0), &mut env, &mut rejects);
    Ok(match rejects.pop() {
        Some((_, reason)) => Folded::Fails(reason.text.into_owned()),
        None => literal(&batch, batch.get(row, Slot(0))).map_or(Folded::Later, Folded::Value),
    })
}

fn literal(batch: &Batch, value: Value) -> Option<Literal> {
    if value.span().len as usize > MAX_CONSTANT {
        return None;
    }
    Some(match value.kind() {
        Kind::Null => Literal::Null,
        Kind::Bool => Literal::Bool(value.as_bool() == Some(true)),
        Kind::Int => Literal::Int(value.as_int().unwrap_or_default()),
        Kind::Float => Literal::Float(value.as_float().unwrap_or_default()),
        Kind::Timestamp => Literal::Timestamp(value.as_timestamp().unwrap_or_default()),
        Kind::Text => Literal::Text(batch.text(value).to_owned()),
        Kind::Json => Literal::Json(batch.text(value).to_owned()),
        Kind::Bytes => return None,
    })
}

/// A scope without fields.
struct Constants<'a> {
    bytes: Vec<u8>,
    params: &'a dyn Scope,
}

impl Scope for Constants<'_> {
    fn field(&mut self, _path: &Path) -> Result<Resolved, UnknownField> {
        Err(UnknownField::default())
    }

    fn constant(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(start, bytes.len())
    }

    fn param(&self, name: &str) -> Option<Literal> {
        self.params.param(name)
    }

    fn instance(&self) -> &str {
        self.params.instance()
    }
}
