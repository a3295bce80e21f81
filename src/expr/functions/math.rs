//! Numbers.

use super::context::{Context, Failure, Outcome, finite};
use super::round::{round, trunc};
use super::spec::{Arg, Body, FunctionSpec, Group, Instance, Returns, arg, optional, repeated};
use crate::event::bytes::{Malformed, Reader, put_random, read_random};
use crate::event::{Kind, Value};
use crate::expr::arithmetic;
use crate::expr::ast::BinaryOp;
use crate::expr::compare::order;
use crate::expr::types::Type;
use crate::time::Random;
use std::cmp::Ordering;

const X: &[Arg] = &[arg("x", Type::NUMBER)];
const XY: &[Arg] = &[arg("x", Type::NUMBER), arg("y", Type::NUMBER)];
const INTS: &[Arg] = &[arg("a", Type::INT), arg("b", Type::INT)];
const SHIFT: &[Arg] = &[arg("x", Type::INT), arg("n", Type::INT)];
const SOME: &[Arg] = &[arg("x", Type::ANY), repeated("y", Type::ANY)];
const OF_FLOAT: Returns = Returns::Is(Type::FLOAT);
const OF_INT: Returns = Returns::Is(Type::INT);

const fn new(
    name: &'static str,
    args: &'static [Arg],
    returns: Returns,
    body: fn(&mut Context, &[Value]) -> Outcome,
) -> FunctionSpec {
    FunctionSpec::new(Group::Math, name, args, returns, Body::Plain(body))
}

