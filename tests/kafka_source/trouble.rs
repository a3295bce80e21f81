//! Clear words for what goes wrong: the node, the server and the remedy.

use crate::common::Folder;
use crate::process::Running;
use crate::servers::kafka::Kafka;
use crate::{lines, said};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use headwater::dataflow::Instance;
use headwater::plan;
use std::path::Path;

/// What is said by a run that must connect and cannot.
fn refused(options: &str) -> String {
    let folder = Folder::empty();
    folder.write(
        "p.yaml",
        format!(
            "sources: {{ events: {{ kafka: {{ {options} }}, startup: fail }} }}\n\
             sinks: {{ out: {{ from: events, drop: {{}} }} }}\n"
        ),
    );
    let ran = folder.run(&["run", "p.yaml"]);
    assert_eq!(ran.status, Some(1), "{options}: {}", ran.stderr);
    assert!(ran.stderr.contains("events"), "{}", ran.stderr);
    ran.stderr
}

#[test]
fn passwords_and_rights() {
    let Some(kafka) = Kafka::shared() else { return };
    let (topic, brokers) = (kafka.topic(1), kafka.sasl_brokers());
    let sasl = |mechanism: &str, user: &str, password: &str| {
        let sasl = format!("sasl: {{ mechanism: {mechanism}, username: {user}, password: {password} }}");
        format!("brokers: '{brokers}', topics: {topic}, {sasl}")
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let text = refused(&sasl(mechanism, Kafka::USER, "wrong-secret"));
        assert!(
            text.contains(&brokers) && text.contains("are `sasl: { username, password }` right?"),
            "{text}"
        );
        assert!(!text.contains("wrong-secret"), "{text}");
    }
    let text = refused(&sasl("PLAIN", Kafka::STRANGER, Kafka::STRANGERS_PASSWORD));
    assert!(text.contains("it needs an ACL that allows Read and Describe on it"), "{text}");
    let text = refused(&format!("brokers: '{}', topics: [no.such.topic]", kafka.brokers()));
    assert!(text.contains("there is no topic `no.such.topic`: create it, or is its name right?"), "{text}");
}

#[test]
fn every_mechanism_lets_us_in() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    kafka.produce_values(&topic, &["{\"n\":1}"]);
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"gateway","iat":1700000000,"exp":4000000000}"#);
    let token = format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    let user = format!("username: {}, password: {}", Kafka::USER, Kafka::PASSWORD);
    let runs: Vec<Running> = [
        format!("mechanism: PLAIN, {user}"),
        format!("mechanism: SCRAM-SHA-256, {user}"),
        format!("mechanism: SCRAM-SHA-512, {user}"),
        format!("mechanism: OAUTHBEARER, token: '{token}'"),
    ]
    .iter()
    .map(|sasl| {
        Running::start(&format!(
            "sources: {{ in: {{ kafka: {{ brokers: '{}', topics: {topic}, sasl: {{ {sasl} }} }} }} }}\n\
             sinks: {{ out: {{ from: in, stdout: {{}} }} }}\n",
            kafka.sasl_brokers()
        ))
    })
    .collect();
    runs.iter().for_each(|running| _ = lines(running, 1));
}

