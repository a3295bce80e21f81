//! Lines by a regular expression: its named groups are fields.

use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{ComponentSpec, FormatPlan, OptionKind};
use crate::event::View;
use crate::expr::Type;
use crate::formats::{Decoder, Encoder, Wanted};
use crate::formats::{RegexDecoder, RegexOptions};
use std::sync::Arc;

/// The registry's entry.
pub static REGEX: ComponentSpec = ComponentSpec {
    name: "regex",
    role: Role::Format,
    summary: "Lines by a regular expression whose named groups become fields, as text where `types` beside it does not say \
              otherwise; a line that does not match is rejected. For reading only.",
    short: Some(OptionKind::Text),
    options: &[],
    later: &[],
    example: "\
sources:
  log: { stdin: {}, format: { regex: '^(?<level>[A-Z]+) (?<code>[0-9]+)$', types: { code: int } } }
sinks:
  out: { from: log, stdout: {} }
",
};

/// Plans the format.
pub fn plan(setting: Setting<'_>, beside: Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>> {
    let pattern = read::text(setting)?.to_owned();
    let types = beside.and_then(|beside| beside.optional("types", super::types)).unwrap_or_default();
    let names = match regex::Regex::new(&pattern) {
        Ok(regex) => regex.capture_names().flatten().map(str::to_owned).collect(),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            setting.error(format!("this is no regular expression: {last}"));
            return None;
        }
    };
    Some(Arc::new(RegexPlan { options: RegexOptions { pattern, types }, names }))
}

#[derive(Debug)]
struct RegexPlan {
    options: RegexOptions,
    names: Vec<String>,
}

impl FormatPlan for RegexPlan {
    fn describe(&self) -> String {
        format!("regex ({})", self.names.join(", "))
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        Some(super::typed(self.names.iter().cloned(), &self.options.types))
    }

    fn decoder(&self, wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        RegexDecoder::new(&self.options, wanted).map(|decoder| Box::new(decoder) as Box<dyn Decoder>)
    }

    fn encoder(&self, _view: &View) -> Result<Box<dyn Encoder>, String> {
        Err("`regex` is for reading only".to_owned())
    }
}