/// The functions of this group.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    new("abs", X, Returns::AsFirst, abs)
        .doc("The value without its sign.", &[("abs(-3)", "3"), ("abs(-2.5)", "2.5")]),
    new("sign", X, Returns::AsFirst, sign)
        .doc("-1, 0 or 1, of the argument's type.", &[("sign(-7)", "-1"), ("sign(0.5)", "1.0")]),
    new("ceil", X, Returns::AsFirst, |_, args| whole(args[0], f64::ceil))
        .doc("The nearest whole number from above; the type stays.", &[("ceil(2.1)", "3.0"), ("ceil(2)", "2")]),
    new("floor", X, Returns::AsFirst, |_, args| whole(args[0], f64::floor))
        .doc("The nearest whole number from below; the type stays.", &[("floor(-2.1)", "-3.0")]),
    new("round", &[arg("x", Type::NUMBER), optional("n", Type::INT)], Returns::AsFirst, round).doc(
        "Rounded to `n` decimals (default 0), halves away from zero as they are written in decimal; `n` may be \
         negative; the type stays.",
        &[
            ("round(2.5)", "3.0"),
            ("round(2.675, 2)", "2.68"),
            ("round(1234, -2)", "1200"),
            ("round(-0.5)", "-1.0"),
        ],
    ),
    new("trunc", X, Returns::AsFirst, trunc)
        .doc("Without the fraction; the type stays.", &[("trunc(-2.9)", "-2.0")]),
    new("sqrt", X, OF_FLOAT, sqrt).doc("The square root.", &[("sqrt(16)", "4.0")]),
    new("cbrt", X, OF_FLOAT, |_, args| finite(number(args[0]).cbrt()))
        .doc("The cube root.", &[("cbrt(-27)", "-3.0")]),
    new("exp", X, OF_FLOAT, |_, args| finite(number(args[0]).exp()))
        .doc("e to the power of `x`.", &[("exp(0)", "1.0")]),
    new("ln", X, OF_FLOAT, |_, args| logarithm(args[0], f64::ln))
        .doc("The natural logarithm.", &[("ln(1)", "0.0")]),
    new("log10", X, OF_FLOAT, |_, args| logarithm(args[0], f64::log10))
        .doc("The logarithm to base 10.", &[("log10(1000)", "3.0")]),
    new("log2", X, OF_FLOAT, |_, args| logarithm(args[0], f64::log2))
        .doc("The logarithm to base 2.", &[("log2(8)", "3.0")]),
    new("log", &[arg("base", Type::NUMBER), arg("x", Type::NUMBER)], OF_FLOAT, log)
        .doc("The logarithm of `x` to a base.", &[("log(2, 8)", "3.0")]),
    new("pow", XY, OF_FLOAT, pow)
        .doc("`x` to the power of `y`, a float.", &[("pow(2, 10)", "1024.0"), ("pow(4, -0.5)", "0.5")]),
    new("mod", XY, Returns::AsAny, |_, args| arithmetic::value(BinaryOp::Modulo, args[0], args[1]))
        .doc("The remainder, as `x % y`; it has the sign of `x`.", &[("mod(-7, 2)", "-1"), ("mod(7.5, 2)", "1.5")]),
    new("sin", X, OF_FLOAT, |_, args| finite(number(args[0]).sin()))
        .doc("The sine of an angle in radians.", &[("sin(0)", "0.0")]),
    new("cos", X, OF_FLOAT, |_, args| finite(number(args[0]).cos()))
        .doc("The cosine of an angle in radians.", &[("cos(0)", "1.0")]),
    new("tan", X, OF_FLOAT, |_, args| finite(number(args[0]).tan()))
        .doc("The tangent of an angle in radians.", &[("tan(0)", "0.0")]),
    new("asin", X, OF_FLOAT, |_, args| arc(args[0], f64::asin))
        .doc("The angle in radians whose sine is `x`.", &[("asin(0)", "0.0")]),
    new("acos", X, OF_FLOAT, |_, args| arc(args[0], f64::acos))
        .doc("The angle in radians whose cosine is `x`.", &[("acos(1)", "0.0")]),
    new("atan", X, OF_FLOAT, |_, args| finite(number(args[0]).atan()))
        .doc("The angle in radians whose tangent is `x`.", &[("atan(0)", "0.0")]),
    new("atan2", &[arg("y", Type::NUMBER), arg("x", Type::NUMBER)], OF_FLOAT, |_, args| {
        finite(number(args[0]).atan2(number(args[1])))
    })
    .doc("The angle in radians of the point (x, y).", &[("atan2(0, 1)", "0.0")]),
    new("degrees", X, OF_FLOAT, |_, args| finite(number(args[0]).to_degrees()))
        .doc("Radians as degrees.", &[("degrees(pi())", "180.0")]),
    new("radians", X, OF_FLOAT, |_, args| finite(number(args[0]).to_radians()))
        .doc("Degrees as radians.", &[("radians(180) = pi()", "true")]),
    new("pi", &[], OF_FLOAT, |_, _| Ok(Value::float(std::f64::consts::PI)))
        .doc("The circle's circumference by its diameter.", &[("pi()", "3.141592653589793")]),
    new("greatest", SOME, Returns::AsAny, |context, args| extreme(context, args, Ordering::Greater))
        .doc("The greatest argument; null if one is null.", &[("greatest(1, 3.5, 2)", "3.5")]),
    new("least", SOME, Returns::AsAny, |context, args| extreme(context, args, Ordering::Less))
        .doc("The least argument; null if one is null.", &[("least('b', 'a')", "\"a\""), ("least(1, null)", "null")]),
    new(
        "clamp",
        &[arg("x", Type::NUMBER), arg("low", Type::NUMBER), arg("high", Type::NUMBER)],
        Returns::AsAny,
        clamp,
    )
    .doc("`x`, but no less than `low` and no more than `high`.", &[("clamp(120, 0, 100)", "100")]),
    new("bit_and", INTS, OF_INT, |_, args| Ok(Value::int(int(args[0]) & int(args[1]))))
        .doc("The bits that both have.", &[("bit_and(6, 3)", "2")]),
    new("bit_or", INTS, OF_INT, |_, args| Ok(Value::int(int(args[0]) | int(args[1]))))
        .doc("The bits that either has.", &[("bit_or(6, 3)", "7")]),
    new("bit_xor", INTS, OF_INT, |_, args| Ok(Value::int(int(args[0]) ^ int(args[1]))))
        .doc("The bits that just one has.", &[("bit_xor(6, 3)", "5")]),
    new("bit_shift_left", SHIFT, OF_INT, |_, args| Ok(Value::int(int(args[0]) << places(args[1])?)))
        .doc("The bits `n` places up (0 to 63); what leaves at the top is lost.", &[("bit_shift_left(1, 4)", "16")]),
    new("bit_shift_right", SHIFT, OF_INT, |_, args| Ok(Value::int(int(args[0]) >> places(args[1])?)))
        .doc("The bits `n` places down (0 to 63); the sign stays.", &[("bit_shift_right(-16, 2)", "-4")]),
    new(
        "width_bucket",
        &[
            arg("x", Type::NUMBER),
            arg("low", Type::NUMBER),
            arg("high", Type::NUMBER),
            arg("n", Type::INT),
        ],
        OF_INT,
        width_bucket,
    )
    .doc(
        "The number, from 1, of the one of `n` equal parts of [low, high) that `x` falls into; 0 below, n + 1 above.",
        &[("width_bucket(5, 0, 10, 4)", "3"), ("width_bucket(10, 0, 10, 4)", "5")],
    ),
    FunctionSpec::new(Group::Math, "rand", &[], OF_FLOAT, Body::Made(|_| Ok(Box::new(Rand::default()))))
        .volatile()
        .doc("A random float from 0 (inclusive) to 1 (exclusive).", &[("rand() < 1", "true")]),
];

