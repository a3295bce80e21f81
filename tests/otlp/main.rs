//! What a running process tells a collector by OTLP.

mod collector;
#[path = "../common/mod.rs"]
pub mod common;

use collector::{Collector, pairs};
use common::{Folder, headwater, until, wait};
use headwater::telemetry::{INSTRUMENTS, Kind};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;
use std::fs::File;
use std::process::{Child, Command, Stdio};

const BOUNDED: &str = "\
pipeline: bounded
sources: { in: { generate: { fields: { n: sequence() }, count: 7 } } }
transforms: { even: { from: in, where: n % 2 = 0 } }
sinks: { out: { from: even, file: { path: out.jsonl } } }
";

const ENDLESS: &str = "\
pipeline: endless
sources: { in: { generate: { fields: { n: sequence() }, rate: 100 } } }
sinks: { out: { from: in, file: { path: out.jsonl } } }
";

const SAYING: &str = "\
pipeline: saying
sources: { in: { generate: { fields: { n: sequence() }, rate: 20 } } }
transforms: { say: { from: in, lua: { script: say.lua } } }
sinks: { out: { from: say, drop: {} } }
";

const SAY: &str =
    "function process(event) log.warn('number ' .. event.n) log.debug('unseen') return event end\n";

fn telling(folder: &Folder, arguments: &[&str], collector: &Collector) -> Command {
    let mut command = headwater(folder.path(), arguments);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint);
    command.stderr(File::create(folder.path().join("stderr")).unwrap()).stdout(Stdio::null());
    command
}

fn end(mut child: Child) {
    let ended = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(ended.success());
    assert!(wait(&mut child).success());
}

/// The last that was told of each metric.
fn last(collector: &Collector) -> Vec<Metric> {
    let told = collector.metrics();
    let resources = &told.last().expect("nothing was told").resource_metrics;
    resources.iter().flat_map(|of| &of.scope_metrics).flat_map(|of| of.metrics.clone()).collect()
}

#[test]
fn a_run_tells_what_it_has_counted_at_its_end() {
    let collector = Collector::kind();
    let folder = Folder::empty();
    folder.write("p.yaml", BOUNDED);
    let mut command = telling(&folder, &["run", "p.yaml", "--data-dir", "data"], &collector);
    command.envs([
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cr3t-s3cr3t"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_RESOURCE_ATTRIBUTES", "site=k%C3%B6ln"),
        ("OTEL_SERVICE_NAME", "edge"),
    ]);
    assert!(wait(&mut command.spawn().unwrap()).success());
    let metrics = last(&collector);
    for metric in &metrics {
        let of = INSTRUMENTS.iter().find(|of| of.name == metric.name).expect("an instrument of ours");
        assert_eq!((of.unit, of.about), (metric.unit.as_str(), metric.description.as_str()));
        let is_alike = match metric.data.as_ref().unwrap() {
            Data::Sum(_) => of.kind == Kind::Counter,
            Data::Gauge(_) => of.kind == Kind::Gauge,
            _ => of.kind == Kind::Histogram,
        };
        assert!(is_alike, "{}", metric.name);
    }
    let sent = metrics.iter().find(|metric| metric.name == "headwater.component.sent_events").unwrap();
    let Some(Data::Sum(sum)) = &sent.data else { panic!() };
    let of = |component: &str| {
        let is_its = |attributes| pairs(attributes).get("component").is_some_and(|name| name == component);
        sum.data_points.iter().find(|point| is_its(&point.attributes)).unwrap()
    };
    assert_eq!(of("in").value, Some(Value::AsInt(7)));
    let attributes = pairs(&of("in").attributes);
    assert_eq!((attributes["pipeline"].as_str(), attributes["kind"].as_str()), ("bounded", "generate"));
    let request = collector.requests().into_iter().find(|request| request.path == "/v1/metrics").unwrap();
    assert_eq!(request.headers["authorization"], "Bearer s3cr3t-s3cr3t");
    assert_eq!(request.headers["content-encoding"], "gzip");
    let told = collector.metrics();
    let resource = pairs(&told[0].resource_metrics[0].resource.as_ref().unwrap().attributes);
    assert_eq!((resource["service.name"].as_str(), resource["site"].as_str()), ("edge", "köln"));
    assert!(!folder.read("stderr").contains("s3cr3t"), "{}", folder.read("stderr"));
}

