//! A collector that takes nothing but what the protocol allows.

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Clone)]
pub struct Request {
    pub path: String,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
    /// Unpacked.
    pub body: Vec<u8>,
}

/// What it answers, by the number of the request: the status line with further headers, and a body.
pub type Answers = fn(usize) -> (&'static str, Vec<u8>);

/// A server that keeps what was posted to it.
pub struct Collector {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Collector {
    /// One that takes everything.
    pub fn kind() -> Collector {
        Collector::answering(|_| ("200 OK", Vec::new()))
    }

    pub fn answering(answers: Answers) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &kept, answers));
            }
        });
        Collector { endpoint, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// What was posted to `/v1/metrics`, each looked through.
    pub fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        let posted = self.requests().into_iter().filter(|request| request.path == "/v1/metrics");
        posted.map(|request| metrics(&request.body)).collect()
    }

    /// What was posted to `/v1/logs`, each looked through.
    pub fn logs(&self) -> Vec<LogRecord> {
        let posted = self.requests().into_iter().filter(|request| request.path == "/v1/logs");
        posted.flat_map(|request| logs(&request.body)).collect()
    }
}

/// Answers until the other end closes.
fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, answers: Answers) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = receive(&mut reader) {
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        let number = {
            let mut kept = kept.lock().unwrap();
            kept.push(request);
            kept.len() - 1
        };
        let (status, body) = answers(number);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&body)).is_err() {
            return;
        }
    }
}

fn receive(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("POST"));
    let path = words.next().unwrap().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    if headers.get("content-encoding").is_some_and(|packed| packed == "gzip") {
        let mut unpacked = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut unpacked).unwrap();
        body = unpacked;
    }
    Some(Request { path, headers, body })
}

/// Reads a message that holds nothing besides what its definition knows.
fn whole<M: Message + Default>(body: &[u8]) -> M {
    let message = M::decode(body).unwrap();
    assert_eq!(message.encoded_len(), body.len(), "there are fields that nobody knows");
    message
}

fn metrics(body: &[u8]) -> ExportMetricsServiceRequest {
    let request: ExportMetricsServiceRequest = whole(body);
    assert!(!request.resource_metrics.is_empty());
    for of_resource in &request.resource_metrics {
        check_resource(of_resource.resource.as_ref());
        for of_scope in &of_resource.scope_metrics {
            check_scope(of_scope.scope.as_ref());
            let names: BTreeSet<&str> = of_scope.metrics.iter().map(|metric| metric.name.as_str()).collect();
            assert_eq!(names.len(), of_scope.metrics.len(), "a metric stands there twice");
            of_scope.metrics.iter().for_each(check_metric);
        }
    }
    request
}

fn logs(body: &[u8]) -> Vec<LogRecord> {
    let request: ExportLogsServiceRequest = whole(body);
    let mut records = Vec::new();
    for of_resource in request.resource_logs {
        check_resource(of_resource.resource.as_ref());
        for of_scope in of_resource.scope_logs {
            check_scope(of_scope.scope.as_ref());
            records.extend(of_scope.log_records);
        }
    }
    assert!(!records.is_empty());
    for record in &records {
        assert!((1..=24).contains(&record.severity_number) && !record.severity_text.is_empty());
        assert!(0 < record.time_unix_nano && record.time_unix_nano <= record.observed_time_unix_nano);
        pairs(&record.attributes);
    }
    records
}

pub fn check_resource(resource: Option<&Resource>) {
    let attributes = pairs(&resource.unwrap().attributes);
    for name in ["service.name", "service.version", "service.instance.id"] {
        assert!(attributes.get(name).is_some_and(|value| !value.is_empty()), "{name}: {attributes:?}");
    }
}

pub fn check_scope(scope: Option<&InstrumentationScope>) {
    assert_eq!(scope.unwrap().name, "headwater");
}

fn check_metric(metric: &Metric) {
    let Metric { name, unit, description, data, .. } = metric;
    let is_fit = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
    assert!(
        name.len() < 256 && name.chars().all(is_fit) && !unit.is_empty() && !description.is_empty(),
        "{name}"
    );
    let series = match data.as_ref().unwrap() {
        Data::Gauge(gauge) => {
            gauge.data_points.iter().for_each(|point| check_number(name, point, false));
            gauge.data_points.iter().map(|point| pairs(&point.attributes)).collect::<Vec<_>>()
        }
        Data::Sum(sum) => {
            assert!(sum.is_monotonic, "{name}");
            assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
            sum.data_points.iter().for_each(|point| check_number(name, point, true));
            sum.data_points.iter().map(|point| pairs(&point.attributes)).collect()
        }
        Data::Histogram(histogram) => {
            assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
            for point in &histogram.data_points {
                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                assert!(point.explicit_bounds.is_sorted());
                assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano <= point.time_unix_nano);
            }
            histogram.data_points.iter().map(|point| pairs(&point.attributes)).collect()
        }
        other => panic!("{name}: {other:?}"),
    };
    let unique: BTreeSet<_> = series.iter().collect();
    assert!(!series.is_empty() && unique.len() == series.len(), "{name}: a series stands there twice");
}

fn check_number(name: &str, point: &NumberDataPoint, is_sum: bool) {
    assert!(point.value.is_some(), "{name}");
    assert!(point.time_unix_nano > 1_600_000_000_000_000_000, "{name}: nanoseconds");
    assert_eq!(point.start_time_unix_nano > 0, is_sum, "{name}");
    assert!(point.start_time_unix_nano <= point.time_unix_nano, "{name}");
}

/// Attributes by name: each once, texts alone.
pub fn pairs(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let pair = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => (attribute.key.clone(), text),
        other => panic!("{}: {other:?}", attribute.key),
    };
    let pairs: BTreeMap<String, String> = attributes.iter().map(pair).collect();
    assert_eq!(pairs.len(), attributes.len(), "an attribute stands there twice");
    assert!(!pairs.contains_key(""));
    pairs
}
