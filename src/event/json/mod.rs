//! JSON text (RFC 8259): what lists, maps and raw events are while they flow.
//!
//! [`validate()`] decides whether bytes are JSON at all. Everything else takes text that was validated: it never
//! panics on other bytes, but what it finds in them means nothing.

mod access;
mod canonical;
mod compact;
mod escape;
mod number;
pub(crate) mod scan;
mod validate;
mod value;
mod write;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use access::entries_written;
pub use access::{Elements, Entries, depth, elements, entries, get};
pub use canonical::write_canonical;
pub use compact::write_compact;
pub use escape::{is_plain, unescape};
pub use number::{OutOfRange, number};
pub use validate::{JsonFault, MAX_DEPTH, validate};
pub use value::{to_value, value_at};
pub use write::{
    Timestamps, base64, write_base64, write_float, write_int, write_string, write_value, write_value_as,
};
