//! The servers that other tests use: they start, keep their data, and are as closed as they should be.

pub mod common;
#[path = "common/servers/mod.rs"]
pub mod servers;

use rdkafka::consumer::{BaseConsumer, Consumer};
use servers::kafka::Kafka;
use servers::mosquitto::Mosquitto;
use servers::postgres::Postgres;
use std::time::Duration;

#[test]
fn kafka_keeps_what_was_committed_through_a_kill() {
    let Some(mut kafka) = Kafka::start() else { return };
    let topic = kafka.topic(2);
    kafka.produce_to(&topic, Some(1), &[("k", "one"), ("", "two")]);
    kafka.transaction("t", &topic, &["three"], true);
    kafka.transaction("t", &topic, &["never"], false);
    let mut values = kafka.values(&topic, 3);
    values.sort();
    assert_eq!(values, ["one", "three", "two"]);
    assert_eq!(kafka.uncommitted_records(&topic).len(), 4);
    let before = kafka.records(&topic);
    kafka.kill();
    kafka.start_again();
    assert_eq!(kafka.records(&topic), before);
    let record = before.iter().find(|record| record.text() == "one").unwrap();
    assert_eq!((record.partition, record.offset, record.key_text()), (1, 0, "k".to_owned()));
}

/// Whether a client with these settings sees the broker.
fn sees(kafka: &Kafka, brokers: &str, settings: &[(&str, &str)]) -> bool {
    let mut config = kafka.client();
    config.set("bootstrap.servers", brokers);
    settings.iter().for_each(|(key, value)| _ = config.set(*key, *value));
    let client: BaseConsumer = config.create().unwrap();
    client.fetch_metadata(None, Duration::from_secs(if settings.is_empty() { 2 } else { 30 })).is_ok()
}

#[test]
fn kafka_asks_for_passwords_and_certificates() {
    let Some(kafka) = Kafka::shared() else { return };
    let place = |name: &str| kafka.certificates().join(name).to_str().unwrap().to_owned();
    let (ca, cert, key) = (place("ca.pem"), place("client.pem"), place("client.key"));
    let tls = [
        ("security.protocol", "ssl"),
        ("ssl.ca.location", ca.as_str()),
        ("ssl.certificate.location", cert.as_str()),
        ("ssl.key.location", key.as_str()),
    ];
    assert!(sees(kafka, &kafka.tls_brokers(), &tls));
    assert!(!sees(kafka, &kafka.tls_brokers(), &[]));
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let sasl = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", Kafka::USER),
            ("sasl.password", Kafka::PASSWORD),
        ];
        assert!(sees(kafka, &kafka.sasl_brokers(), &sasl), "{mechanism}");
    }
    assert!(!sees(kafka, &kafka.sasl_brokers(), &[]));
}

#[test]
fn postgres_keeps_what_was_committed_through_a_kill() {
    let Some(mut postgres) = Postgres::start() else { return };
    let database = postgres.database();
    database
        .execute("CREATE TABLE readings (n int, site text); INSERT INTO readings VALUES (1, 'a'), (2, NULL)");
    postgres.kill();
    assert!(database.try_query("SELECT 1").is_err());
    postgres.start_again();
    assert_eq!(database.lines("SELECT * FROM readings ORDER BY n"), ["1|a", "2|-"]);
    assert_eq!(database.number("SELECT sum(n) FROM readings"), 3);
    assert!(Postgres::shared().unwrap().maintenance().try_query("SELECT 1").is_ok());
}

#[test]
fn mosquitto_starts_again() {
    let Some(mut mosquitto) = Mosquitto::start() else { return };
    mosquitto.stop();
    mosquitto.start_again();
    assert!(mosquitto.url().ends_with(&mosquitto.port.to_string()));
}
