mod examples;
mod functions;
pub(super) mod harness;
mod operators;
mod oracle;
mod parsing;
