//! Expressions as data, with the place in the text that each part comes from.

use super::literal::Literal;
use super::types::Type;
use crate::event::{Path, Step};
use std::ops::Range;

/// An expression. Two are equal if they say the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it says.
    pub node: Node,
    /// The bytes of the text it comes from.
    pub span: Range<usize>,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        self.node == other.node
    }
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A value.
    Literal(Literal),
    /// A field, or something inside it by constant steps: `a.b[0].c`.
    Field(Path),
    /// What a lambda around is called with, or something inside it by constant steps; the path begins with its name.
    Parameter(Path),
    /// `x -> body`: what to compute of each element, as an argument of a call.
    Lambda(String, Box<Expr>),
    /// `of[index]`: an element by its number from 0, or a field by its name.
    Index(Box<Expr>, Box<Expr>),
    /// `NOT x`.
    Not(Box<Expr>),
    /// `-x`.
    Negate(Box<Expr>),
    /// All of two or more.
    And(Vec<Expr>),
    /// Any of two or more.
    Or(Vec<Expr>),
    /// `left op right`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `of IS NULL`, or `IS NOT NULL`.
    IsNull {
        /// What is asked about.
        of: Box<Expr>,
        /// With `NOT`.
        negated: bool,
    },
    /// `of IS TRUE`, `IS NOT FALSE`, ….
    IsBool {
        /// What is asked about.
        of: Box<Expr>,
        /// Compared with this; a null is neither.
        value: bool,
        /// With `NOT`.
        negated: bool,
    },
    /// `of [NOT] BETWEEN low AND high`.
    Between {
        /// What is compared.
        of: Box<Expr>,
        /// The lower bound, inclusive.
        low: Box<Expr>,
        /// The upper bound, inclusive.
        high: Box<Expr>,
        /// With `NOT`.
        negated: bool,
    },
    /// `of [NOT] IN (list)`.
    In {
        /// What is looked for.
        of: Box<Expr>,
        /// One or more.
        list: Vec<Expr>,
        /// With `NOT`.
        negated: bool,
    },
    /// `of [NOT] LIKE pattern [ESCAPE 'c']`.
    Like {
        /// The text.
        of: Box<Expr>,
        /// The pattern: `%` is any text, `_` any character.
        pattern: Box<Expr>,
        /// The character that makes the next one ordinary.
        escape: Option<char>,
        /// `ILIKE`: upper and lower case are the same.
        insensitive: bool,
        /// With `NOT`.
        negated: bool,
    },
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`.
    Case {
        /// Compared with each condition, if there.
        operand: Option<Box<Expr>>,
        /// Conditions and results; at least one.
        branches: Vec<(Expr, Expr)>,
        /// The result if no condition holds; null if absent.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(of AS to)`, or `TRY_CAST`.
    Cast {
        /// What is converted.
        of: Box<Expr>,
        /// One of the types that [`CastType`] names.
        to: CastType,
        /// `TRY_CAST`: null instead of a rejected event.
        attempt: bool,
    },
    /// A call of a function or aggregate.
    Call(Call),
}

/// A call of a function or aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Lower case.
    pub name: String,
    /// The arguments; empty with `star`.
    pub args: Vec<Expr>,
    /// `f(DISTINCT …)`.
    pub distinct: bool,
    /// `f(*)`.
    pub star: bool,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Box<Expr>>,
    /// `OVER (PARTITION BY …)`: the key; none of it is one key for all.
    pub over: Option<Vec<Expr>>,
}

/// Operators between two operands, other than `AND` and `OR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `||`
    Concat,
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `IS DISTINCT FROM`
    Distinct,
    /// `IS NOT DISTINCT FROM`
    NotDistinct,
}

impl BinaryOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
            BinaryOp::Concat => "||",
            BinaryOp::Equal => "=",
            BinaryOp::NotEqual => "<>",
            BinaryOp::Less => "<",
            BinaryOp::LessOrEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterOrEqual => ">=",
            BinaryOp::Distinct => "IS DISTINCT FROM",
            BinaryOp::NotDistinct => "IS NOT DISTINCT FROM",
        }
    }
}

/// What a value can be cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastType {
    /// `BOOLEAN`
    Bool,
    /// `INT`, `INTEGER`, `BIGINT`
    Int,
    /// `FLOAT`, `DOUBLE`, `REAL`
    Float,
    /// `TEXT`, `STRING`, `VARCHAR`
    Text,
    /// `TIMESTAMP`
    Timestamp,
}

impl CastType {
    /// The type by the name it is written with, in any case.
    pub fn by_name(name: &str) -> Option<CastType> {
        Some(match name.to_ascii_uppercase().as_str() {
            "BOOLEAN" | "BOOL" => CastType::Bool,
            "INT" | "INTEGER" | "BIGINT" => CastType::Int,
            "FLOAT" | "DOUBLE" | "REAL" => CastType::Float,
            "TEXT" | "STRING" | "VARCHAR" => CastType::Text,
            "TIMESTAMP" => CastType::Timestamp,
            _ => return None,
        })
    }

    /// The name it is printed with.
    pub fn name(self) -> &'static str {
        match self {
            CastType::Bool => "BOOLEAN",
            CastType::Int => "INTEGER",
            CastType::Float => "DOUBLE",
            CastType::Text => "TEXT",
            CastType::Timestamp => "TIMESTAMP",
        }
    }

    /// The type of the result.
    pub fn ty(self) -> Type {
        match self {
            CastType::Bool => Type::BOOL,
            CastType::Int => Type::INT,
            CastType::Float => Type::FLOAT,
            CastType::Text => Type::TEXT,
            CastType::Timestamp => Type::TIMESTAMP,
        }
    }
}

