//! Protocol Buffers, by a message of a descriptor set (`protoc --descriptor_set_out=… --include_imports`).
//!
//! Events are what the JSON mapping of the language says (protobuf.dev, *ProtoJSON*), with the field names of the file,
//! integers of 64 bits as numbers, and unset fields that have no presence as their defaults.

use super::lines::MAX_RECORD;
use super::transcode::Transcode;
use prost_reflect::prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use std::ops::Range;

/// Most bytes of a message that is read: decoded it takes up to some thirty times as many in memory.
const LARGEST: usize = 4 << 20;

/// A message type.
pub struct Protobuf {
    message: MessageDescriptor,
}

impl Protobuf {
    /// The message of that full name in the bytes of a descriptor set.
    ///
    /// # Errors
    /// Why there is none, with the names that there are.
    pub fn new(descriptors: &[u8], message: &str) -> Result<Protobuf, String> {
        let pool = DescriptorPool::decode(descriptors)
            .map_err(|error| format!("this is no descriptor set: {error}"))?;
        let found = pool.get_message_by_name(message);
        let message = found.ok_or_else(|| {
            let is_asked = |found: &MessageDescriptor| !found.is_map_entry();
            let names = pool.all_messages().filter(is_asked).map(|found| found.full_name().to_owned());
            format!("there is no message `{message}` in it, but {}", names.collect::<Vec<_>>().join(", "))
        })?;
        Ok(Protobuf { message })
    }

    /// The names of its fields.
    pub fn fields(&self) -> impl Iterator<Item = String> {
        self.message.fields().map(|field| field.name().to_owned())
    }

    fn read(&self, event: &[u8]) -> Result<DynamicMessage, String> {
        let mut text = serde_json::Deserializer::from_slice(event);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        DynamicMessage::deserialize_with_options(self.message.clone(), &mut text, &options)
            .map_err(|error| format!("the event is no `{}`: {error}", self.message.full_name()))
    }
}

impl Transcode for Protobuf {
    /// Each message stands behind its length, a varint.
    fn next(&self, bytes: &[u8]) -> Result<Option<(Range<usize>, usize)>, String> {
        const LONGEST_LENGTH: usize = 10;
        let mut rest = bytes;
        match prost_reflect::prost::decode_length_delimiter(&mut rest) {
            Ok(length) if length > MAX_RECORD => Err("a message longer than 16 MiB".to_owned()),
            Ok(length) => {
                let start = bytes.len() - rest.len();
                Ok((rest.len() >= length).then_some((start..start + length, start + length)))
            }
            Err(_) if bytes.len() < LONGEST_LENGTH => Ok(None),
            Err(_) => Err("no length of a message".to_owned()),
        }
    }

    fn to_json(&self, record: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        let name = self.message.full_name();
        if record.len() > LARGEST {
            return Err(format!("the message has {} bytes, more than {LARGEST}", record.len()));
        }
        let message = DynamicMessage::decode(self.message.clone(), record)
            .map_err(|error| format!("the bytes are no `{name}`: {error}"))?;
        let options = SerializeOptions::new()
            .stringify_64_bit_integers(false)
            .use_proto_field_name(true)
            .skip_default_fields(false);
        let mut text = serde_json::Serializer::new(into);
        message
            .serialize_with_options(&mut text, &options)
            .map_err(|error| format!("a `{name}` that is no event: {error}"))
    }

    fn write(&self, event: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        // A vector grows, so there is always room.
        self.read(event)?.encode(into).map_err(|error| error.to_string())
    }

    fn write_in_sequence(&self, event: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        self.read(event)?.encode_length_delimited(into).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
