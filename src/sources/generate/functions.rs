//! Functions that only made-up events have.

use crate::event::Value;
use crate::event::bytes::{Malformed, Reader, put_signed};
use crate::expr::functions::{
    Arg, Body, Context, Count, FunctionSpec, Group, Instance, Outcome, Returns, arg, finite, optional,
};
use crate::expr::{Literal, Type};

/// The functions.
pub const FUNCTIONS: &[FunctionSpec] = &[SEQUENCE, PICK, RANDOM_WALK];

const SEQUENCE: FunctionSpec = FunctionSpec::new(
    Group::Generate,
    "sequence",
    &[optional("start", Type::INT)],
    Returns::Is(Type::INT),
    Body::Made(|args| {
        let next = match args.first() {
            Some(Some(Literal::Int(start))) => *start,
            None => 0,
            _ => return Err("`start` must be a constant".to_owned()),
        };
        Ok(Box::new(Sequence { start: next, next }))
    }),
)
.doc("Counts from 0, or from `start`.", &[("sequence()", "0"), ("sequence(100)", "100")])
.volatile();

const PICK: FunctionSpec = FunctionSpec::new(
    Group::Generate,
    "pick",
    &[PICKED],
    Returns::AsAny,
    Body::Plain(|context, args| {
        let place = (context.env.random.unit() * args.len() as f64) as usize;
        args.get(place).copied().ok_or_else(|| "it has nothing to pick from".into())
    }),
)
.doc("One of its arguments, each as likely.", &[("pick('a')", "\"a\"")])
.with_nulls()
.volatile();

const PICKED: Arg = Arg { name: "value", ty: Type::ANY, count: Count::Repeated };

const RANDOM_WALK: FunctionSpec = FunctionSpec::new(
    Group::Generate,
    "random_walk",
    &[
        arg("start", Type::NUMBER),
        arg("step", Type::NUMBER),
        optional("lo", Type::NUMBER),
        optional("hi", Type::NUMBER),
    ],
    Returns::Is(Type::FLOAT),
    Body::Made(|_| Ok(Box::new(RandomWalk { at: None }))),
)
.doc(
    "Starts at `start` and goes up or down by at most `step` each time, within `lo` and `hi`.",
    &[("random_walk(20, 0)", "20.0")],
)
.volatile();

struct Sequence {
    start: i64,
    next: i64,
}

impl Instance for Sequence {
    fn call(&mut self, _context: &mut Context, _args: &[Value]) -> Outcome {
        let value = self.next;
        self.next = self.next.wrapping_add(1);
        Ok(Value::int(value))
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(Sequence { start: self.start, next: self.start })
    }

    fn save(&self, into: &mut Vec<u8>) {
        put_signed(into, self.next);
    }

    fn load(&mut self, saved: &mut Reader<'_>) -> Result<(), Malformed> {
        self.next = saved.signed()?;
        Ok(())
    }
}

struct RandomWalk {
    at: Option<f64>,
}

impl Instance for RandomWalk {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let number = |i: usize| args.get(i).and_then(|value| value.as_number());
        let (start, step) = (number(0).unwrap_or_default(), number(1).unwrap_or_default());
        let next = match self.at {
            None => start,
            Some(at) => at + (context.env.random.unit() * 2.0 - 1.0) * step,
        };
        let next = next.max(number(2).unwrap_or(f64::NEG_INFINITY)).min(number(3).unwrap_or(f64::INFINITY));
        self.at = Some(next);
        finite(next)
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(RandomWalk { at: None })
    }

    fn save(&self, into: &mut Vec<u8>) {
        into.push(u8::from(self.at.is_some()));
        self.at.iter().for_each(|at| into.extend_from_slice(&at.to_bits().to_le_bytes()));
    }

    fn load(&mut self, saved: &mut Reader<'_>) -> Result<(), Malformed> {
        self.at = match saved.byte()? {
            0 => None,
            _ => Some(f64::from_bits(saved.fixed()?)),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::functions::GENERATORS;

    #[test]
    fn expressions_elsewhere_know_their_names() {
        let mut names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
        names.sort_unstable();
        assert_eq!(names, GENERATORS);
    }
}
