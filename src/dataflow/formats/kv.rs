//! Pairs of names and values, for `parse`.

use crate::config::{Role, Section, Setting};
use crate::dataflow::{ComponentSpec, FormatPlan};
use crate::event::View;
use crate::expr::Type;
use crate::formats::KvDecoder;
use crate::formats::{Decoder, Encoder, Wanted};
use std::sync::Arc;

/// The registry's entry.
pub static KV: ComponentSpec = ComponentSpec {
    name: "kv",
    role: Role::Format,
    summary: "Pairs such as `level=warn code=17`; values are text. Only `parse` takes it.",
    short: None,
    options: &[],
    later: &[],
    example: "\
sources:
  log: { stdin: {}, format: text }
transforms:
  pairs: { from: log, parse: { field: line, as: kv } }
sinks:
  out: { from: pairs, stdout: {} }
",
};

/// Plans the format.
pub fn plan(setting: Setting<'_>, _beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    KV.open(setting);
    Some(Arc::new(KvPlan))
}

#[derive(Debug)]
struct KvPlan;

impl FormatPlan for KvPlan {
    fn describe(&self) -> String {
        "kv".to_owned()
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        None
    }

    fn type_of(&self, _field: &str) -> Type {
        Type::TEXT
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(KvDecoder::new(wanted)))
    }

    fn encoder(&self, _view: &View) -> Result<Box<dyn Encoder>, String> {
        Err("`kv` is for reading only".to_owned())
    }
}
