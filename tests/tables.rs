//! Tables while a pipeline runs: files that change, are damaged, or are not there.

pub mod common;

use common::{Folder, headwater, until};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

const PIPELINE: &str = "
sources:
  readings: { stdin: {} }
transforms:
  placed: { from: readings, lookup: { table: assets, match: asset = device } }
sinks:
  out: { from: placed, file: { path: out.ndjson } }
tables:
  assets: { file: { path: assets.csv }, format: csv, key: [asset] }
";

/// Sends events until the output says this of one.
fn put_out(folder: &Folder, process: &mut Child, wanted: &str) {
    until(wanted, || {
        process.stdin.as_mut().unwrap().write_all(b"{\"device\":\"d1\"}\n").unwrap();
        folder.read("out.ndjson").lines().any(|line| line == wanted)
    });
}

#[test]
fn a_file_is_read_again_when_it_changes() {
    let folder = Folder::empty();
    folder.write("p.yaml", PIPELINE);
    folder.write("assets.csv", "asset,line\nd1,L1\n");
    let errors = std::fs::File::create(folder.path().join("errors")).unwrap();
    let mut process = headwater(folder.path(), &["run", "p.yaml"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    put_out(&folder, &mut process, r#"{"device":"d1","line":"L1"}"#);
    folder.write("assets.csv", "asset,line\nd1,L2\nd2,L1\n");
    put_out(&folder, &mut process, r#"{"device":"d1","line":"L2"}"#);
    // What was read before stays, and this is told.
    folder.write("assets.csv", "asset,line\nd1,L3\nd1,L4\n");
    until("what is told", || folder.read("errors").contains("rows 1 and 2 have the same `asset`"));
    folder.write("assets.csv", "asset,line\nd1,L5\n");
    put_out(&folder, &mut process, r#"{"device":"d1","line":"L5"}"#);
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success(), "{}", folder.read("errors"));
    let out = folder.read("out.ndjson");
    assert!(!out.contains("L3") && !out.contains("L4") && !out.contains("null"), "{out}");
}

#[test]
fn without_its_file_a_pipeline_does_not_start() {
    let folder = Folder::empty();
    folder.write("p.yaml", PIPELINE);
    let ran = folder.run(&["run", "p.yaml"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("table `assets`: `assets.csv` cannot be read"), "{}", ran.stderr);
    assert_eq!(folder.run(&["check", "p.yaml"]).status, Some(78));
    // Who only looks at the plan needs no file; nor does a test that says what the table holds.
    folder.run(&["graph", "p.yaml"]).succeeded();
    let tests = "
tests:
  - name: stated
    tables: { assets: [{ asset: d1, line: L1 }] }
    steps:
      - send: { readings: [{ device: d1 }, { device: d2 }, { device: null }] }
      - expect: { out: [{ device: d1, line: L1 }, { device: d2, line: null }, { line: null }] }
";
    folder.write("p.yaml", format!("{PIPELINE}{tests}"));
    folder.run(&["test", "p.yaml"]).succeeded();
    folder.write("p.yaml", format!("{PIPELINE}{}", tests.replace("    tables:", "    # tables:")));
    let ran = folder.run(&["test", "p.yaml"]);
    assert_eq!(ran.status, Some(78), "{}", ran.stderr);
    assert!(ran.stderr.contains("what table `assets` holds is not known"), "{}", ran.stderr);
}

/// Rows that a node gives, and how far event time has come without the end of input.
const FILLED: &str = "
sources:
  in: { file: { path: '*.ndjson' }, event_time: { field: t, out_of_order: 50ms } }
tables:
  lines: { from: rows, key: [device] }
transforms:
  rows: { from: in, where: line IS NOT NULL }
  asks: { from: in, where: line IS NULL }
  placed: { from: asks, lookup: { table: lines, match: device = device, select: [line] } }
sinks:
  out: { from: placed, file: { path: out/placed.json } }
";

#[test]
fn a_next_run_finds_the_rows_that_held_before_the_end() {
    let folder = Folder::empty();
    folder.write("p.yaml", FILLED);
    let row = |t: u32, line: &str| format!("{{\"t\":{t},\"device\":\"d1\",\"line\":\"{line}\"}}\n");
    let ask = |t: u32| format!("{{\"t\":{t},\"device\":\"d1\"}}\n");
    folder.write("a.ndjson", [row(100, "L1"), row(200, "L2"), ask(210)].concat());
    folder.run(&["run", "p.yaml", "--data-dir", "state"]).succeeded();
    folder.write("b.ndjson", [ask(170), ask(220)].concat());
    folder.run(&["run", "p.yaml", "--data-dir", "state"]).succeeded();
    let placed = |t: u32, line: &str| format!("{{\"t\":{t},\"device\":\"d1\",\"line\":\"{line}\"}}\n");
    let wanted = [placed(210, "L2"), placed(170, "L1"), placed(220, "L2")].concat();
    assert_eq!(folder.read("out/placed.json"), wanted);
}

const ASKING: &str = "
sources:
  readings: { file: { path: in.ndjson }, event_time: { field: t } }
transforms:
  placed: { from: readings, lookup: { table: devices, match: device = device, select: { at: site, n: slots }, missing: MISSING } }
windows:
  counted: { from: placed, key: [at], tumbling: 10ms, aggregate: { events: count(*) } }
sinks:
  out: { from: placed, file: { path: out.ndjson } }
  windows: { from: counted, file: { path: windows.ndjson } }
  bad: { from: placed.rejected, file: { path: bad.ndjson } }
tables:
  devices:
    http:
      url: \"http://127.0.0.1:PORT/devices/{device}?v=1\"
      headers: { X-Plant: A7 }
      auth: { bearer: secret }
    key: [device]
";

fn asking(port: u16, missing: &str) -> String {
    ASKING.replace("PORT", &port.to_string()).replace("MISSING", missing)
}

/// What was asked for, in order.
type Asked = Arc<Mutex<Vec<String>>>;

/// Answers each connection once; `busy` only from the third time on.
fn serve(listener: TcpListener) -> Asked {
    let asked = Asked::default();
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let log = log.clone();
            std::thread::spawn(move || answer(stream, &log));
        }
    });
    asked
}

fn answer(mut stream: TcpStream, log: &Asked) {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).unwrap_or_default();
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let Some(device) = request.strip_prefix("GET /devices/").and_then(|rest| rest.split("?v=1 ").next())
    else {
        return;
    };
    let mut log = log.lock().unwrap();
    log.push(device.to_owned());
    let times = log.iter().filter(|known| *known == device).count();
    drop(log);
    let (status, body) = match device {
        _ if !request.contains("authorization: Bearer secret") || !request.contains("x-plant: A7") => {
            ("400 Bad Request", String::new())
        }
        "none" => ("404 Not Found", String::new()),
        "odd" => ("200 OK", "[1]".to_owned()),
        "wrong" => ("400 Bad Request", String::new()),
        "busy" if times == 1 => ("503 Slow Down", String::new()),
        "busy" if times == 2 => ("429 Too Many Requests", String::new()),
        device => ("200 OK", format!("{{\n  \"site\": \"at {device}\",\n  \"slots\": [1, 2]\n}}")),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all((head + &body).as_bytes());
}

#[test]
fn a_server_is_asked_for_each_row_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::empty();
    folder.write("p.yaml", asking(listener.local_addr().unwrap().port(), "null"));
    let devices = ["a", "busy", "a b/c", "none", "odd", "a", "wrong", "busy", "7", ""];
    let line = |(t, device): (usize, &str)| match device {
        "" => format!("{{\"t\":{t},\"device\":null}}\n"),
        "7" => format!("{{\"t\":{t},\"device\":7}}\n"),
        device => format!("{{\"t\":{t},\"device\":\"{device}\"}}\n"),
    };
    let lines: String = (0..3000).map(|t| line((t, devices[t % devices.len()]))).collect();
    folder.write("in.ndjson", lines);
    let asked = serve(listener);
    folder.run(&["run", "p.yaml"]).succeeded();
    let out = folder.read("out.ndjson");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2400);
    assert_eq!(lines[0], r#"{"t":0,"device":"a","at":"at a","n":[1,2]}"#);
    assert_eq!(lines[1], r#"{"t":1,"device":"busy","at":"at busy","n":[1,2]}"#);
    assert_eq!(lines[2], r#"{"t":2,"device":"a b/c","at":"at a%20b%2Fc","n":[1,2]}"#);
    assert_eq!(lines[3], r#"{"t":3,"device":"none","at":null,"n":null}"#);
    assert_eq!(lines[7], r#"{"t":9,"device":null,"at":null,"n":null}"#);
    let time = |line: &str| line[5..].split(',').next().unwrap().parse::<u32>().unwrap();
    assert!(lines.is_sorted_by_key(|line| time(line)), "{out}");
    let bad = folder.read("bad.ndjson");
    assert_eq!(bad.lines().count(), 600);
    assert!(
        bad.contains("table `devices`: the answer is no JSON object") && bad.contains("answers 400"),
        "{bad}"
    );
    // No event was late in the windows behind.
    let count = |line: &str| {
        line.split(r#""events":"#).nth(1).unwrap().split(',').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(folder.read("windows.ndjson").lines().map(count).sum::<u32>(), 2400);
    let found = folder.run(&["check", "--connect", "p.yaml"]).succeeded().stderr;
    assert!(
        found.contains("table `devices`: http://127.0.0.1:") && found.contains("can be reached"),
        "{found}"
    );
    let asked = asked.lock().unwrap();
    let times = |device: &str| asked.iter().filter(|known| *known == device).count();
    assert_eq!((times("a"), times("none"), times("7"), times("busy")), (1, 1, 1, 3), "{asked:?}");
}

#[test]
fn as_many_calls_are_under_way_as_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::empty();
    let text = asking(listener.local_addr().unwrap().port(), "reject")
        .replace("    key:", "      concurrency: 3\n    key:");
    folder.write("p.yaml", text);
    folder.write(
        "in.ndjson",
        (0..9).map(|t| format!("{{\"t\":{t},\"device\":\"d{t}\"}}\n")).collect::<String>(),
    );
    let log = Asked::default();
    let asked = log.clone();
    // Nobody is answered before three have come; one more would be among them.
    std::thread::spawn(move || {
        loop {
            let calls: Vec<_> = listener.incoming().map_while(Result::ok).take(3).collect();
            listener.set_nonblocking(true).unwrap();
            common::pause(100);
            if listener.accept().is_ok() {
                log.lock().unwrap().push("a fourth".to_owned());
            }
            listener.set_nonblocking(false).unwrap();
            calls.into_iter().for_each(|call| answer(call, &log));
        }
    });
    folder.run(&["run", "p.yaml"]).succeeded();
    assert_eq!(folder.read("out.ndjson").lines().count(), 9);
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, (0..9).map(|t| format!("d{t}")).collect::<Vec<_>>());
}

#[test]
fn events_wait_for_a_server_also_across_restarts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = Folder::empty();
    folder.write("p.yaml", asking(address.port(), "drop"));
    let lines: String = (0..50).map(|t| format!("{{\"t\":{t},\"device\":\"d{}\"}}\n", t % 7)).collect();
    folder.write("in.ndjson", lines);
    let arguments = ["run", "p.yaml", "--data-dir", "state"];
    let errors = std::fs::File::create(folder.path().join("errors")).unwrap();
    let mut process =
        headwater(folder.path(), &arguments).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
    until("what is told", || folder.read("errors").contains("events wait, and it is asked again"));
    let id = process.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(process.wait().unwrap().success(), "{}", folder.read("errors"));
    assert_eq!(folder.read("out.ndjson"), "");
    let asked = serve(TcpListener::bind(address).unwrap());
    folder.run(&arguments).succeeded();
    let wanted: String = (0..50)
        .map(|t| format!("{{\"t\":{t},\"device\":\"d{0}\",\"at\":\"at d{0}\",\"n\":[1,2]}}\n", t % 7))
        .collect();
    assert_eq!(folder.read("out.ndjson"), wanted);
    assert_eq!(asked.lock().unwrap().len(), 7);
}
