//! Bytes to rows and rows to bytes.

pub mod avro;
pub mod binary;
mod codec;
mod columns;
pub mod csv;
pub mod influx;
pub mod json;
mod kv;
mod line_decoder;
mod lines;
mod lookup;
mod members;
pub mod protobuf;
mod raw;
mod regex;
mod sequence;
mod text;
mod transcode;
mod types;

#[cfg(test)]
mod tests;

pub use self::regex::{RegexDecoder, RegexOptions};
pub use codec::{Decoder, Encoder, Wanted, decode_input};
pub use kv::KvDecoder;
pub use raw::{RawDecoder, RawEncoder, RawRecordDecoder};
pub use text::{TextDecoder, TextEncoder, TextRecordDecoder};
pub use transcode::{Transcode, TranscodingDecoder, TranscodingEncoder};
pub use types::FieldType;
