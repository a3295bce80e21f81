//! Readings as Prometheus takes them: its text format 0.0.4, names by OpenTelemetry's mapping.

use super::instrument::{INSTRUMENTS, Instrument, Kind, Reading, Sample, Spread};
use std::fmt::Write;

/// The type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text of all samples, by instrument. `resource` is what holds for the process as a whole.
pub fn text(resource: &[(&'static str, String)], samples: &[Sample]) -> String {
    let mut text = String::new();
    head(&mut text, "target_info", "The process that is measured.", "gauge");
    line(&mut text, "target_info", resource, "1");
    for instrument in INSTRUMENTS {
        let mut samples = samples.iter().filter(|sample| sample.instrument == instrument).peekable();
        if samples.peek().is_none() {
            continue;
        }
        let name = name(instrument);
        head(&mut text, &name, instrument.about, kind(instrument.kind));
        for sample in samples {
            match &sample.reading {
                Reading::Whole(number) => line(&mut text, &name, &sample.attributes, &number.to_string()),
                Reading::Number(number) => line(&mut text, &name, &sample.attributes, &shown(*number)),
                Reading::Spread(spread) => write_spread(&mut text, &name, &sample.attributes, spread),
            }
        }
    }
    text
}

/// `headwater.state.bytes` is `headwater_state_bytes`; units and `total` stand at the end, once.
fn name(instrument: &Instrument) -> String {
    let mut name = instrument.name.replace('.', "_");
    let unit = match (instrument.unit, instrument.kind) {
        ("By", _) => "bytes",
        ("s", _) => "seconds",
        // A share of one; a yes or no is none.
        ("1", Kind::Gauge) if name.ends_with("_ratio") => "ratio",
        _ => "",
    };
    if !unit.is_empty() && !name.ends_with(unit) {
        name = format!("{name}_{unit}");
    }
    if instrument.kind == Kind::Counter {
        name.push_str("_total");
    }
    name
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

fn head(text: &mut String, name: &str, about: &str, kind: &str) {
    let about = about.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a text cannot fail, here and below.
    let _ = write!(text, "# HELP {name} {about}\n# TYPE {name} {kind}\n");
}

fn line(text: &mut String, name: &str, attributes: &[(&'static str, String)], value: &str) {
    let _ = writeln!(text, "{name}{} {value}", labels(attributes, None));
}

/// Classes hold all that is smaller as well, and the last one all.
fn write_spread(text: &mut String, name: &str, attributes: &[(&'static str, String)], spread: &Spread) {
    let mut count = 0;
    for (number, in_class) in spread.counts.iter().enumerate() {
        count += in_class;
        let bound = spread.bounds.get(number).map_or_else(|| "+Inf".to_owned(), |bound| shown(*bound));
        let labels = labels(attributes, Some(("le", &bound)));
        let _ = writeln!(text, "{name}_bucket{labels} {count}");
    }
    line(text, &format!("{name}_sum"), attributes, &shown(spread.sum));
    line(text, &format!("{name}_count"), attributes, &count.to_string());
}

fn labels(attributes: &[(&'static str, String)], further: Option<(&str, &str)>) -> String {
    let all = attributes.iter().map(|(name, value)| (*name, value.as_str())).chain(further);
    let all: Vec<String> =
        all.map(|(name, value)| format!("{}=\"{}\"", name.replace('.', "_"), escaped(value))).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn shown(number: f64) -> String {
    match number {
        _ if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{
        BUSY_RATIO, CHECKPOINT_DURATION, RECEIVED_BYTES, RECEIVED_EVENTS, STATE_BYTES, UP, WATERMARK,
    };

    #[test]
    fn names_follow_the_mapping() {
        let names = [
            (&UP, "headwater_pipeline_up"),
            (&RECEIVED_EVENTS, "headwater_component_received_events_total"),
            (&RECEIVED_BYTES, "headwater_component_received_bytes_total"),
            (&WATERMARK, "headwater_component_watermark_seconds"),
            (&BUSY_RATIO, "headwater_component_busy_ratio"),
            (&CHECKPOINT_DURATION, "headwater_checkpoint_duration_seconds"),
            (&STATE_BYTES, "headwater_state_bytes"),
        ];
        names.iter().for_each(|(instrument, expected)| assert_eq!(name(instrument), *expected));
    }

    #[test]
    fn samples_are_lines() {
        let attributes = vec![("pipeline", "a\"b\\c\nd".to_owned())];
        let spread = Spread { bounds: &[0.5, 1.0], counts: vec![2, 0, 1], sum: 3.25 };
        let samples = [
            Sample {
                instrument: &CHECKPOINT_DURATION,
                attributes: attributes.clone(),
                reading: Reading::Spread(spread),
            },
            Sample { instrument: &UP, attributes, reading: Reading::Whole(1) },
        ];
        let text = text(&[("service.name", "headwater".to_owned())], &samples);
        let expected = "\
# HELP target_info The process that is measured.
# TYPE target_info gauge
target_info{service_name=\"headwater\"} 1
# HELP headwater_pipeline_up Whether the pipeline does what it is for: 1, or 0.
# TYPE headwater_pipeline_up gauge
headwater_pipeline_up{pipeline=\"a\\\"b\\\\c\\nd\"} 1
# HELP headwater_checkpoint_duration_seconds How long checkpoints took, from the request until they were durable.
# TYPE headwater_checkpoint_duration_seconds histogram
headwater_checkpoint_duration_seconds_bucket{pipeline=\"a\\\"b\\\\c\\nd\",le=\"0.5\"} 2
headwater_checkpoint_duration_seconds_bucket{pipeline=\"a\\\"b\\\\c\\nd\",le=\"1\"} 2
headwater_checkpoint_duration_seconds_bucket{pipeline=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 3
headwater_checkpoint_duration_seconds_sum{pipeline=\"a\\\"b\\\\c\\nd\"} 3.25
headwater_checkpoint_duration_seconds_count{pipeline=\"a\\\"b\\\\c\\nd\"} 3
";
        assert_eq!(text, expected);
    }
}