/// An integer or float as a float.
fn number(value: Value) -> f64 {
    value.as_number().unwrap_or_default()
}

fn int(value: Value) -> i64 {
    value.as_int().unwrap_or_default()
}

fn abs(_: &mut Context, args: &[Value]) -> Outcome {
    match args[0].as_int() {
        Some(n) => n.checked_abs().map(Value::int).ok_or("integer overflow".into()),
        None => Ok(Value::float(number(args[0]).abs())),
    }
}

fn sign(_: &mut Context, args: &[Value]) -> Outcome {
    Ok(match args[0].as_int() {
        Some(n) => Value::int(n.signum()),
        None if number(args[0]) == 0.0 => Value::float(0.0),
        None => Value::float(number(args[0]).signum()),
    })
}

/// Integers are whole already.
fn whole(value: Value, rounded: fn(f64) -> f64) -> Outcome {
    Ok(value.as_float().map_or(value, |x| Value::float(rounded(x))))
}

fn sqrt(_: &mut Context, args: &[Value]) -> Outcome {
    let x = number(args[0]);
    if x < 0.0 { Err("the number is negative".into()) } else { Ok(Value::float(x.sqrt())) }
}

fn logarithm(value: Value, of: fn(f64) -> f64) -> Outcome {
    let x = number(value);
    if x > 0.0 { finite(of(x)) } else { Err("the number is not above zero".into()) }
}

fn log(_: &mut Context, args: &[Value]) -> Outcome {
    let (base, x) = (number(args[0]), number(args[1]));
    if base <= 0.0 || base == 1.0 || x <= 0.0 {
        return Err("base and number must be above zero, and the base not 1".into());
    }
    // Those two are exact for powers of their base; a quotient of logarithms is not.
    finite(match base {
        2.0 => x.log2(),
        10.0 => x.log10(),
        _ => x.ln() / base.ln(),
    })
}

fn pow(_: &mut Context, args: &[Value]) -> Outcome {
    finite(number(args[0]).powf(number(args[1])))
}

fn arc(value: Value, of: fn(f64) -> f64) -> Outcome {
    let x = number(value);
    if (-1.0..=1.0).contains(&x) {
        Ok(Value::float(of(x)))
    } else {
        Err("the number is not from -1 to 1".into())
    }
}

fn extreme(context: &mut Context, args: &[Value], wanted: Ordering) -> Outcome {
    let mut best = args[0];
    for (place, &value) in args.iter().enumerate().skip(1) {
        let order = order(value, best, &context.batch.arena).map_err(|failure| match failure {
            Failure::Wrong(_, found, other) => Failure::Wrong(place, found, other),
            other => other,
        })?;
        if order == wanted {
            best = value;
        }
    }
    if best.kind() == Kind::Json { Err("lists and maps have no order".into()) } else { Ok(best) }
}

fn clamp(context: &mut Context, args: &[Value]) -> Outcome {
    let arena = &context.batch.arena;
    if order(args[1], args[2], arena)?.is_gt() {
        return Err("the lower bound is above the upper".into());
    }
    let raised = if order(args[0], args[1], arena)?.is_lt() { args[1] } else { args[0] };
    Ok(if order(raised, args[2], arena)?.is_gt() { args[2] } else { raised })
}

fn places(value: Value) -> Result<u32, Failure> {
    u32::try_from(int(value)).ok().filter(|n| *n < 64).ok_or("bits are moved by 0 to 63 places".into())
}

fn width_bucket(_: &mut Context, args: &[Value]) -> Outcome {
    let (x, low, high, n) = (number(args[0]), number(args[1]), number(args[2]), int(args[3]));
    if n < 1 || n == i64::MAX || low >= high {
        return Err("the bounds must rise, and there must be at least one bucket".into());
    }
    Ok(Value::int(if x < low {
        0
    } else if x >= high {
        n + 1
    } else {
        // Halved, so that the width of the widest range is finite. Rounding must not leave the range.
        let part = (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        ((part * n as f64) as i64).min(n - 1) + 1
    }))
}

/// `rand()`. Each place of call draws a sequence of its own, begun from the pass's randomness, so that
/// what a row gets does not depend on how rows were cut into batches.
#[derive(Default)]
struct Rand(Option<Random>);

impl Instance for Rand {
    fn call(&mut self, context: &mut Context, _: &[Value]) -> Outcome {
        let random = self.0.get_or_insert_with(|| Random::seeded(context.env.random.bits()));
        Ok(Value::float(random.unit()))
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(Rand::default())
    }

    fn save(&self, into: &mut Vec<u8>) {
        put_random(into, self.0.as_ref());
    }

    fn load(&mut self, saved: &mut Reader<'_>) -> Result<(), Malformed> {
        self.0 = read_random(saved)?;
        Ok(())
    }
}
