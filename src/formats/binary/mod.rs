//! Self-delimiting binary values: MessagePack and CBOR are two notations of one model, in which an event is a map.
//!
//! A record is read twice: first to find its end (`extent`), then, in what is known to be whole, to take out the
//! wanted values. So a value that means nothing costs its own record only. Both readers are written by hand: crates
//! read from streams into trees, and tell neither "more bytes are needed" from "this is no value" nor where it ends.

mod cbor;
mod decode;
mod encode;
mod extent;
mod item;
mod msgpack;
mod read;
mod tree;

#[cfg(test)]
mod tests;

pub use cbor::Cbor;
pub use decode::BinaryDecoder;
pub use encode::BinaryEncoder;
pub use item::{Fault, Item, Notation};
pub use msgpack::Msgpack;
