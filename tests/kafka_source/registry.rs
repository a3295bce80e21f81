//! Avro by a schema registry: written to a topic and read from it, also while the registry is away for a time.

use crate::common::Folder;
use crate::process::Running;
use crate::servers::kafka::Kafka;
use crate::servers::records::Record;
use crate::{lines, said};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const ANSWER: &str = r#"{"id":7,"version":1,"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"n\",\"type\":\"long\"}]}"}"#;

/// A registry with one schema, which answers as long as it is said to be there.
fn registry() -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, is_there) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
    let answers = is_there.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), [0; 4096]);
            let count = stream.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let knows = ["GET /schemas/ids/7 ", "GET /subjects/numbers-value/versions/latest "];
            let (status, body) = match answers.load(Ordering::Relaxed) {
                false => (503, ""),
                true if knows.iter().any(|known| request.starts_with(known)) => (200, ANSWER),
                true => (404, r#"{"error_code":40403,"message":"Schema not found"}"#),
            };
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    (address, is_there)
}

#[test]
fn values_wait_for_their_schema() {
    let Some(kafka) = Kafka::shared() else { return };
    let (topic, brokers) = (kafka.topic(1), kafka.brokers());
    let (address, is_there) = registry();
    let folder = Folder::empty();
    folder.write("input.ndjson", "{\"n\":1}\n{\"n\":2}\n");
    folder.write(
        "p.yaml",
        format!(
            "sources: {{ in: {{ file: {{ path: input.ndjson }} }} }}
sinks:
  out:
    from: in
    kafka: {{ brokers: '{brokers}', topic: {topic} }}
    format: {{ avro: {{ registry: {{ url: 'http://{address}', subject: numbers-value }} }} }}
"
        ),
    );
    folder.run(&["run", "p.yaml"]).succeeded();
    let written: Vec<String> = kafka.records(&topic).iter().map(Record::text).collect();
    assert_eq!(written, ["\0\0\0\0\u{7}\u{2}", "\0\0\0\0\u{7}\u{4}"]);
    // One of a schema that the registry does not have, one that is none, and another.
    kafka.produce_values(&topic, &["\0\0\0\0\u{9}\u{2}", "{\"n\":3}", "\0\0\0\0\u{7}\u{8}"]);
    is_there.store(false, Ordering::Relaxed);
    let running = Running::start(&format!(
        "sources:
  in:
    kafka: {{ brokers: '{brokers}', topics: {topic} }}
    format: {{ avro: {{ registry: 'http://{address}' }} }}
transforms: {{ why: {{ from: in.rejected, select: {{ reason: reason }} }} }}
sinks: {{ out: {{ from: [in, why], stdout: {{}} }} }}
"
    ));
    said(&running, "does not say what schema 7 is");
    assert!(running.lines().is_empty());
    is_there.store(true, Ordering::Relaxed);
    let all = lines(&running, 5);
    assert_eq!(all[..3], ["{\"n\":1}", "{\"n\":2}", "{\"n\":4}"]);
    assert!(all[3].contains("does not begin with a zero"), "{all:?}");
    assert!(all[4].contains("the registry has no schema 9"), "{all:?}");
    assert!(running.read("stderr").contains("answers again"));
    running.stop();
}
