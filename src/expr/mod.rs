//! SQL expressions: parsed, typed, compiled to programs over a batch.
//!
//! [`parse()`] makes an [`Expr`] of text, [`compile()`] a [`Program`] of an expression and the [`Scope`] it
//! stands in, and the program filters a batch's rows or computes a slot for each.

mod arithmetic;
mod ast;
mod calendar;
mod calls;
mod cast;
mod choose;
mod compare;
mod compile;
mod convert;
mod dialect;
mod display;
mod eval;
mod fault;
mod fold;
pub mod functions;
mod interval;
mod lambda;
mod like;
mod literal;
mod members;
mod narrow;
mod op;
mod operators;
mod parse;
mod program;
mod scope;
mod types;

pub use ast::{BinaryOp, Call, CastType, Expr, Node};
pub use calls::{check_count, usage};
pub use compare::is_same;
pub use compile::{compile, compile_condition};
pub use fault::ExprFault;
pub use functions::Functions;
pub use literal::Literal;
pub use parse::{MAX_DEPTH, MAX_LENGTH, MAX_NESTING, MAX_TOKENS, parse};
pub use program::Program;
pub use scope::{Resolved, Scope, SourceField, UnknownField};
pub use types::Type;

#[cfg(test)]
mod tests;
