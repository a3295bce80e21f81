//! A pipeline whose results are known, in a process of its own.

use crate::common::{Folder, headwater, wait};
use serde_json::Value;
use std::process::{Child, Stdio};

/// Counts to the end of its sequence, a line an event and a line a window of a hundred.
pub const COUNTING: &str = "
pipeline: counting
options: { delivery: exactly_once, checkpoint: 50ms }
sources:
  numbers: { generate: { rate: 500, count: 1500, fields: { n: sequence() } } }
windows:
  hundreds:
    from: numbers
    count: { size: 100 }
    aggregate: { n: count(*), sum: sum(n) }
sinks:
  each: { from: numbers, file: { path: each.ndjson } }
  sums: { from: hundreds, file: { path: sums.ndjson } }
";

/// A run in a folder, ended with the value.
pub struct Run(Child);

impl Run {
    pub fn start(folder: &Folder, arguments: &[&str]) -> Run {
        let mut command = headwater(folder.path(), &[&["run", "counting.yaml"], arguments].concat());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        Run(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// As a power cut does.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn end(mut self, folder: &Folder) {
        let status = wait(&mut self.0);
        assert_eq!(status.code(), Some(0), "{}", folder.read("log"));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `status` says.
pub fn status(folder: &Folder, data_dir: &str) -> Value {
    let ran = folder.run(&["status", "--data-dir", data_dir, "--format", "json"]);
    serde_json::from_str(&ran.stdout).unwrap_or_default()
}

/// A number; 0 where there is none.
pub fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Every number once and in order, every sum right.
pub fn assert_whole(folder: &Folder) {
    let numbers = |name: &str, field: &str| -> Vec<u64> {
        let text = folder.read(name);
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| count(&line[field])).collect()
    };
    let first = numbers("each.ndjson", "n")[0];
    assert_eq!(numbers("each.ndjson", "n"), (first..first + 1500).collect::<Vec<u64>>());
    let sum = |hundred: u64| (0..100).map(|n| first + hundred * 100 + n).sum();
    assert_eq!(numbers("sums.ndjson", "sum"), (0..15).map(sum).collect::<Vec<u64>>());
}
