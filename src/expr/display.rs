//! Expressions in their canonical text: parsing it gives the same expression again.

use super::ast::{BinaryOp, Call, Expr, Node};
use super::dialect::is_reserved;
use super::literal::Literal;
use crate::event::{Path, Step};
use std::fmt::{self, Display, Formatter};

/// How tightly an expression holds together; an operand that holds less tightly gets parentheses.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    Lowest,
    Or,
    And,
    Not,
    Comparison,
    Sum,
    Product,
    Sign,
    Primary,
}

impl Level {
    fn of(expr: &Expr) -> Level {
        use BinaryOp::*;
        match &expr.node {
            Node::Lambda(..) => Level::Lowest,
            Node::Or(_) => Level::Or,
            Node::And(_) => Level::And,
            Node::Not(_) => Level::Not,
            Node::Binary(Add | Subtract, ..) => Level::Sum,
            Node::Binary(Multiply | Divide | Modulo | Concat, ..) => Level::Product,
            Node::Binary(..) | Node::IsNull { .. } | Node::IsBool { .. } => Level::Comparison,
            Node::Between { .. } | Node::In { .. } | Node::Like { .. } => Level::Comparison,
            Node::Negate(_) => Level::Sign,
            Node::Literal(Literal::Int(n)) if *n < 0 => Level::Sign,
            Node::Literal(Literal::Float(x)) if x.is_sign_negative() => Level::Sign,
            _ => Level::Primary,
        }
    }

    /// The level at which an operand to the right of an operator of this level needs no parentheses.
    fn above(self) -> Level {
        match self {
            Level::Lowest => Level::Or,
            Level::Or => Level::And,
            Level::And => Level::Not,
            Level::Not => Level::Comparison,
            Level::Comparison => Level::Sum,
            Level::Sum => Level::Product,
            Level::Product => Level::Sign,
            Level::Sign | Level::Primary => Level::Primary,
        }
    }
}

/// An operand that must hold together at least as tightly as the level.
struct Operand<'a>(&'a Expr, Level);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if Level::of(self.0) < self.1 { write!(f, "({})", self.0) } else { write!(f, "{}", self.0) }
    }
}

fn operand(expr: &Expr) -> Operand<'_> {
    Operand(expr, Level::Sum)
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn list(f: &mut Formatter<'_>, items: &[Expr], between: &str, level: Level) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        Operand(item, level).fmt(f)?;
    }
    Ok(())
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Literal(literal) => literal.fmt(f),
            Node::Field(path) | Node::Parameter(path) => display_path(f, path),
            Node::Lambda(parameter, body) => write!(f, "{parameter} -> {body}"),
            Node::Index(of, index) => write!(f, "{}[{index}]", Operand(of, Level::Primary)),
            Node::Not(of) => write!(f, "NOT {}", Operand(of, Level::Not)),
            Node::Negate(of) => write!(f, "-{}", Operand(of, Level::Primary)),
            Node::And(parts) => list(f, parts, " AND ", Level::Not),
            Node::Or(parts) => list(f, parts, " OR ", Level::And),
            Node::Binary(op, left, right) => {
                let level = Level::of(self);
                let first = if level == Level::Comparison { level.above() } else { level };
                write!(f, "{} {} {}", Operand(left, first), op.symbol(), Operand(right, level.above()))
            }
            Node::IsNull { of, negated } => write!(f, "{} IS {}NULL", operand(of), not(*negated)),
            Node::IsBool { of, value, negated } => {
                write!(f, "{} IS {}{}", operand(of), not(*negated), Literal::Bool(*value))
            }
            Node::Between { of, low, high, negated } => {
                write!(f, "{} {}BETWEEN {}", operand(of), not(*negated), operand(low))?;
                write!(f, " AND {}", operand(high))
            }
            Node::In { of, list: items, negated } => {
                write!(f, "{} {}IN (", operand(of), not(*negated))?;
                list(f, items, ", ", Level::Lowest)?;
                f.write_str(")")
            }
            Node::Like { of, pattern, escape, insensitive, negated } => {
                let word = if *insensitive { "ILIKE" } else { "LIKE" };
                write!(f, "{} {}{word} {}", operand(of), not(*negated), operand(pattern))?;
                match escape {
                    Some(c) => write!(f, " ESCAPE {}", Literal::Text(c.to_string())),
                    None => Ok(()),
                }
            }
            Node::Case { operand, branches, otherwise } => {
                f.write_str("CASE")?;
                if let Some(operand) = operand {
                    write!(f, " {operand}")?;
                }
                for (when, then) in branches {
                    write!(f, " WHEN {when} THEN {then}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " ELSE {otherwise}")?;
                }
                f.write_str(" END")
            }
            Node::Cast { of, to, attempt } => {
                let word = if *attempt { "TRY_CAST" } else { "CAST" };
                write!(f, "{word}({of} AS {})", to.name())
            }
            Node::Call(call) => call.fmt(f),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}", self.name, if self.distinct { "DISTINCT " } else { "" })?;
        if self.star {
            f.write_str("*")?;
        }
        list(f, &self.args, ", ", Level::Lowest)?;
        f.write_str(")")?;
        if let Some(filter) = &self.filter {
            write!(f, " FILTER (WHERE {filter})")?;
        }
        match self.over.as_deref() {
            None => Ok(()),
            Some([]) => f.write_str(" OVER ()"),
            Some(key) => {
                f.write_str(" OVER (PARTITION BY ")?;
                list(f, key, ", ", Level::Lowest)?;
                f.write_str(")")
            }
        }
    }
}

fn display_path(f: &mut Formatter<'_>, path: &Path) -> fmt::Result {
    for (i, step) in path.steps().iter().enumerate() {
        match step {
            Step::Index(n) => write!(f, "[{n}]")?,
            Step::Field(name) => {
                f.write_str(if i > 0 { "." } else { "" })?;
                if let Some(call) = computed_before(name) {
                    f.write_str(call)?;
                } else if is_plain_name(name) {
                    f.write_str(name)?;
                } else {
                    write!(f, "`{}`", name.replace('`', "``"))?;
                }
            }
        }
    }
    Ok(())
}

/// The call that a hidden field holds the result of. No field of a user has such a name.
fn computed_before(name: &str) -> Option<&str> {
    name.strip_prefix('(')?.strip_suffix(')')
}

/// Whether a field's name can be written without backticks.
fn is_plain_name(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    plain && !name.starts_with(|c: char| c.is_numeric()) && !name.is_empty() && !is_reserved(name)
}
