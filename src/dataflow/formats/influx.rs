//! InfluxDB line protocol.

use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{ComponentSpec, FormatPlan, OptionKind, OptionSpec};
use crate::event::View;
use crate::expr::Type;
use crate::formats::influx::{
    InfluxDecoder, InfluxEncoder, InfluxOptions, MEASUREMENT, Measurement, Precision, TIME,
};
use crate::formats::{Decoder, Encoder, Wanted};
use std::sync::Arc;

/// The registry's entry.
pub static INFLUX: ComponentSpec = ComponentSpec {
    name: "influx",
    role: Role::Format,
    summary: "InfluxDB line protocol: the fields `measurement` and `time`, tags as text, and fields as what they are.",
    short: None,
    options: &[
        OptionSpec::or(
            "precision",
            "ns",
            OptionKind::Word(&["ns", "us", "ms", "s"]),
            "What times count; finer than a millisecond is floored.",
        ),
        OptionSpec::or(
            "measurement",
            "{measurement}",
            OptionKind::Text,
            "When writing: the measurement, or a field in braces that holds it.",
        ),
        OptionSpec::optional(
            "tags",
            OptionKind::List(&OptionKind::Text),
            "When writing: the fields that are tags; all others that are not null are fields.",
        ),
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {}, format: influx }
sinks:
  out:
    from: readings
    stdout: {}
    format: { influx: { measurement: weather, tags: [station], precision: ms } }
",
};

/// Plans the format.
pub fn plan(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    let section = INFLUX.open(setting);
    let default = InfluxOptions::default();
    let tags = section.optional("tags", read::list(tag)).unwrap_or_default();
    let options = InfluxOptions {
        precision: section.or("precision", default.precision, read::word(&Precision::NAMES, &[])),
        measurement: section.or("measurement", default.measurement, measurement),
        tags: tags.into_iter().map(str::to_owned).collect(),
    };
    Some(Arc::new(InfluxPlan { options }))
}

fn tag(setting: Setting<'_>) -> Option<&str> {
    let name = read::text(setting)?;
    if name == TIME {
        setting.error(format!("`{TIME}` is the time of a line and cannot be a tag"));
        return None;
    }
    Some(name)
}

/// A fixed text, or a field in braces.
fn measurement(setting: Setting<'_>) -> Option<Measurement> {
    let text = read::text(setting)?;
    let field = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match field {
        Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
            Some(Measurement::Field(name.to_owned()))
        }
        None if !text.contains(['{', '}', '\n', '\r']) && !text.starts_with('#') && !text.ends_with('\\') => {
            Some(Measurement::Fixed(text.to_owned()))
        }
        _ => {
            setting.wrong("a measurement, or a field in braces").hint(format!("`\"{{{MEASUREMENT}}}\"`"));
            None
        }
    }
}

#[derive(Debug)]
struct InfluxPlan {
    options: InfluxOptions,
}

impl FormatPlan for InfluxPlan {
    fn describe(&self) -> String {
        "influx".to_owned()
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        None
    }

    fn type_of(&self, field: &str) -> Type {
        match field {
            MEASUREMENT => Type::TEXT,
            TIME => Type::TIMESTAMP,
            _ => Type::ANY,
        }
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(InfluxDecoder::new(&self.options, wanted)))
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(InfluxEncoder::new(&self.options, view)))
    }
}
