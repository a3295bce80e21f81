//! Bytes to rows and rows to bytes.

pub mod binary;
mod codec;
mod columns;
pub mod csv;
pub mod influx;
pub mod json;
mod kv;
mod lines;
mod lookup;
mod members;
mod raw;
mod regex;
mod text;
mod types;

#[cfg(test)]
mod tests;

pub use self::regex::{RegexDecoder, RegexOptions};
pub use codec::{Decoder, Encoder, Wanted};
pub use kv::KvDecoder;
pub use raw::{RawDecoder, RawEncoder, RawRecordDecoder};
pub use text::{TextDecoder, TextEncoder, TextRecordDecoder};
pub use types::FieldType;
