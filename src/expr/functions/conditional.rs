//! Choices, and what fits nowhere else.

use super::context::{Context, Outcome};
use super::convert::parse_number;
use super::spec::{Body, Form, FunctionSpec, Group, Returns, arg, repeated};
use crate::event::{Kind, Value};
use crate::expr::compare::equal;
use crate::expr::types::Type;

/// The functions of this group.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    FunctionSpec::new(
        Group::Conditional,
        "coalesce",
        &[arg("x", Type::ANY), repeated("y", Type::ANY)],
        Returns::AsAny,
        Body::Form(Form::Coalesce),
    )
    .doc(
        "The first argument that is not null; those behind it are not computed.",
        &[("coalesce(null, 2, 3)", "2"), ("coalesce(null)", "null")],
    ),
    FunctionSpec::new(
        Group::Conditional,
        "nvl",
        &[arg("x", Type::ANY), arg("y", Type::ANY)],
        Returns::AsAny,
        Body::Form(Form::Coalesce),
    )
    .doc("`x`, or `y` where `x` is null.", &[("nvl(null, 'none')", "\"none\"")]),
    FunctionSpec::new(
        Group::Conditional,
        "if",
        &[arg("condition", Type::BOOL), arg("x", Type::ANY), arg("y", Type::ANY)],
        Returns::AsAny,
        Body::Form(Form::If),
    )
    .doc(
        "`x` where the condition is true, otherwise (also where it is null) `y`. Only one of them is computed.",
        &[("if(2 > 1, 'more', 'less')", "\"more\""), ("if(null, 1, 2)", "2")],
    ),
    FunctionSpec::new(
        Group::Conditional,
        "instance",
        &[],
        Returns::Is(Type::TEXT),
        Body::Form(Form::Instance),
    )
    .doc(
        "The id of this gateway: made once in the data directory; without one, another in every run.",
        &[("instance()", "\"instance\"")],
    ),
    FunctionSpec::new(
        Group::Conditional,
        "nullif",
        &[arg("x", Type::ANY), arg("y", Type::ANY)],
        Returns::AsFirst,
        Body::Plain(nullif),
    )
    .with_nulls()
    .doc("Null where `x` equals `y`, otherwise `x`.", &[("nullif(-999, -999)", "null"), ("nullif(5, -999)", "5")]),
    FunctionSpec::new(
        Group::Conditional,
        "is_number",
        &[arg("x", Type::ANY)],
        Returns::Is(Type::BOOL),
        Body::Plain(is_number),
    )
    .with_nulls()
    .doc(
        "Whether the value is a number, or text that `to_number` reads; false for null.",
        &[("is_number(1.5)", "true"), ("is_number('12')", "true"), ("is_number('12 kg')", "false")],
    ),
    FunctionSpec::new(
        Group::Conditional,
        "param",
        &[arg("name", Type::TEXT)],
        Returns::Is(Type::ANY),
        Body::Form(Form::Param),
    )
    .doc("The value of a parameter of the pipeline, given as a text literal.", &[("param('minimum')", "0.5")]),
];

fn nullif(context: &mut Context, args: &[Value]) -> Outcome {
    let same = !args[0].is_null() && !args[1].is_null() && equal(args[0], args[1], &context.batch.arena);
    Ok(if same { Value::NULL } else { args[0] })
}

fn is_number(context: &mut Context, args: &[Value]) -> Outcome {
    Ok(Value::bool(match args[0].kind() {
        Kind::Int | Kind::Float => true,
        Kind::Text => parse_number(context.text(args[0])).is_some(),
        _ => false,
    }))
}
