//! Readings as messages.

use super::{Span, attribute, resource, scope};
use crate::telemetry::instrument::{INSTRUMENTS, Instrument, Kind, Reading, Sample, Spread};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use prost::Message;

/// Readings in one request: some hundred bytes each.
const MOST_READINGS: usize = 4096;

/// All readings as the bodies of requests, by instrument. What is counted is told as a whole since `span.start`.
pub fn metrics(attributes: &[(String, String)], samples: &[Sample], span: Span) -> Vec<Vec<u8>> {
    let mut ordered: Vec<&Sample> = Vec::with_capacity(samples.len());
    for instrument in INSTRUMENTS {
        ordered.extend(samples.iter().filter(|sample| sample.instrument == instrument));
    }
    ordered.chunks(MOST_READINGS).map(|part| request(attributes, part, span).encode_to_vec()).collect()
}

fn request(attributes: &[(String, String)], samples: &[&Sample], span: Span) -> ExportMetricsServiceRequest {
    let alike = samples.chunk_by(|one, other| one.instrument == other.instrument);
    let metrics = alike.filter_map(|samples| metric(samples, span)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource = resource(attributes);
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

/// Readings of one instrument.
fn metric(samples: &[&Sample], span: Span) -> Option<Metric> {
    let Instrument { name, kind, unit, about } = samples.first()?.instrument;
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data = match kind {
        Kind::Counter => Data::Sum(Sum {
            data_points: numbers(samples, span),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        // Nothing began with it.
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers(samples, Span { start: 0, ..span }) }),
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: samples.iter().filter_map(|sample| spread(sample, span)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    let (name, unit, description) = ((*name).to_owned(), (*unit).to_owned(), (*about).to_owned());
    Some(Metric { name, unit, description, data: Some(data), ..Metric::default() })
}

fn numbers(samples: &[&Sample], span: Span) -> Vec<NumberDataPoint> {
    let point = |sample: &&Sample| {
        let value = match sample.reading {
            Reading::Whole(number) => Value::AsInt(i64::try_from(number).unwrap_or(i64::MAX)),
            Reading::Number(number) => Value::AsDouble(number),
            Reading::Spread(_) => return None,
        };
        Some(NumberDataPoint {
            attributes: attributes(sample),
            start_time_unix_nano: span.start,
            time_unix_nano: span.now,
            value: Some(value),
            ..NumberDataPoint::default()
        })
    };
    samples.iter().filter_map(point).collect()
}

fn spread(sample: &Sample, span: Span) -> Option<HistogramDataPoint> {
    let Reading::Spread(Spread { bounds, counts, sum }) = &sample.reading else { return None };
    Some(HistogramDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: span.start,
        time_unix_nano: span.now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    })
}

fn attributes(sample: &Sample) -> Vec<KeyValue> {
    sample.attributes.iter().map(|(name, value)| attribute(name, value)).collect()
}
