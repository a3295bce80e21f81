//! Formats whose records are read and written by a schema: Protocol Buffers and Avro.

use super::registry::{REGISTRY, RegistryOptions, registry};
use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{ComponentSpec, FormatPlan, OptionKind, OptionSpec};
use crate::event::View;
use crate::expr::Type;
use crate::formats::avro::{Avro, RegisteredAvro, Schema, SchemaRegistry, Written};
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
        OptionSpec::optional(
            "schema",
            OptionKind::Path,
            "The schema, a record, as JSON: `reading.avsc`. Needed but where a registry knows it.",
        ),
        OptionSpec::optional(
            "schema_id",
            OptionKind::Integer,
            "The number that a schema registry has given the schema: values stand behind a zero and this number.",
        ),
        REGISTRY,
    ],
    later: &[],
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
    if let Some(setting) = section.get("registry") {
        return plan_registered(&section, setting);
    }
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

/// The same by the schemas of a registry.
fn plan_registered(section: &Section<'_>, setting: Setting<'_>) -> Option<Arc<dyn FormatPlan>> {
    let mut registry = registry(setting)?;
    if let Some(number) = section.get("schema_id") {
        let reported = number.faults.error(number.key, "`schema_id` goes without `registry`");
        reported.hint("the registry knows the number");
        return None;
    }
    if let Some(place) = section.get("schema") {
        let text = String::from_utf8(file(place)?).map_err(|_| "it is not UTF-8".to_owned());
        let checked = text.and_then(|text| Schema::parse(&text).map(|schema| (text, schema)));
        let checked = checked.and_then(|(text, schema)| Avro::new(schema, None).map(|_| text));
        registry.schema = Some(checked.map_err(|why| place.error(why)).ok()?);
    }
    if registry.register && registry.schema.is_none() {
        setting.error("`register` needs `schema` beside `registry`: what is to be registered");
        return None;
    }
    Some(Arc::new(RegisteredPlan { registry, client: None, written: Written::default() }))
}

/// Avro by the schemas of a registry.
struct RegisteredPlan {
    registry: RegistryOptions,
    /// None until a pipeline has been planned with it.
    client: Option<Arc<dyn SchemaRegistry>>,
    written: Written,
}

impl fmt::Debug for RegisteredPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredPlan").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl RegisteredPlan {
    fn notation(&self) -> Arc<RegisteredAvro> {
        Arc::new(RegisteredAvro::new(self.client.clone(), self.written.clone()))
    }
}

impl FormatPlan for RegisteredPlan {
    fn describe(&self) -> String {
        let registry = self.registry.secrets.mask(&self.registry.url);
        match &self.registry.subject {
            Some(subject) => format!("avro, `{subject}` of the registry {registry}"),
            None => format!("avro, schemas of the registry {registry}"),
        }
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        None
    }

    fn registry(&self) -> Option<&RegistryOptions> {
        Some(&self.registry)
    }

    fn asking(&self, client: Arc<dyn SchemaRegistry>) -> Option<Arc<dyn FormatPlan>> {
        let (registry, client) = (self.registry.clone(), Some(client));
        Some(Arc::new(RegisteredPlan { registry, client, written: Written::default() }))
    }

    fn prepare_to_write(&self) -> Result<(), String> {
        let Some(client) = self.client.as_ref().filter(|_| self.written.get().is_none()) else {
            return Ok(());
        };
        // Whoever was first has found the same.
        let _ = self.written.set(client.writing()?);
        Ok(())
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        self.record_decoder(wanted)
    }

    fn record_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        if self.registry.subject.is_some() || self.registry.schema.is_some() {
            return Err("each value is read by the schema that it was written by: `subject` and `schema` are for sinks".to_owned());
        }
        Ok(Box::new(TranscodingDecoder::new(self.notation(), true, wanted)))
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        self.message_encoder(view)
    }

    fn message_encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        if self.registry.subject.is_none() {
            let wants =
                "a sink wants to know whose schema to write by: `registry: { url, subject: TOPIC-value }`";
            return Err(wants.to_owned());
        }
        Ok(Box::new(TranscodingEncoder::new(self.notation(), true, view)))
    }
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
