//! Events as lines, with what the sink says of them.

use crate::dataflow::{FormatPlan, Template};
use crate::event::{Batch, Reason, RejectKind, Row, Slot, View};
use crate::expr::Type;
use crate::formats::influx::{InfluxEncoder, InfluxOptions, Measurement, Precision};
use crate::formats::{Decoder, Encoder, Wanted};

/// Line protocol whose measurement is a template and whose times are never missing.
#[derive(Clone, Debug)]
pub struct LinePlan {
    /// The measurement.
    pub measurement: Template,
    /// The names of the tags.
    pub tags: Vec<String>,
    /// The time, which is the field `time` as well.
    pub time: Slot,
}

impl FormatPlan for LinePlan {
    fn describe(&self) -> String {
        "line protocol".to_owned()
    }

    fn known_fields(&self) -> Option<Vec<(String, Type)>> {
        None
    }

    fn decoder(&self, _wanted: &Wanted) -> Result<Box<dyn Decoder>, String> {
        Err("lines of a sink are not read".to_owned())
    }

    fn encoder(&self, view: &View) -> Result<Box<dyn Encoder>, String> {
        let measurement = Measurement::Fixed(String::new());
        let options = InfluxOptions { precision: Precision::Millis, measurement, tags: self.tags.clone() };
        let lines = InfluxEncoder::new(&options, view);
        Ok(Box::new(LineEncoder { plan: self.clone(), lines, text: String::new() }))
    }
}

struct LineEncoder {
    plan: LinePlan,
    lines: InfluxEncoder,
    /// The measurement, kept for its allocation.
    text: String,
}

impl Encoder for LineEncoder {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        if batch.get(row, self.plan.time).is_null() {
            // The server would give it another one each time it is sent.
            return Err(Reason::new(RejectKind::Encode, "the time of the point is null"));
        }
        self.text.clear();
        self.plan.measurement.render(batch, row, &mut self.text)?;
        self.lines.set_measurement(&self.text);
        self.lines.encode(batch, row, into)
    }
}

/// Whether a text can be a measurement.
///
/// # Errors
/// Why not.
pub fn is_measurement(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("a measurement cannot be empty"),
        _ if text.starts_with('#') => Err("a measurement that starts with `#` would be a comment"),
        _ if text.ends_with('\\') => Err("a measurement cannot end with a backslash"),
        _ if text.contains(['\n', '\r']) => Err("a measurement cannot hold line ends"),
        _ => Ok(()),
    }
}
