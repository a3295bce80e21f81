//! Formats whose records are read and written by a schema: Protocol Buffers and Avro.

use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{ComponentSpec, FormatPlan, OptionKind, OptionSpec};
use crate::event::View;
use crate::expr::Type;
use crate::formats::avro::{Avro, Schema};
use crate::formats::protobuf::Protobuf;
use crate::formats::{Decoder, Encoder, Transcode, TranscodingDecoder, TranscodingEncoder, Wanted};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// The longest schema in bytes.
const LONGEST_SCHEMA: u64 = 16 << 20;

/// The registry's entry of `protobuf`.
pub static PROTOBUF: ComponentSpec = ComponentSpec {
    name: "protobuf",
    role: Role::Format,
    summary: "Protocol Buffers by a message of a descriptor set: one a Kafka or MQTT message, or each behind its length.",
    short: None,
    options: &[
        OptionSpec::required(
            "descriptor",
            OptionKind::Path,
            "The descriptor set: what `protoc --include_imports --descriptor_set_out=FILE` writes.",
        ),
        OptionSpec::required(
            "message",
            OptionKind::Text,
            "The full name of the message: `plant.v1.Reading`.",
        ),
    ],
    later: &[],
    example: "\
sources:
  readings:
    file: { path: readings.bin }
    format: { protobuf: { descriptor: schemas/plant.pb, message: plant.v1.Reading } }
sinks:
  out: { from: readings, stdout: {} }
",
};

/// The registry's entry of `avro`.
pub static AVRO: ComponentSpec = ComponentSpec {
    name: "avro",
    role: Role::Format,
    summary: "Avro values by a schema, one behind the other or one a message, as they are or as a schema registry frames \
              them.",
    short: None,
    options: &[
        OptionSpec::required("schema", OptionKind::Path, "The schema, a record, as JSON: `reading.avsc`."),
        OptionSpec::optional(
            "schema_id",
            OptionKind::Integer,
            "The number that a schema registry has given the schema: values stand behind a zero and this number.",
        ),
    ],
    later: &["registry"],
    example: "\
sources:
  readings:
    file: { path: readings.avro-values }
    format: { avro: { schema: schemas/reading.avsc } }
sinks:
  out: { from: readings, stdout: {} }
",
};

/// Plans `protobuf`.
pub fn plan_protobuf(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    let section = PROTOBUF.open(setting);
    let descriptor = section.required("descriptor", file);
    let message = section.required("message", read::text)?;
    let notation = Protobuf::new(&descriptor?, message);
    let place = section.get("message")?;
    let notation = notation.map_err(|why| place.error(why)).ok()?;
    let fields = notation.fields().collect();
    Some(Arc::new(SchemaPlan { name: format!("protobuf {message}"), fields, notation: Arc::new(notation) }))
}

/// Plans `avro`.
pub fn plan_avro(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    let section = AVRO.open(setting);
    let framed = section.optional("schema_id", read::integer(0..=i64::from(u32::MAX)));
    let text = section.required("schema", file)?;
    let place = section.get("schema")?;
    let schema = String::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned());
    let schema = schema.and_then(|text| Schema::parse(&text));
    let notation = schema.and_then(|schema| Avro::new(schema, framed.map(|number| number as u32)));
    let notation = notation.map_err(|why| place.error(why)).ok()?;
    let fields = notation.fields().map(str::to_owned).collect();
    Some(Arc::new(SchemaPlan { name: "avro".to_owned(), fields, notation: Arc::new(notation) }))
}

/// The bytes of a file beside the pipeline.
fn file(setting: Setting<'_>) -> Option<Vec<u8>> {
    let path = setting.faults.folder().join(read::text(setting)?);
    let mut bytes = Vec::new();
    let found = File::open(&path).and_then(|file| file.take(LONGEST_SCHEMA + 1).read_to_end(&mut bytes));
    match found {
        Ok(_) if bytes.len() as u64 > LONGEST_SCHEMA => {
            setting.error(format!("`{}` is longer than 16 MiB", path.display()));
            None
        }
        Ok(_) => Some(bytes),
        Err(error) => {
            setting.error(format!("`{}` cannot be read: {error}", path.display()));
            None
        }
    }
}

struct SchemaPlan<T> {
    name: String,
    fields: Vec<String>,
    notation: Arc<T>,
}

impl<T> fmt::Debug for SchemaPlan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl<T: Transcode> SchemaPlan<T> {
    fn encoder_of(&self, messages: bool, view: &View) -> Result<Box<dyn Encoder>, String> {
        let written = view.fields().unwrap_or_default();
        if let Some((name, _)) =
            written.iter().find(|(name, _)| !self.fields.iter().any(|field| field == name))
        {
            let known = self.fields.join(", ");
            return Err(format!("{} has no field `{name}`, but {known}", self.name));
        }
        Ok(Box::new(TranscodingEncoder::new(self.notation.clone(), messages, view)))
    }
}

impl<T: Transcode> FormatPlan for SchemaPlan<T> {
    fn describe(&self) -> String {
        self.name.clone()
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        Some(self.fields.iter().map(|field| (field.clone(), Type::ANY)).collect())
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(TranscodingDecoder::new(self.notation.clone(), false, wanted)))
    }

    fn record_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(TranscodingDecoder::new(self.notation.clone(), true, wanted)))
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        self.encoder_of(false, view)
    }

    fn message_encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        self.encoder_of(true, view)
    }
}
