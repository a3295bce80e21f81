//! The control socket: requests that are right, wrong, slow and too large, over a real socket.

pub mod common;
#[path = "control/process.rs"]
mod process;

use common::Folder;
use headwater::server::{SOCKET, Server, ask, ask_lines, ask_with};
use process::Process;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A folder near the root: the path of a socket is short.
struct Served {
    folder: tempdir::Short,
    server: Option<Server>,
}

mod tempdir {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder with a short path.
    pub struct Short(PathBuf);

    impl Short {
        /// One that no other test has.
        pub fn new() -> Short {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name = format!("hw-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Short(path)
        }

        /// Where it is.
        pub fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Short {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Served {
    fn start() -> Served {
        let folder = tempdir::Short::new();
        let server = Server::start(folder.path(), Arc::new(Process)).unwrap();
        Served { folder, server: Some(server) }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.folder.path().join(SOCKET)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// What comes back for these bytes: the first line, and the body.
    fn said(&self, bytes: &[u8]) -> (String, String) {
        let mut stream = self.connect();
        // Who is refused early may find the socket closed.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.lines().next().unwrap_or_default().to_owned(), body.trim_end().to_owned())
    }

    fn asked(&self, method: &str, path: &str) -> (u16, serde_json::Value) {
        let answered = ask(self.folder.path(), method, path).unwrap().unwrap();
        (answered.status, answered.body)
    }
}

#[test]
fn what_is_asked_is_answered() {
    let served = Served::start();
    assert_eq!(served.asked("GET", "/live"), (200, json!({ "live": true })));
    let (status, said) = served.asked("GET", "/api/v1/pipelines");
    let checkpoint = json!({ "epoch": 7, "at": 1000, "duration_ms": 12, "bytes": 345 });
    let node = json!({ "name": "in", "kind": "file", "received": 3, "sent": 2, "rejected": 1, "discarded": 0,
        "late": 5, "errors": { "decode": 1 }, "reasons": {}, "received_bytes": 99, "watermark": 1500, "last_event_time": null,
        "busy_ratio": 0.25, "backpressured_ratio": null, "lag_events": 4, "held_back": false, "undelivered_bytes": null, "away": null });
    let pipelines = json!({ "pipelines": [
        { "name": "a", "state": "running", "error": null, "checkpoint": checkpoint, "written_bytes": 999, "disk_bytes": 1000, "nodes": [node],
          "scripts": [{ "name": "a.lua", "calls": 5, "breaches": 1, "memory_bytes": 30000, "seconds": 2.5 }] },
        { "name": "b", "state": "failed", "error": "the disk is gone", "checkpoint": null, "written_bytes": 0, "disk_bytes": 0, "nodes": [], "scripts": [] },
    ], "snapshots": { "place": "copies", "taken": 3, "failed": 1, "sent_bytes": 456 } });
    assert_eq!((status, said), (200, pipelines));
    let now = |name: &str| served.asked("POST", &format!("/api/v1/pipelines/{name}/checkpoint"));
    assert_eq!(now("a"), (200, checkpoint));
    assert_eq!(now("b"), (409, json!({ "error": "pipeline `b` does not run" })));
    assert_eq!(now("c"), (500, json!({ "error": "no space" })));
    assert_eq!(now("d"), (404, json!({ "error": "there is no pipeline `d`" })));
    let savepoint = |body: &str| {
        let path = "/api/v1/pipelines/a/savepoint";
        let answered = ask_with(served.folder.path(), "POST", path, body.to_owned()).unwrap().unwrap();
        (answered.status, answered.body)
    };
    assert_eq!(savepoint(r#"{"file":"/x"}"#), (200, json!({ "file": "/x", "epoch": 7 })));
    assert_eq!(savepoint(r#"{"file":"x"}"#).0, 400);
    assert_eq!(savepoint("").0, 400);
    assert_eq!(served.asked("GET", "/api/v1/pipelines/a/state"), (200, json!({ "pipeline": "a" })));
    assert_eq!(served.asked("GET", "/api/v1/pipelines/a/why/n"), (200, json!({ "node": "n" })));
    assert_eq!(served.asked("POST", "/api/v1/snapshots").0, 409);
}

#[test]
fn what_is_not_there_is_refused() {
    let served = Served::start();
    assert_eq!(served.asked("GET", "/nowhere").0, 404);
    assert_eq!(served.asked("POST", "/live"), (405, json!({ "error": "only GET is taken here" })));
    assert_eq!(served.asked("GET", "/live?x=1").0, 400);
}

#[test]
fn garbage_is_refused_and_leaves_the_next_request_alone() {
    let served = Served::start();
    for garbage in
        [&b"\x00\xff\x16\x03\x01 garbage\r\n\r\n"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n"]
    {
        let (first, _) = served.said(garbage);
        assert!(first.is_empty() || first.starts_with("HTTP/1.1 4"), "{first}");
    }
    let (first, body) = served.said(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((first.as_str(), body.as_str()), ("HTTP/1.1 200 OK", "{\"live\":true}"));
}

#[test]
fn what_is_too_large_is_refused() {
    let served = Served::start();
    let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(40_000));
    assert!(served.said(path.as_bytes()).0.starts_with("HTTP/1.1 4"), "a long path");
    let headers: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let many = format!("GET /live HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    assert_eq!(served.said(many.as_bytes()).0, "HTTP/1.1 431 Request Header Fields Too Large");
    let body = |bytes: usize| {
        let head = format!(
            "POST /api/v1/pipelines/a/checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n"
        );
        served.said(&[head.as_bytes(), &vec![b'x'; bytes]].concat()).0
    };
    assert_eq!(body(70_000), "HTTP/1.1 413 Payload Too Large");
    assert_eq!(body(5), "HTTP/1.1 400 Bad Request");
    assert_eq!(body(0), "HTTP/1.1 200 OK");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a server that waits does so in real time")]
fn the_slow_are_left_and_hold_nobody_up() {
    let served = Served::start();
    let started = Instant::now();
    let mut slow = served.connect();
    slow.write_all(b"GET /live HT").unwrap();
    let mut idle = served.connect();
    // Others are answered meanwhile.
    assert_eq!(served.asked("GET", "/live").0, 200);
    let mut said = Vec::new();
    let _ = slow.read_to_end(&mut said);
    let _ = idle.read_to_end(&mut said);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn a_panic_of_the_process_is_its_own_answer() {
    let served = Served::start();
    assert_eq!(served.asked("POST", "/api/v1/pipelines/panic/checkpoint").0, 500);
    assert_eq!(served.asked("GET", "/live").0, 200);
}

#[test]
fn the_socket_is_the_users_own_and_goes_with_the_server() {
    let mut served = Served::start();
    let socket = served.folder.path().join(SOCKET);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    drop(served.server.take());
    assert!(!socket.exists());
    assert_eq!(ask(served.folder.path(), "GET", "/live"), Ok(None));
    // What a process left behind that is gone.
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    assert_eq!(ask(served.folder.path(), "GET", "/live"), Ok(None));
    served.server = Some(Server::start(served.folder.path(), Arc::new(Process)).unwrap());
    assert_eq!(served.asked("GET", "/live").0, 200);
}

#[test]
fn a_socket_that_cannot_be_is_said() {
    let folder = tempdir::Short::new();
    std::fs::write(folder.path().join(SOCKET), "a file").unwrap();
    let said = Server::start(folder.path(), Arc::new(Process)).err().unwrap();
    assert!(said.contains("something else has this name"), "{said}");
    assert_eq!(std::fs::read_to_string(folder.path().join(SOCKET)).unwrap(), "a file");
    let deep = Folder::empty();
    let deep = deep.write(&format!("{}/x", "d".repeat(120)), "");
    let said = Server::start(deep.parent().unwrap(), Arc::new(Process)).err().unwrap();
    assert!(said.contains("choose a data directory with a shorter path"), "{said}");
}

#[test]
fn keys_come_line_by_line() {
    let served = Served::start();
    let asked = |path: &str, body: Value| {
        let mut lines: Vec<Value> = Vec::new();
        let answered = ask_lines(served.folder.path(), path, body.to_string(), &mut |line| {
            lines.push(serde_json::from_str(line).unwrap());
            Ok(())
        });
        (lines, answered.unwrap().unwrap())
    };
    let path = "/api/v1/pipelines/a/state/keys";
    let (lines, last) = asked(path, json!({ "node": "n" }));
    assert_eq!((lines.len(), &lines[1]["key"], &lines[1]["node"]), (2, &json!([1]), &json!("n")));
    assert_eq!((last.status, last.body), (200, json!({ "end": 2 })));
    let (lines, last) = asked(path, json!({ "key": [20_000] }));
    assert_eq!(
        (lines.len(), &lines[19_999]["key"], last.body),
        (20_000, &json!([19_999]), json!({ "end": 20_000 }))
    );
    // What goes wrong on the way is the last line, what does before is an answer.
    let (lines, last) = asked(path, json!({ "key": [3_000, 0] }));
    assert_eq!((lines.len(), last.body), (3_000, json!({ "error": "the disk is gone" })));
    let (lines, last) = asked("/api/v1/pipelines/none/state/keys", json!({}));
    assert_eq!((lines.len(), last.status), (0, 404));
    let (_, last) = asked("/api/v1/pipelines/b/state/keys", json!({}));
    assert_eq!((last.status, last.body), (409, json!({ "error": "pipeline `b` does not run" })));
    let (_, last) = asked(path, json!({ "node": 3 }));
    assert_eq!(last.status, 400);
    let (_, last) = asked("/api/v1/pipelines/panic/state/keys", json!({}));
    assert_eq!(last.status, 500);
    // Who has enough is let go.
    let enough =
        ask_lines(served.folder.path(), path, json!({ "key": [1_000_000] }).to_string(), &mut |_| {
            Err("enough".to_owned())
        });
    assert_eq!(enough, Err("enough".to_owned()));
    assert_eq!(
        ask(served.folder.path(), "POST", "/api/v1/pipelines/a/state/check").unwrap().unwrap().status,
        200
    );
}
