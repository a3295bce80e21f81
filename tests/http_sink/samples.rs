//! The `prometheus` sink.

use crate::common::Folder;
use crate::dead_letters;
use crate::server::{Answer, Seen, Server, TAKEN};

/// The fields of a protobuf message: number, and content; of a varint or double its eight bytes.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let content = match tag & 7 {
            0 => varint(&mut message).to_le_bytes().to_vec(),
            1 => message.split_off(..8).unwrap().to_vec(),
            2 => {
                let length = varint(&mut message) as usize;
                message.split_off(..length).unwrap().to_vec()
            }
            other => panic!("wire type {other}"),
        };
        all.push((tag >> 3, content));
    }
    all
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes.split_off(..1).unwrap()[0];
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return number;
        }
    }
}

fn of(all: &[(u64, Vec<u8>)], number: u64) -> impl Iterator<Item = &Vec<u8>> {
    all.iter().filter(move |(field, _)| *field == number).map(|(_, content)| content)
}

fn eight(content: &[u8]) -> [u8; 8] {
    content.try_into().unwrap()
}

/// The series of a request: labels as they stand, and samples.
fn series(seen: &Seen) -> Vec<(String, Vec<(i64, f64)>)> {
    assert_eq!(seen.headers["content-encoding"], "snappy");
    assert_eq!(seen.headers["content-type"], "application/x-protobuf");
    assert_eq!(seen.headers["x-prometheus-remote-write-version"], "0.1.0");
    let message = snap::raw::Decoder::new().decompress_vec(&seen.body).unwrap();
    let mut all = Vec::new();
    for series in of(&fields(&message), 1) {
        let series = fields(series);
        let text = |label: &Vec<u8>| {
            let label = fields(label);
            let part = |number| String::from_utf8(of(&label, number).next().unwrap().clone()).unwrap();
            format!("{}={}", part(1), part(2))
        };
        let sample = |sample: &Vec<u8>| {
            let sample = fields(sample);
            let value = f64::from_le_bytes(eight(of(&sample, 1).next().unwrap()));
            (i64::from_le_bytes(eight(of(&sample, 2).next().unwrap())), value)
        };
        let labels: Vec<String> = of(&series, 1).map(text).collect();
        all.push((labels.join(" "), of(&series, 2).map(sample).collect()));
    }
    all
}

fn pipeline(url: &str, options: &str) -> String {
    format!(
        "pipeline: p\nsources:\n  in:\n    file: {{ path: in.ndjson }}\n    event_time: {{ field: ts, unit: ms }}\nsinks:\n  out:\n    \
         from: in\n    prometheus:\n      url: {url}/api/v1/write\n      {options}\n    retry: {{ first: 10ms }}\n    batch: {{ every: 20s }}\n"
    )
}

fn run(server: &Server, options: &str, input: &str) -> Folder {
    let folder = Folder::empty();
    folder.write("in.ndjson", input);
    folder.write("p.yaml", pipeline(&server.url(), options));
    folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
    folder
}

#[test]
fn events_are_samples_of_series_sorted_by_time() {
    let server = Server::start(|_, _| TAKEN);
    let input = "\
{\"ts\":2000,\"name\":\"t\",\"value\":2,\"m\":\"a \\\"q\\\"\",\"Hall\":7}
{\"ts\":1000,\"name\":\"t\",\"value\":1.5,\"m\":\"a \\\"q\\\"\",\"Hall\":7}
{\"ts\":1000,\"name\":\"t\",\"value\":1.5,\"m\":\"a \\\"q\\\"\",\"Hall\":7}
{\"ts\":1500,\"name\":\"t:x\",\"value\":true,\"m\":null}
{\"ts\":1500,\"name\":\"1t\",\"value\":1}
{\"ts\":1500,\"name\":\"t\",\"value\":\"x\"}
{\"ts\":1500,\"name\":\"t\",\"value\":null}
";
    let folder = run(
        &server,
        "labels: { machine: m, Hall: Hall }\n      auth: { bearer: t }\n      headers: { X-Scope-OrgID: plant }",
        input,
    );
    let seen = server.seen();
    assert_eq!((seen.len(), seen[0].path.as_str()), (1, "/api/v1/write"));
    assert_eq!(
        (&*seen[0].headers["authorization"], &*seen[0].headers["x-scope-orgid"]),
        ("Bearer t", "plant")
    );
    let expected = [
        ("__name__=t:x".to_owned(), vec![(1500, 1.0)]),
        ("Hall=7 __name__=t machine=a \"q\"".to_owned(), vec![(1000, 1.5), (2000, 2.0)]),
    ];
    assert_eq!(series(&seen[0]), expected);
    let dead = dead_letters(&folder);
    for why in ["no digit first", "is text, not a number", "the value of the sample is null"] {
        assert!(dead.contains(why), "{why} in {dead}");
    }
}

#[test]
fn samples_out_of_order_take_no_others_with_them() {
    let server = Server::start(|seen, _| {
        let is_old = series(seen).iter().any(|(_, samples)| samples.iter().any(|(time, _)| *time < 100));
        if is_old { Answer::Of(400, "", "out of order sample") } else { Answer::Of(204, "", "") }
    });
    let times = [500, 600, 50, 700, 800];
    let input: String = times.map(|ts| format!("{{\"ts\":{ts},\"v\":{ts}}}\n")).concat();
    let folder = run(&server, "name: m\n      value: v", &input);
    let arrived: Vec<i64> = server
        .taken()
        .iter()
        .flat_map(series)
        .flat_map(|(_, samples)| samples)
        .map(|(time, _)| time)
        .collect();
    assert_eq!(arrived, [500, 600, 700, 800]);
    let dead = dead_letters(&folder);
    assert!(dead.contains("m 50.0 50") && dead.contains("out of order sample"), "{dead}");
}

#[test]
fn looking_at_a_server_says_what_is_missing_there() {
    let server = Server::start(|_, before| Answer::Of([204, 404][before.min(1)], "", ""));
    let folder = Folder::empty();
    folder.write("p.yaml", pipeline(&server.url(), "name: m\n      value: v"));
    let found = folder.run(&["check", "--connect", "p.yaml"]).succeeded().stderr;
    assert!(found.contains("lets us write") && series(&server.seen()[0]).is_empty(), "{found}");
    let found = folder.run(&["check", "--connect", "p.yaml"]);
    assert!(
        found.status == Some(1) && found.stderr.contains("--web.enable-remote-write-receiver"),
        "{}",
        found.stderr
    );
}
