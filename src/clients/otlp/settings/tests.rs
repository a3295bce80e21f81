use super::*;
use crate::config::FixedEnvironment;

fn read_with(variables: &[(&str, &str)], file: &Telemetry) -> (Option<Settings>, Vec<String>) {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment =
        FixedEnvironment { variables: variables.iter().map(own).collect(), ..FixedEnvironment::default() };
    let mut said = Vec::new();
    let settings = Settings::read(&environment, file, &mut |fault| said.push(fault));
    (settings, said)
}

fn sound(variables: &[(&str, &str)]) -> Target {
    let (settings, said) = read_with(variables, &Telemetry::default());
    assert!(said.is_empty(), "{said:?}");
    settings.unwrap().metrics.unwrap()
}

const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/otel/");

fn place(target: &Target) -> String {
    format!("{}:{}{}", target.url.server.host, target.url.server.port, target.url.path)
}

#[test]
fn an_endpoint_is_for_all_or_for_a_signal() {
    assert_eq!(place(&sound(&[ALL])), "collector:4318/otel/v1/metrics");
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m.example/in");
    assert_eq!(place(&sound(&[ALL, own])), "m.example:443/in");
    let file = Telemetry { endpoint: Some("http://filed:1".to_owned()), ..Telemetry::default() };
    let placed = |variables: &[(&str, &str)]| place(&read_with(variables, &file).0.unwrap().metrics.unwrap());
    assert_eq!(placed(&[]), "filed:1/v1/metrics");
    assert_eq!(placed(&[ALL]), "collector:4318/otel/v1/metrics");
}

#[test]
fn nobody_is_told_unless_somebody_is_named() {
    let none = |variables: &[(&str, &str)]| {
        let (settings, said) = read_with(variables, &Telemetry::default());
        settings.is_none() && said.is_empty()
    };
    assert!(none(&[]));
    assert!(none(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
    assert!(none(&[ALL, ("OTEL_SDK_DISABLED", "TRUE")]));
    assert!(none(&[ALL, ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")]));
    let (settings, _) = read_with(&[ALL, ("OTEL_METRICS_EXPORTER", "none")], &Telemetry::default());
    let settings = settings.unwrap();
    assert!(settings.metrics.is_none());
    assert_eq!(place(&settings.logs.unwrap()), "collector:4318/otel/v1/logs");
    assert!(!none(&[ALL, ("OTEL_SDK_DISABLED", "yes")]));
}

#[test]
fn headers_and_limits_are_read() {
    let target = sound(&[
        ALL,
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cr3t, x-scope-orgid = plant"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "9"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
    ]);
    let headers: Vec<(&str, &str)> =
        target.headers.iter().map(|(name, Hidden(value))| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("authorization", "Bearer s3cr3t"), ("x-scope-orgid", "plant")]);
    assert_eq!((target.timeout, target.gzip), (Millis(1_500), true));
    assert_eq!(target.tls.ca, Some(PathBuf::from("/ca.pem")));
    assert!(!format!("{target:?}").contains("s3cr3t"));
}

#[test]
fn how_lines_are_gathered_is_said_by_variables() {
    let gathering = |variables: &[(&str, &str)]| {
        let (settings, said) = read_with(&[&[ALL], variables].concat(), &Telemetry::default());
        assert!(said.is_empty());
        settings.unwrap().gathering
    };
    assert_eq!(gathering(&[]), Gathering { every: Millis(1_000), queue: 2048, batch: 512 });
    let smaller = gathering(&[("OTEL_BLRP_MAX_QUEUE_SIZE", "9"), ("OTEL_BLRP_SCHEDULE_DELAY", "5")]);
    assert_eq!(smaller, Gathering { every: Millis(5), queue: 9, batch: 9 });
}

#[test]
fn the_resource_is_named_by_variables() {
    let variables = [
        ALL,
        ("OTEL_RESOURCE_ATTRIBUTES", "site=k%C3%B6ln,service.name=a"),
        ("OTEL_SERVICE_NAME", "b"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "250"),
    ];
    let (settings, said) = read_with(&variables, &Telemetry::default());
    let settings = settings.unwrap();
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        settings.resource,
        [named("site", "köln"), named("service.name", "a"), named("service.name", "b")]
    );
    assert_eq!(settings.interval, Millis(250));
    assert!(said.is_empty());
}

#[test]
fn what_is_wrong_is_told_without_what_it_is() {
    for wrong in [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://user:s3cr3t@host/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cr3t"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "host=s3cr3t"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "s3cr3t"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "s3cr3t"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "s3cr3t"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "-1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "s3cr3t%"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
    ] {
        let (_, said) = read_with(&[ALL, wrong], &Telemetry::default());
        assert_eq!(said.len(), 1, "{wrong:?}: {said:?}");
        assert!(!said[0].contains("s3cr3t"), "{said:?}");
    }
}
