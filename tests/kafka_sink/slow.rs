//! A checkpoint's output over a slow link: transactions are small enough to be through in time. By default some megabytes
//! over a link that is not that slow; `KAFKA_SLOW=full` makes it 50 MB at 1 Mbit/s, which takes seven minutes.

use crate::common::{Folder, headwater, pause};
use crate::servers::free_port;
use crate::servers::kafka::Kafka;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A way to a broker on which bytes go no faster than so many a second. Answers name the proxy in place of the broker.
struct SlowLink {
    port: u16,
}

impl SlowLink {
    fn new(broker: u16, bytes_per_second: usize) -> SlowLink {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(from, to, |_| {}, bytes_per_second));
                std::thread::spawn(move || {
                    pass(server, client, |bytes| rename(bytes, broker, port), 100 << 20);
                });
            }
        });
        SlowLink { port }
    }
}

/// Passes bytes on until one of both is gone.
fn pass(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&mut [u8]), bytes_per_second: usize) {
    let mut buffer = vec![0; 8 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        change(&mut buffer[..count]);
        pause((count * 1_000 / bytes_per_second) as u64);
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// Puts one port in the place of another wherever it stands behind the broker's name.
fn rename(bytes: &mut [u8], broker: u16, proxy: u16) {
    let mut name = b"127.0.0.1".to_vec();
    name.extend_from_slice(&u32::from(broker).to_be_bytes());
    for at in 0..bytes.len().saturating_sub(name.len() - 1) {
        if bytes[at..].starts_with(&name) {
            bytes[at + 9..at + 13].copy_from_slice(&u32::from(proxy).to_be_bytes());
        }
    }
}

#[test]
fn much_output_lands_over_a_slow_link() {
    let Some(kafka) = Kafka::shared() else { return };
    let is_full = std::env::var("KAFKA_SLOW").is_ok_and(|how| how == "full");
    // All of it in one transaction would take longer than one may.
    let (megabytes, bytes_per_second, timeout) =
        if is_full { (50, 125_000, 60_000) } else { (5, 2_000_000, 2_000) };
    let link = SlowLink::new(kafka.plain, bytes_per_second);
    let topic = kafka.topic(1);
    let folder = Folder::empty();
    let line = |n: usize| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(980));
    let input: String = (0..megabytes * 1_000).map(line).collect();
    folder.write("input.ndjson", &input);
    folder.write(
        "p.yaml",
        format!(
            "options: {{ delivery: exactly_once, checkpoint: 60s }}
sources: {{ in: {{ file: {{ path: input.ndjson }} }} }}
sinks:
  out:
    from: in
    kafka: {{ brokers: '127.0.0.1:{}', topic: {topic}, properties: {{ transaction.timeout.ms: {timeout} }} }}
",
            link.port
        ),
    );
    let log = File::create(folder.path().join("stderr")).unwrap();
    let mut child =
        headwater(folder.path(), &["run", "p.yaml", "--data-dir", "data"]).stderr(log).spawn().unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        pause(100);
    };
    assert!(status.success(), "{}", folder.read("stderr"));
    let values: Vec<String> = kafka.records(&topic).iter().map(|record| record.text() + "\n").collect();
    assert!(values.concat() == input, "{} records\n{}", values.len(), folder.read("stderr"));
}
