//! Text and raw bytes: one field a line.

use crate::config::{Role, Section, Setting};
use crate::dataflow::{ComponentSpec, FormatPlan};
use crate::event::View;
use crate::expr::Type;
use crate::formats::{Decoder, Encoder, Wanted};
use crate::formats::{RawDecoder, RawEncoder, RawRecordDecoder, TextDecoder, TextEncoder, TextRecordDecoder};
use std::sync::Arc;

/// The registry's entry of `text`.
pub static TEXT: ComponentSpec = ComponentSpec {
    name: "text",
    role: Role::Format,
    summary: "Lines of text: the field `line`, read and written.",
    short: None,
    options: &[],
    later: &[],
    example: "\
sources:
  log: { stdin: {}, format: text }
sinks:
  out: { from: log, stdout: {} }
",
};

/// The registry's entry of `raw`.
pub static RAW: ComponentSpec = ComponentSpec {
    name: "raw",
    role: Role::Format,
    summary: "Bytes as they come, a line or message each: the field `payload`, read and written.",
    short: None,
    options: &[],
    later: &[],
    example: "\
sources:
  frames: { stdin: {}, format: raw }
sinks:
  out: { from: frames, stdout: {} }
",
};

/// Plans `text`.
pub fn plan_text(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    TEXT.open(setting);
    Some(Arc::new(TextPlan))
}

/// Plans `raw`.
pub fn plan_raw(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    RAW.open(setting);
    Some(Arc::new(RawPlan))
}

#[derive(Debug)]
struct TextPlan;

impl FormatPlan for TextPlan {
    fn describe(&self) -> String {
        "text".to_owned()
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        Some(vec![("line".to_owned(), Type::TEXT)])
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(TextDecoder::new(wanted)))
    }

    fn record_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(TextRecordDecoder::new(wanted)))
    }

    fn input_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        self.decoder(wanted)
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(TextEncoder::new(view)))
    }
}

#[derive(Debug)]
struct RawPlan;

impl FormatPlan for RawPlan {
    fn describe(&self) -> String {
        "raw".to_owned()
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        Some(vec![("payload".to_owned(), Type::BYTES)])
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(RawDecoder::new(wanted)))
    }

    fn record_decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(RawRecordDecoder::new(wanted)))
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(RawEncoder::new(view)))
    }
}
