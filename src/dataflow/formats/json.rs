//! JSON: one value a line.

use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{ComponentSpec, FormatPlan, OptionKind, OptionSpec};
use crate::event::View;
use crate::event::json::Timestamps;
use crate::expr::Type;
use crate::formats::json::{
    JsonDecoder, JsonEncoder, JsonInput, JsonOutput, JsonRecordDecoder, Root, Validate,
};
use crate::formats::{Decoder, Encoder, Wanted};
use std::sync::Arc;

/// The registry's entry.
pub static JSON: ComponentSpec = ComponentSpec {
    name: "json",
    role: Role::Format,
    summary: "One JSON value a line.",
    short: None,
    options: &[
        OptionSpec::or(
            "root",
            "explode",
            OptionKind::Word(&["explode", "keep"]),
            "What a list at the top is: one event an element, or the field `items` of one.",
        ),
        OptionSpec::or(
            "validate",
            "strict",
            OptionKind::Word(&["strict", "touched"]),
            "Whether all of a line is checked, or only what the pipeline must look at.",
        ),
        OptionSpec::or(
            "timestamps",
            "ms",
            OptionKind::Word(&["ms", "rfc3339"]),
            "How timestamps are written: as epoch milliseconds or as text.",
        ),
    ],
    later: &[],
    example: "\
sources:
  events: { stdin: {}, format: { json: { validate: touched } } }
sinks:
  out: { from: events, stdout: {} }
",
};

/// Plans the format.
pub fn plan(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    let section = JSON.open(setting);
    let root = [("explode", Root::Explode), ("keep", Root::Keep)];
    let validate = [("strict", Validate::Strict), ("touched", Validate::Touched)];
    let timestamps = [("ms", Timestamps::Millis), ("rfc3339", Timestamps::Rfc3339)];
    Some(Arc::new(JsonPlan {
        input: JsonInput {
            root: section.or("root", Root::Explode, read::word(&root, &[])),
            validate: section.or("validate", Validate::Strict, read::word(&validate, &[])),
        },
        timestamps: section.or("timestamps", Timestamps::Millis, read::word(&timestamps, &[])),
    }))
}

/// JSON with its options.
#[derive(Debug)]
pub struct JsonPlan {
    input: JsonInput,
    timestamps: Timestamps,
}

impl Default for JsonPlan {
    fn default() -> JsonPlan {
        JsonPlan { input: JsonInput::default(), timestamps: Timestamps::Millis }
    }
}

impl FormatPlan for JsonPlan {
    fn describe(&self) -> String {
        match self.input.validate {
            Validate::Strict => "json".to_owned(),
            Validate::Touched => "json (validate touched)".to_owned(),
        }
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        None
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(JsonDecoder::new(self.input, wanted)))
    }

    fn record_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(JsonRecordDecoder::new(self.input, wanted)))
    }

    fn input_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(JsonRecordDecoder::of_inputs(self.input, wanted)))
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(JsonEncoder::new(JsonOutput { timestamps: self.timestamps }, view)))
    }
}
