//! Aggregates over rows that may be taken back: they add what is given and subtract what is taken back.
//!
//! `count`, `sum` and `avg` can be written so; what others have seen they cannot forget, and they are refused.

use super::RETRACTED;
use super::aggregate::place;
use crate::config::Setting;
use crate::dataflow::{NodePlanner, Point};
use crate::event::Path;
use crate::expr::{BinaryOp, Call, Expr, Literal, Node};
use crate::windows::WindowKind;
use crate::windows::aggregates;

/// Whether a window can take rows that the node of that name takes back: not where an event by itself makes a window, and
/// not where the mark that says so was left away.
pub fn check(
    planner: &mut NodePlanner<'_>,
    at: &Point,
    from: &str,
    kind: &WindowKind,
    setting: Setting<'_>,
) -> Option<()> {
    if matches!(kind, WindowKind::Session { .. } | WindowKind::Count { .. }) {
        let message =
            format!("`{from}` takes rows back, and `{}` windows cannot forget an event", setting.name);
        setting
            .faults
            .error(setting.key, message)
            .hint("use `tumbling`, `sliding`, `cumulate`, `calendar` or `global`");
        return None;
    }
    if !planner.draft.can_resolve(at.stage, &at.scope, &Path::field(RETRACTED)) {
        let message =
            format!("`{from}` takes rows back, and the field `{RETRACTED}`, which says so, was left away");
        setting
            .faults
            .error(setting.key, message)
            .hint("let it go on: a window subtracts what is taken back");
        return None;
    }
    Some(())
}

const FORGETTING: &str =
    "`count`, `sum` and `avg` can; or write `accumulation: accumulating` at the window before";

/// Writes the aggregates of an expression so that they follow the mark; reports those that cannot.
pub fn follow(planner: &NodePlanner<'_>, setting: Setting<'_>, expr: &mut Expr) -> bool {
    let mut good = true;
    expr.map(&mut |part| {
        let call = part.as_call()?;
        let over = Over { call, part };
        let Some(spec) = aggregates::find(&call.name) else {
            let own = super::plugin::aggregate(planner, part)?;
            let message = format!("`{}` cannot forget rows that are taken back", own.name());
            planner.faults.error(place(setting, part), message).hint(FORGETTING);
            good = false;
            return Some(over.int(0));
        };
        let only = call.args.first().filter(|_| call.args.len() == 1 && !call.distinct);
        match (spec.name, only) {
            ("count", None) if call.star => Some(over.or_zero(over.sum(over.signed(over.int(1))))),
            ("count", Some(x)) => Some(over.count(x)),
            ("sum", Some(x)) => Some(over.sum(over.signed(x.clone()))),
            ("avg", Some(x)) => Some(over.mean(x)),
            _ => {
                let message = format!("`{}` cannot forget rows that are taken back", spec.name);
                planner.faults.error(place(setting, part), message).hint(FORGETTING);
                good = false;
                Some(over.int(0))
            }
        }
    });
    good
}

/// A call that is written anew.
struct Over<'a> {
    call: &'a Call,
    part: &'a Expr,
}

impl Over<'_> {
    fn put(&self, node: Node) -> Expr {
        Expr::new(node, self.part.span.clone())
    }

    fn int(&self, int: i64) -> Expr {
        self.put(Node::Literal(Literal::Int(int)))
    }

    fn called(&self, name: &str, args: Vec<Expr>) -> Expr {
        let filter = self.call.filter.clone().filter(|_| name == "sum");
        let call = Call { name: name.to_owned(), args, distinct: false, star: false, filter, over: None };
        self.put(Node::Call(call))
    }

    fn sum(&self, of: Expr) -> Expr {
        self.called("sum", vec![of])
    }

    fn or_zero(&self, of: Expr) -> Expr {
        self.called("coalesce", vec![of, self.int(0)])
    }

    fn case(&self, condition: Expr, then: Expr, otherwise: Expr) -> Expr {
        let (branches, otherwise) = (vec![(condition, then)], Some(Box::new(otherwise)));
        self.put(Node::Case { operand: None, branches, otherwise })
    }

    /// The value, negative where it is taken back.
    fn signed(&self, of: Expr) -> Expr {
        let mark = self.put(Node::Field(Path::field(RETRACTED)));
        self.case(mark, self.put(Node::Negate(Box::new(of.clone()))), of)
    }

    fn count(&self, x: &Expr) -> Expr {
        let is_null = self.put(Node::IsNull { of: Box::new(x.clone()), negated: false });
        self.or_zero(self.sum(self.case(is_null, self.int(0), self.signed(self.int(1)))))
    }

    /// A float, null where nothing is left.
    fn mean(&self, x: &Expr) -> Expr {
        let count = self.called("nullif", vec![self.count(x), self.int(0)]);
        let one = self.put(Node::Literal(Literal::Float(1.0)));
        let sum = self.sum(self.signed(x.clone()));
        let sum = self.put(Node::Binary(BinaryOp::Multiply, Box::new(sum), Box::new(one)));
        self.put(Node::Binary(BinaryOp::Divide, Box::new(sum), Box::new(count)))
    }
}