#[test]
fn what_is_not_taken_is_told_again_and_said_once() {
    // Neither answers that pass nor a part that is refused stop it.
    let collector = Collector::answering(|number| match number {
        0 => ("503 Service Unavailable\r\nRetry-After: 1", Vec::new()),
        1 => ("429 Too Many Requests\r\nRetry-After: 0", Vec::new()),
        3 => {
            let part =
                ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "no room".to_owned() };
            let answer = ExportMetricsServiceResponse { partial_success: Some(part) };
            ("200 OK", answer.encode_to_vec())
        }
        _ => ("200 OK", Vec::new()),
    });
    let folder = Folder::empty();
    folder.write("p.yaml", ENDLESS);
    let mut command = telling(&folder, &["run", "p.yaml"], &collector);
    command.envs([("OTEL_METRIC_EXPORT_INTERVAL", "20"), ("OTEL_LOGS_EXPORTER", "none")]);
    let child = command.spawn().unwrap();
    until("it was told again", || collector.requests().len() > 6);
    end(child);
    let said = folder.read("stderr");
    let count = |text: &str| said.matches(text).count();
    assert_eq!(count("it is tried again"), 1, "{said}");
    assert_eq!(count("answers 503"), 1, "{said}");
    assert_eq!(count("refuses a part: 2 of them: no room"), 1, "{said}");
    assert_eq!(count("metrics are taken by"), 2, "{said}");
}

#[test]
fn a_collector_that_is_away_holds_up_nobody() {
    let folder = Folder::empty();
    folder.write("p.yaml", BOUNDED);
    folder.write(
        "headwater.yaml",
        "telemetry: { endpoint: \"http://127.0.0.1:1\", headers: { x: s3cr3t-s3cr3t } }\n",
    );
    let ran = folder.run(&["run", "p.yaml"]).succeeded();
    assert_eq!(folder.read("out.jsonl").lines().count(), 4);
    assert!(
        ran.stderr.contains("metrics are not taken: no connection to http://127.0.0.1:1"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("s3cr3t"));
}

#[test]
fn the_file_says_what_no_variable_does() {
    let collector = Collector::kind();
    let folder = Folder::empty();
    folder.write("p.yaml", ENDLESS);
    let endpoint = &collector.endpoint;
    let file = format!(
        "telemetry: {{ endpoint: \"{endpoint}\", headers: {{ X-Site: a }}, interval: 20ms, resource: {{ site: b }} }}\n"
    );
    folder.write("headwater.yaml", file);
    let mut command = headwater(folder.path(), &["run", "p.yaml"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it was told", || collector.requests().len() > 2);
    end(child);
    assert!(collector.requests().iter().all(|request| request.headers["x-site"] == "a"));
    let told = collector.metrics();
    assert_eq!(pairs(&told[0].resource_metrics[0].resource.as_ref().unwrap().attributes)["site"], "b");
}

#[test]
fn what_is_logged_is_told_as_well() {
    // The first request is refused for now, and comes again whole.
    let collector = Collector::answering(|number| match number {
        0 => ("503 Service Unavailable", Vec::new()),
        _ => ("200 OK", Vec::new()),
    });
    let folder = Folder::empty();
    folder.write("p.yaml", SAYING);
    folder.write("say.lua", SAY);
    let mut command = telling(&folder, &["run", "p.yaml"], &collector);
    command.envs([("OTEL_BLRP_SCHEDULE_DELAY", "20"), ("OTEL_METRICS_EXPORTER", "none")]);
    let child = command.spawn().unwrap();
    let said = || -> Vec<(String, i32)> {
        let text = |body: any_value::Value| match body {
            any_value::Value::StringValue(text) => text,
            other => panic!("{other:?}"),
        };
        let taken = collector.logs().into_iter();
        taken.map(|record| (text(record.body.unwrap().value.unwrap()), record.severity_number)).collect()
    };
    until("it was told", || said().iter().any(|(text, level)| text.contains("number 1") && *level == 13));
    until("the request came again", || {
        said().iter().filter(|(text, _)| text.contains("number 0")).count() > 1
    });
    end(child);
    // Only what the log shows, and nothing about telling.
    assert!(said().iter().all(|(text, level)| !text.contains("not taken") && *level > 5), "{:?}", said());
    assert!(folder.read("stderr").contains("logs are not taken"));
}

#[test]
fn a_collector_that_does_not_answer_holds_up_nobody() {
    // The system takes connections for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::empty();
    folder.write("p.yaml", BOUNDED);
    let mut command = headwater(folder.path(), &["run", "p.yaml"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", silent.local_addr().unwrap()));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(wait(&mut child).success());
    assert_eq!(folder.read("out.jsonl").lines().count(), 4);
}
