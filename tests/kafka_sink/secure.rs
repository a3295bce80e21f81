//! Who may write, and what is said to those who may not.

use crate::common::Folder;
use crate::process::Gateway;
use crate::servers::kafka::Kafka;
use crate::writing::lines;

fn pipeline(delivery: &str, brokers: &str, topic: &str, rest: &str) -> String {
    format!(
        "options: {{ delivery: {delivery}, checkpoint: 50ms }}
sources: {{ in: {{ file: {{ path: input.ndjson }} }} }}
sinks: {{ out: {{ from: in, kafka: {{ brokers: '{brokers}', topic: {topic}, {rest} }} }} }}
"
    )
}

fn sasl(mechanism: &str, user: &str, password: &str) -> String {
    format!("sasl: {{ mechanism: {mechanism}, username: {user}, password: {password} }}")
}

#[test]
fn passwords_and_certificates_open_the_doors() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    let folder = Folder::empty();
    folder.write("input.ndjson", lines(10));
    let place = kafka.certificates().display();
    let tls =
        format!("tls: {{ ca: '{place}/ca.pem', cert: '{place}/client.pem', key: '{place}/client.key' }}");
    let doors = [
        (kafka.sasl_brokers(), sasl("PLAIN", Kafka::USER, Kafka::PASSWORD)),
        (kafka.sasl_brokers(), sasl("SCRAM-SHA-512", Kafka::USER, Kafka::PASSWORD)),
        (kafka.tls_brokers(), tls),
    ];
    let mut count = 0;
    for (brokers, rest) in doors {
        for delivery in ["at_least_once", "exactly_once"] {
            folder.write("p.yaml", pipeline(delivery, &brokers, &topic, &rest));
            let data = format!("data{count}");
            folder.write("headwater.yaml", format!("instance: i{count}\n"));
            folder.run(&["run", "p.yaml", "--data-dir", &data]).succeeded();
            count += 1;
            assert_eq!(kafka.records(&topic).len(), count * 10, "{delivery} {rest}");
        }
    }
}

#[test]
fn a_wrong_password_is_said_and_nothing_is_lost() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    for delivery in ["at_least_once", "exactly_once"] {
        let folder = Folder::empty();
        folder.write("input.ndjson", lines(10));
        let wrong = sasl("PLAIN", Kafka::USER, "wr0ng-secret");
        folder.write("p.yaml", pipeline(delivery, &kafka.sasl_brokers(), &topic, &wrong));
        let mut gateway = Gateway::start(&folder, &[]);
        gateway.until_said("the broker refuses the user or password");
        assert!(gateway.said().contains("`out` of `p`") && gateway.said().contains(&kafka.sasl_brokers()));
        assert!(!gateway.said().contains("wr0ng-secret"), "{}", gateway.said());
        gateway.kill();
        let right = sasl("PLAIN", Kafka::USER, Kafka::PASSWORD);
        folder.write("p.yaml", pipeline(delivery, &kafka.sasl_brokers(), &topic, &right));
        folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
    }
    assert_eq!(kafka.records(&topic).len(), 20);
}

#[test]
fn a_user_without_rights_is_told_which() {
    let Some(kafka) = Kafka::shared() else { return };
    let topic = kafka.topic(1);
    for (delivery, said) in [("at_least_once", "ACL"), ("exactly_once", "ACL")] {
        let folder = Folder::empty();
        folder.write("input.ndjson", lines(10));
        let stranger = sasl("PLAIN", Kafka::STRANGER, Kafka::STRANGERS_PASSWORD);
        folder.write("p.yaml", pipeline(delivery, &kafka.sasl_brokers(), &topic, &stranger));
        let mut gateway = Gateway::start(&folder, &[]);
        gateway.until_said(said);
        gateway.stop();
    }
    assert!(kafka.records(&topic).is_empty());
}
