//! What is written down about a function: enough to check a call, run it and document it.

use super::context::{Context, Outcome};
use crate::event::Value;
use crate::event::bytes::{Malformed, Reader};
use crate::expr::literal::Literal;
use crate::expr::scope::SourceField;
use crate::expr::types::Type;
use std::fmt::Write;

/// The groups that functions are documented in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Numbers.
    Math,
    /// Text and patterns.
    Text,
    /// Times.
    Time,
    /// JSON, lists and maps.
    Json,
    /// Bytes, hashes and ids.
    Bytes,
    /// Places on the earth.
    Geo,
    /// Choices and what fits nowhere else.
    Conditional,
    /// Where an event came from.
    Source,
    /// What a key's earlier events say.
    History,
    /// Made-up data, in the `generate` source.
    Generate,
}

impl Group {
    /// The heading.
    pub fn name(self) -> &'static str {
        match self {
            Group::Math => "math",
            Group::Text => "text",
            Group::Time => "time",
            Group::Json => "json, lists, maps",
            Group::Bytes => "bytes, hash, ids",
            Group::Geo => "geo",
            Group::Conditional => "conditional, other",
            Group::Source => "source",
            Group::History => "keyed history",
            Group::Generate => "generate",
        }
    }
}

/// A function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionSpec {
    /// Lower case.
    pub name: &'static str,
    /// Where it is documented.
    pub group: Group,
    /// Its arguments; optional ones behind the others, a repeated one last.
    pub args: &'static [Arg],
    /// The type of its result.
    pub returns: Returns,
    /// One sentence or two.
    pub summary: &'static str,
    /// Expressions and the JSON text of their values; run as tests.
    pub examples: &'static [(&'static str, &'static str)],
    /// Whether nulls are handed to it; otherwise a null argument makes the result null.
    pub takes_nulls: bool,
    /// Whether it may give another value for the same arguments.
    pub volatile: bool,
    /// How it is computed.
    pub body: Body,
}

/// An argument.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// As the signature shows it.
    pub name: &'static str,
    /// The kinds it may have; checked before the function is called.
    pub ty: Type,
    /// How often it stands.
    pub count: Count,
}

/// How often an argument stands in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Once.
    Once,
    /// Once or not at all.
    Optional,
    /// Any number of times, or none.
    Repeated,
}

/// The type of a function's result.
#[derive(Clone, Copy, Debug)]
pub enum Returns {
    /// Always this.
    Is(Type),
    /// As the first argument, as far as that can be an argument.
    AsFirst,
    /// As any of the arguments.
    AsAny,
}

/// How a function is computed.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// By a function of the arguments.
    Plain(fn(&mut Context, &[Value]) -> Outcome),
    /// By an object that each place of call has for itself: prepared patterns, counters.
    /// It is made from the arguments that are constant; a fault in them is its error.
    Made(Make),
    /// By the compiler itself, because not all arguments are evaluated just once.
    Form(Form),
    /// By a step before the expression, which keeps something for each key.
    History(History),
}

/// Makes the object for a place of call, from its constant arguments.
pub type Make = fn(&[Option<&Literal>]) -> Made;

/// An object for a place of call, or what is wrong with a constant argument.
pub type Made = Result<Box<dyn Instance>, String>;

/// Functions that the compiler knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The first argument that is not null.
    Coalesce,
    /// One of two by a condition.
    If,
    /// A parameter's value.
    Param,
    /// The id of the instance that runs.
    Instance,
    /// Where an event came from.
    Source(&'static SourceField),
    /// A header of the message that an event came in.
    SourceHeader,
    /// What a lambda gives for each element of a list.
    Transform,
    /// The elements of a list for which a lambda is true.
    Filter,
}

/// What is kept for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// The last values.
    Previous,
    /// The last number.
    Delta,
    /// The last value.
    HadChanged,
    /// The sum so far.
    RunningSum,
    /// The number of events so far.
    RunningCount,
    /// The least value so far.
    RunningMin,
    /// The greatest value so far.
    RunningMax,
    /// The last numbers.
    RunningAvg,
}

/// A function with a state of its own at each place of call.
pub trait Instance: Send {
    /// Computes the value for one row. Rows come in order, each at most once, or inside a lambda once an element.
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome;

    /// The same for another worker, in its first state.
    fn duplicate(&self) -> Box<dyn Instance>;

    /// Appends what it counts or remembers; nothing if it does neither.
    fn save(&self, _into: &mut Vec<u8>) {}

    /// Goes on with what another of the same has saved.
    fn load(&mut self, _saved: &mut Reader<'_>) -> Result<(), Malformed> {
        Ok(())
    }
}

/// A required argument.
pub const fn arg(name: &'static str, ty: Type) -> Arg {
    Arg { name, ty, count: Count::Once }
}

/// An argument that may be left out.
pub const fn optional(name: &'static str, ty: Type) -> Arg {
    Arg { name, ty, count: Count::Optional }
}

/// Any number of arguments.
pub const fn repeated(name: &'static str, ty: Type) -> Arg {
    Arg { name, ty, count: Count::Repeated }
}

impl FunctionSpec {
    /// A function that gives the same for the same arguments, and null for any null.
    pub const fn new(
        group: Group,
        name: &'static str,
        args: &'static [Arg],
        returns: Returns,
        body: Body,
    ) -> FunctionSpec {
        FunctionSpec {
            name,
            group,
            args,
            returns,
            summary: "",
            examples: &[],
            takes_nulls: false,
            volatile: false,
            body,
        }
    }

    /// The function with its documentation.
    pub const fn doc(
        self,
        summary: &'static str,
        examples: &'static [(&'static str, &'static str)],
    ) -> FunctionSpec {
        FunctionSpec { summary, examples, ..self }
    }

    /// The function, which is given nulls too.
    pub const fn with_nulls(self) -> FunctionSpec {
        FunctionSpec { takes_nulls: true, ..self }
    }

    /// The function, which may give another value each time.
    pub const fn volatile(self) -> FunctionSpec {
        FunctionSpec { volatile: true, ..self }
    }

    /// The fewest and the most arguments.
    pub fn arity(&self) -> (usize, Option<usize>) {
        let required = self.args.iter().filter(|arg| arg.count == Count::Once).count();
        let endless = self.args.iter().any(|arg| arg.count == Count::Repeated);
        (required, (!endless).then_some(self.args.len()))
    }

    /// The argument that stands at a place of a call.
    pub fn arg(&self, place: usize) -> Option<&'static Arg> {
        let last = self.args.last().filter(|arg| arg.count == Count::Repeated);
        self.args.get(place).or(last)
    }

    /// The signature: `round(x[, n])`.
    pub fn signature(&self) -> String {
        let mut text = format!("{}(", self.name);
        let mut open = 0;
        for (i, arg) in self.args.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match arg.count {
                Count::Once => text.extend([comma, arg.name]),
                Count::Optional => {
                    text.extend(["[", comma, arg.name]);
                    open += 1;
                }
                // Writing into a string does not fail.
                Count::Repeated => _ = write!(text, "{comma}{}…", arg.name),
            }
        }
        text.push_str(&"]".repeat(open));
        text.push(')');
        text
    }

    /// The types of the arguments, for a fault: `x: number, n: integer`.
    pub fn argument_types(&self) -> String {
        let args: Vec<_> = self.args.iter().map(|arg| format!("{}: {}", arg.name, arg.ty)).collect();
        args.join(", ")
    }
}