impl Expr {
    /// An expression at a place of the text.
    pub fn new(node: Node, span: Range<usize>) -> Expr {
        Expr { node, span }
    }

    /// A reference to a field, to stand in the place of something that was taken out.
    pub fn field(path: Path) -> Expr {
        Expr::new(Node::Field(path), 0..0)
    }

    /// A constant.
    pub fn literal(literal: Literal) -> Expr {
        Expr::new(Node::Literal(literal), 0..0)
    }

    /// The path, if the expression is nothing but one.
    pub fn as_path(&self) -> Option<&Path> {
        match &self.node {
            Node::Field(path) => Some(path),
            _ => None,
        }
    }

    /// The text, if the expression is a text literal.
    pub fn as_text(&self) -> Option<&str> {
        match &self.node {
            Node::Literal(Literal::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The call, if the expression is one.
    pub fn as_call(&self) -> Option<&Call> {
        match &self.node {
            Node::Call(call) => Some(call),
            _ => None,
        }
    }

    /// The parts directly inside, in the order they are written.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Literal(_) | Node::Field(_) | Node::Parameter(_) => Vec::new(),
            Node::Not(of) | Node::Negate(of) | Node::Lambda(_, of) => vec![of],
            Node::IsNull { of, .. } | Node::IsBool { of, .. } | Node::Cast { of, .. } => vec![of],
            Node::Index(left, right) | Node::Binary(_, left, right) => vec![left, right],
            Node::And(parts) | Node::Or(parts) => parts.iter().collect(),
            Node::Between { of, low, high, .. } => vec![of, low, high],
            Node::In { of, list, .. } => std::iter::once(&**of).chain(list).collect(),
            Node::Like { of, pattern, .. } => vec![of, pattern],
            Node::Case { operand, branches, otherwise } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                operand.as_deref().into_iter().chain(branches).chain(otherwise.as_deref()).collect()
            }
            Node::Call(call) => {
                call.args.iter().chain(call.filter.as_deref()).chain(call.over.iter().flatten()).collect()
            }
        }
    }

    /// The parts directly inside, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.node {
            Node::Literal(_) | Node::Field(_) | Node::Parameter(_) => Vec::new(),
            Node::Not(of) | Node::Negate(of) | Node::Lambda(_, of) => vec![of],
            Node::IsNull { of, .. } | Node::IsBool { of, .. } | Node::Cast { of, .. } => vec![of],
            Node::Index(left, right) | Node::Binary(_, left, right) => vec![left, right],
            Node::And(parts) | Node::Or(parts) => parts.iter_mut().collect(),
            Node::Between { of, low, high, .. } => vec![of, low, high],
            Node::In { of, list, .. } => std::iter::once(&mut **of).chain(list).collect(),
            Node::Like { of, pattern, .. } => vec![of, pattern],
            Node::Case { operand, branches, otherwise } => {
                let branches = branches.iter_mut().flat_map(|(when, then)| [when, then]);
                let rest = otherwise.as_deref_mut();
                operand.as_deref_mut().into_iter().chain(branches).chain(rest).collect()
            }
            Node::Call(call) => {
                let key = call.over.iter_mut().flatten();
                call.args.iter_mut().chain(call.filter.as_deref_mut()).chain(key).collect()
            }
        }
    }

    /// Visits this expression and all within, outer ones first. `visit` says whether to go inside.
    pub fn walk(&self, visit: &mut impl FnMut(&Expr) -> bool) {
        if visit(self) {
            for child in self.children() {
                child.walk(visit);
            }
        }
    }

    /// Replaces, outermost first, each part for which `change` gives another; what it gives is not visited.
    pub fn map(&mut self, change: &mut impl FnMut(&Expr) -> Option<Expr>) {
        match change(self) {
            Some(other) => *self = other,
            None => self.children_mut().into_iter().for_each(|child| child.map(change)),
        }
    }

    /// The fields that the expression reads, in the order they are written, each once.
    pub fn paths(&self) -> Vec<&Path> {
        fn collect<'a>(expr: &'a Expr, paths: &mut Vec<&'a Path>) {
            if let Some(path) = expr.as_path()
                && !paths.contains(&path)
            {
                paths.push(path);
            }
            expr.children().into_iter().for_each(|child| collect(child, paths));
        }
        let mut paths = Vec::new();
        collect(self, &mut paths);
        paths
    }

    /// The expression one constant step further in: a longer path for a name, an index for anything else.
    pub(super) fn then(self, step: Step, span: Range<usize>) -> Expr {
        let whole = self.span.start..span.end;
        match self.node {
            Node::Field(path) => Expr::new(Node::Field(path.then(step)), whole),
            Node::Parameter(path) => Expr::new(Node::Parameter(path.then(step)), whole),
            _ => {
                let index = match step {
                    Step::Field(name) => Literal::Text(name),
                    Step::Index(n) => Literal::Int(n.into()),
                };
                let index = Expr::new(Node::Literal(index), span);
                Expr::new(Node::Index(Box::new(self), Box::new(index)), whole)
            }
        }
    }
}
