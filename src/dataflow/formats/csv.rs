//! CSV: separated values, with or without a header.

use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{ComponentSpec, FormatPlan, OptionKind, OptionSpec};
use crate::event::View;
use crate::expr::Type;
use crate::formats::csv::{CsvDecoder, CsvEncoder, CsvOptions};
use crate::formats::{Decoder, Encoder, Wanted};
use std::sync::Arc;

/// The registry's entry.
pub static CSV: ComponentSpec = ComponentSpec {
    name: "csv",
    role: Role::Format,
    summary: "Separated values, one record a line; a quoted field may hold line ends.",
    short: None,
    options: &[
        OptionSpec::or(
            "header",
            "true",
            OptionKind::Boolean,
            "Whether the first record names the columns; each message or field has its own.",
        ),
        OptionSpec::or(
            "delimiter",
            ",",
            OptionKind::Text,
            "What stands between fields: one ASCII character.",
        ),
        OptionSpec::or("quote", "\"", OptionKind::Text, "What stands around a field: one ASCII character."),
        OptionSpec::optional(
            "columns",
            OptionKind::List(&OptionKind::Text),
            "Names of the columns: instead of a header, and what is written.",
        ),
        OptionSpec::optional(
            "types",
            OptionKind::Map(&OptionKind::Word(&["text", "int", "float", "bool", "timestamp"])),
            "What columns are read as; others are text.",
        ),
        OptionSpec::or("null", "", OptionKind::Text, "What null is written as."),
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {}, format: { csv: { types: { temperature: float } } } }
sinks:
  out: { from: readings, stdout: {} }
",
};

/// Plans the format.
pub fn plan(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    let section = CSV.open(setting);
    let default = CsvOptions::default();
    let options = CsvOptions {
        header: section.or("header", default.header, read::boolean),
        delimiter: section.or("delimiter", default.delimiter, character),
        quote: section.or("quote", default.quote, character),
        columns: section
            .optional("columns", read::list(read::text))
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        types: section.optional("types", super::types).unwrap_or_default(),
        null: section.optional("null", read::any_text).map_or(default.null, str::to_owned),
    };
    Some(Arc::new(CsvPlan { options }))
}

/// One ASCII character.
fn character(setting: Setting<'_>) -> Option<u8> {
    match read::text(setting)?.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        _ => {
            setting.wrong("one ASCII character");
            None
        }
    }
}

#[derive(Debug)]
struct CsvPlan {
    options: CsvOptions,
}

impl FormatPlan for CsvPlan {
    fn describe(&self) -> String {
        match self.options.columns.is_empty() {
            true => "csv".to_owned(),
            false => format!("csv ({})", self.options.columns.join(", ")),
        }
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        let named = !self.options.columns.is_empty();
        named.then(|| super::typed(self.options.columns.iter().cloned(), &self.options.types))
    }

    fn type_of(&self, field: &str) -> Type {
        super::type_of(field, &self.options.types)
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        CsvDecoder::new(&self.options, wanted).map(|decoder| Box::new(decoder) as Box<dyn Decoder>)
    }

    fn record_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        CsvDecoder::apart(&self.options, wanted).map(|decoder| Box::new(decoder) as Box<dyn Decoder>)
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        CsvEncoder::new(&self.options, view).map(|encoder| Box::new(encoder) as Box<dyn Encoder>)
    }
}
