//! `match`: which events of the two sides belong together.

use crate::config::{Setting, read};
use crate::dataflow::NodePlanner;
use crate::event::{Path, Step};
use crate::expr::{BinaryOp, Expr, Node};

/// A condition, taken apart.
pub struct Matching {
    /// What must be equal: of the left side, of the right side, and both as written.
    pub equal: Vec<([Expr; 2], String)>,
    /// What must hold besides.
    pub rest: Option<Expr>,
}

/// Reads a condition on two sides of these names. Each operand of an equality reads one of them and is given as that side
/// sees it.
pub fn read(planner: &NodePlanner<'_>, names: [&str; 2], setting: Setting<'_>) -> Option<Matching> {
    let expr = planner.parse(setting)?;
    let (mut equal, mut rest) = (Vec::new(), Vec::new());
    for part in conjuncts(expr) {
        check_names(names, setting, &part)?;
        match equality(names, &part) {
            Some(operands) => equal.push((operands, part.to_string())),
            None => rest.push(part),
        }
    }
    if equal.is_empty() {
        let [left, right] = names;
        setting
            .error("`match` needs an equality between the two sides")
            .hint(format!("such as `{left}.id = {right}.id`; further conditions may follow behind AND"));
        return None;
    }
    let rest = match rest.len() {
        0 | 1 => rest.pop(),
        _ => Some(Expr::new(Node::And(rest), 0..0)),
    };
    Some(Matching { equal, rest })
}

/// The parts of which each must hold.
fn conjuncts(expr: Expr) -> Vec<Expr> {
    match expr.node {
        Node::And(parts) => parts.into_iter().flat_map(conjuncts).collect(),
        _ => vec![expr],
    }
}

/// Whether each field begins with the name of a side; reported if not.
fn check_names(names: [&str; 2], setting: Setting<'_>, part: &Expr) -> Option<()> {
    let [left, right] = names;
    let strange = part.paths().into_iter().find(|path| {
        let is_field = matches!(path.rest().first(), Some(Step::Field(_)));
        !names.contains(&path.root()) || !is_field
    });
    let Some(strange) = strange else { return Some(()) };
    let snippet = read::expression(setting)?;
    let message = match names.contains(&strange.root()) {
        true => format!("`{strange}` is a whole event"),
        false => format!("`{strange}` is a field of neither `{left}` nor `{right}`"),
    };
    snippet.error(part.span.clone(), message).hint(format!("write `{left}.field` or `{right}.field`"));
    None
}

/// The operands of an equality, that of the left side first, if it is one between the sides.
fn equality(names: [&str; 2], part: &Expr) -> Option<[Expr; 2]> {
    let Node::Binary(BinaryOp::Equal, one, other) = &part.node else { return None };
    let one_side = side(names, one)?;
    let other_side = side(names, other)?;
    if one_side == other_side {
        return None;
    }
    let (left, right) = if one_side == 0 { (one, other) } else { (other, one) };
    Some([within(left), within(right)])
}

/// The only side that an expression reads.
fn side(names: [&str; 2], expr: &Expr) -> Option<usize> {
    let paths = expr.paths();
    let first = names.iter().position(|name| *name == paths.first().map_or("", |path| path.root()))?;
    paths.iter().all(|path| path.root() == names[first]).then_some(first)
}

/// An expression on a side as the side itself sees it: `a.x.y` is its `x.y`.
fn within(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    expr.map(&mut |part| {
        let path = part.as_path()?;
        let Some((Step::Field(name), rest)) = path.rest().split_first() else { return None };
        Some(Expr::new(Node::Field(Path::field(name.clone()).join(rest)), part.span.clone()))
    });
    expr
}
