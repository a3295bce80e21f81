//! The `kafka` source of the built binary, against a real broker.

#[path = "../common/mod.rs"]
pub mod common;
#[path = "../mqtt/process.rs"]
pub mod process;
#[path = "../common/servers/mod.rs"]
pub mod servers;
#[path = "../durability/victim.rs"]
pub mod victim;

mod exact;
mod finding;
mod gaps;
mod reading;
mod registry;
mod starts;
mod trouble;

use common::until;
use process::Running;

/// Shows what a run has said, should the test fail meanwhile.
struct Shown<'r>(&'r Running);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.read("stderr"));
        }
    }
}

/// Waits until a run has said something.
pub fn said(running: &Running, text: &str) {
    let _shown = Shown(running);
    until(&format!("`{text}` of {}", running.read("p.yaml")), || running.read("stderr").contains(text));
}

/// Waits until a run has put out so many lines, and returns them, sorted.
pub fn lines(running: &Running, count: usize) -> Vec<String> {
    let _shown = Shown(running);
    until(&format!("{count} lines of {}", running.read("p.yaml")), || running.lines().len() >= count);
    let mut lines = running.lines();
    lines.sort();
    lines
}
