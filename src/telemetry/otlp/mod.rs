//! What is measured and said, as OTLP takes it: messages of the official definitions, from our own readings.

mod logs;
mod metrics;

pub use logs::{LOG, Line, LogLayer, LogQueue, THREAD, logs};
pub use metrics::metrics;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Who says it.
const SCOPE: &str = "headwater";

/// Between which times something was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When counting began, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// Now, in the same.
    pub now: u64,
}

/// What holds for the process as a whole, as a message.
fn resource(attributes: &[(String, String)]) -> Option<Resource> {
    let attributes = attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    Some(Resource { attributes, ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Some(InstrumentationScope { name: SCOPE.to_owned(), version, ..InstrumentationScope::default() })
}

fn attribute(name: &str, value: &str) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(text(value)), ..KeyValue::default() }
}

fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.to_owned())) }
}
