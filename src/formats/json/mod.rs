//! JSON, one value a line.

mod decode;
mod encode;
mod event;
mod fields;
mod learn;
mod merge;
mod record;
mod splice;
mod walk;

#[cfg(test)]
mod tests;

pub use decode::{JsonDecoder, JsonInput, Root, Validate};
pub use encode::{JsonEncoder, JsonOutput};
pub use record::JsonRecordDecoder;
