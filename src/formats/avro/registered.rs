//! Values behind the number of their schema, which a registry knows.

use super::read::read;
use super::{FRAME, Schema, write};
use crate::event::bytes::Reader;
use crate::formats::transcode::Transcode;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// What a registry says of a number.
#[derive(Clone, Debug)]
pub enum Sought {
    /// The schema.
    Found(Arc<Schema>),
    /// There is none that values can be read by: why.
    None(String),
    /// It is being asked.
    Waiting,
}

/// Where schemas are kept by their numbers. Calls do not block, but for [`SchemaRegistry::writing`].
pub trait SchemaRegistry: Send + Sync {
    /// The schema of that number.
    fn schema(&self, number: u32) -> Sought;

    /// The number and schema that events are written by. Blocks until the registry has answered, or was asked in vain.
    ///
    /// # Errors
    /// Why there is none, naming the registry and the remedy.
    fn writing(&self) -> Result<(u32, Arc<Schema>), String>;
}

/// What events are written by: known once a run has begun.
pub type Written = Arc<OnceLock<(u32, Arc<Schema>)>>;

/// Schemas that a decoder finds without a lock.
const PLACES: usize = 64;

/// Events by the schemas of a registry.
pub struct RegisteredAvro {
    registry: Option<Arc<dyn SchemaRegistry>>,
    written: Written,
    /// Schemas that were found, each at the place that its number has; of those with the same place the first. A number
    /// means one schema for ever. The registry is asked for others, by a lock.
    found: [OnceLock<(u32, Arc<Schema>)>; PLACES],
}

impl RegisteredAvro {
    /// Without a registry nothing can be read: while a pipeline is planned.
    pub fn new(registry: Option<Arc<dyn SchemaRegistry>>, written: Written) -> RegisteredAvro {
        RegisteredAvro { registry, written, found: [const { OnceLock::new() }; PLACES] }
    }

    fn sought(&self, number: u32) -> Sought {
        let place = &self.found[number as usize % PLACES];
        if let Some((_, schema)) = place.get().filter(|(known, _)| *known == number) {
            return Sought::Found(schema.clone());
        }
        let sought = self.registry.as_ref().map_or(Sought::Waiting, |registry| registry.schema(number));
        if let Sought::Found(schema) = &sought {
            place.get_or_init(|| (number, schema.clone()));
        }
        sought
    }
}

/// The number of the schema, and the value behind it.
fn unframed(bytes: &[u8]) -> Option<(u32, &[u8])> {
    match bytes.split_first_chunk::<FRAME>() {
        Some(([0, a, b, c, d], rest)) => Some((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
        _ => None,
    }
}

impl Transcode for RegisteredAvro {
    /// Only messages have such a frame.
    fn next(&self, _bytes: &[u8]) -> Result<Option<(Range<usize>, usize)>, String> {
        Err("values that a registry knows the schemas of are messages".to_owned())
    }

    fn is_ready(&self, record: &[u8]) -> bool {
        unframed(record).is_none_or(|(number, _)| !matches!(self.sought(number), Sought::Waiting))
    }

    fn another(self: &Arc<Self>) -> Arc<Self> {
        Arc::new(RegisteredAvro::new(self.registry.clone(), self.written.clone()))
    }

    fn to_json(&self, record: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        let framed = unframed(record);
        let (number, value) = framed.ok_or("it does not begin with a zero and the number of a schema")?;
        let schema = match self.sought(number) {
            Sought::Found(schema) => schema,
            Sought::None(why) => return Err(why),
            Sought::Waiting => return Err(format!("schema {number} is not known yet")),
        };
        let mut reader = Reader::new(value);
        read(&schema, &mut reader, into).map_err(|fault| fault.what.into_owned())?;
        match reader.remaining() {
            0 => Ok(()),
            more => Err(format!("{more} bytes stand behind the value")),
        }
    }

    fn write(&self, event: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        // A test asks no registry, and looks at events before they are written.
        let Some((number, schema)) = self.written.get() else { return Ok(()) };
        into.push(0);
        into.extend_from_slice(&number.to_be_bytes());
        write::write(schema, event, into)
    }

    fn write_in_sequence(&self, event: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        self.write(event, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows the first schema, by two numbers, is asked for the second, and has no third.
    struct Three;

    impl SchemaRegistry for Three {
        fn schema(&self, number: u32) -> Sought {
            match number {
                1 | 65 => Sought::Found(schema()),
                2 => Sought::Waiting,
                _ => Sought::None("there is no schema 3".to_owned()),
            }
        }

        fn writing(&self) -> Result<(u32, Arc<Schema>), String> {
            Ok((1, schema()))
        }
    }

    fn schema() -> Arc<Schema> {
        let text = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"long"}]}"#;
        Arc::new(Schema::parse(text).unwrap())
    }

    #[test]
    fn a_value_waits_for_its_schema() {
        let written: Written = Arc::default();
        let avro = Arc::new(RegisteredAvro::new(Some(Arc::new(Three)), written.clone())).another();
        let mut bytes = Vec::new();
        avro.write(b"{\"n\":1}", &mut bytes).unwrap();
        assert!(bytes.is_empty());
        assert!(written.set(Three.writing().unwrap()).is_ok());
        avro.write(b"{\"n\":1}", &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0, 0, 1, 2]);
        let read = |bytes: &[u8]| {
            let mut text = Vec::new();
            avro.to_json(bytes, &mut text).map(|()| String::from_utf8(text).unwrap())
        };
        assert!(avro.is_ready(&bytes));
        assert_eq!(read(&bytes).unwrap(), r#"{"n":1}"#);
        assert!(!avro.is_ready(&[0, 0, 0, 0, 2, 2]));
        // Numbers whose place is the same do not get in each other's way.
        for number in [65, 1, 65] {
            assert_eq!(read(&[0, 0, 0, 0, number, 4]).unwrap(), r#"{"n":2}"#);
        }
        for (wrong, why) in
            [(&[0, 0, 0, 0, 3, 2][..], "no schema 3"), (b"{\"n\":1}", "a zero"), (b"", "a zero")]
        {
            assert!(avro.is_ready(wrong));
            assert!(read(wrong).unwrap_err().contains(why));
        }
        assert!(read(&[0, 0, 0, 0, 1, 2, 2]).unwrap_err().contains("behind the value"));
    }
}