#[test]
fn certificates() {
    let Some(mut kafka) = Kafka::start() else { return };
    kafka.create_topic("t", 1, &[]);
    kafka.produce_values("t", &["{\"n\":1}"]);
    let place = kafka.certificates().to_owned();
    let tls = |broker: &str, ca: &str, cert: &str, key: &str| {
        let at = |name: &str| place.join(name).display().to_string();
        let tls = format!("tls: {{ ca: '{}', cert: '{}', key: '{}' }}", at(ca), at(cert), at(key));
        format!("brokers: '{broker}', topics: t, {tls}")
    };
    let good = tls(&kafka.tls_brokers(), "ca.pem", "client.pem", "client.key");
    let running = Running::start(&format!(
        "sources: {{ in: {{ kafka: {{ {good} }} }} }}\nsinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
    ));
    lines(&running, 1);
    running.stop();
    // Whom the certificate was signed by is somebody else.
    let text = refused(&tls(&kafka.tls_brokers(), "client.pem", "client.pem", "client.key"));
    assert!(text.contains("signed by somebody unknown: give `tls: { ca }`"), "{text}");
    // Ours is over.
    let text = refused(&tls(&kafka.tls_brokers(), "ca.pem", "expired.pem", "expired.key"));
    assert!(text.contains("the broker refuses our certificate"), "{text}");
    // We have none.
    let only_ca = format!("tls: {{ ca: '{}' }}", place.join("ca.pem").display());
    let text = refused(&format!("brokers: '{}', topics: t, {only_ca}", kafka.tls_brokers()));
    assert!(text.contains("certificate of ours"), "{text}");
    // A name that the certificate does not have.
    let named = format!("ip6-localhost:{}", kafka.tls);
    let text = refused(&tls(&named, "ca.pem", "client.pem", "client.key"));
    assert!(text.contains(&named), "{text}");
    // No TLS on that port, and TLS where we speak none.
    let text = refused(&tls(&kafka.brokers(), "ca.pem", "client.pem", "client.key"));
    assert!(text.contains("TLS on that port"), "{text}");
    refused(&format!("brokers: '{}', topics: t", kafka.tls_brokers()));
    // The broker's own is over, which one that reads says too.
    let running = Running::start(&format!(
        "sources: {{ in: {{ kafka: {{ {good} }} }} }}\nsinks: {{ out: {{ from: in, stdout: {{}} }} }}\n"
    ));
    lines(&running, 1);
    kafka.stop();
    let pem: String = ["expired.key", "expired.pem", "ca.pem"]
        .iter()
        .map(|name| std::fs::read_to_string(place.join(name)).unwrap())
        .collect();
    std::fs::write(place.join("keystore.pem"), pem).unwrap();
    kafka.start_again();
    let text = refused(&good);
    assert!(text.contains("its certificate has expired, or this clock is wrong"), "{text}");
    said(&running, "its certificate has expired, or this clock is wrong");
}

/// What `check --connect` is told.
fn probed(options: &str) -> Result<String, String> {
    let text = format!(
        "sources: {{ events: {{ kafka: {{ {options} }} }} }}\nsinks: {{ out: {{ from: events, drop: {{}} }} }}\n"
    );
    let faults = Faults::new(SourceFile::new("p.yaml", text.into()).unwrap());
    let surroundings = Surroundings { environment: &ProcessEnvironment::default(), overrides: &[] };
    let file = read_pipeline(&faults, surroundings).unwrap();
    let surroundings =
        plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Instance::default() };
    let plan = plan::plan(&file, &surroundings, &faults).unwrap();
    plan.sources[0].plan.probe().expect("there is a server")
}

#[test]
fn a_probe_finds_what_a_run_would() {
    let Some(kafka) = Kafka::shared() else { return };
    let (topic, brokers) = (kafka.topic(2), kafka.brokers());
    let found = probed(&format!("brokers: '{brokers}', topics: {topic}"));
    assert_eq!(found, Ok(format!("1 topic with 2 partitions at {brokers}")));
    let missing = probed(&format!("brokers: '{brokers}', topics: nothing")).unwrap_err();
    assert!(missing.starts_with(&brokers) && missing.contains("there is no topic `nothing`"), "{missing}");
    let stranger = format!(
        "brokers: '{}', topics: {topic}, sasl: {{ mechanism: PLAIN, username: {}, password: {} }}",
        kafka.sasl_brokers(),
        Kafka::STRANGER,
        Kafka::STRANGERS_PASSWORD
    );
    let refused = probed(&stranger).unwrap_err();
    assert!(refused.contains("it needs an ACL that allows Read and Describe"), "{refused}");
    let wrong = probed(&stranger.replace(Kafka::STRANGERS_PASSWORD, "wrong-secret")).unwrap_err();
    assert!(wrong.contains("are `sasl: { username, password }` right?"), "{wrong}");
    let nobody = probed("brokers: '127.0.0.1:1', topics: t").unwrap_err();
    assert_eq!(nobody, "127.0.0.1:1: nothing listens there");
}
