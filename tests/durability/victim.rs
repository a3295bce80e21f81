//! A run of the program that is killed and started again.

use crate::common::{Folder, Ran, headwater, pause};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Child;

/// How often each case is killed.
pub fn kills() -> u64 {
    std::env::var("DURABILITY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// A small generator of numbers, the same in every run.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next, below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// A process that a test may end at any moment.
pub struct Victim<'f> {
    folder: &'f Folder,
    child: Child,
}

impl<'f> Victim<'f> {
    /// Starts a run of `p.yaml` in a folder, with its state in `data`.
    pub fn start(folder: &'f Folder, arguments: &[&str]) -> Victim<'f> {
        let own: &[&str] = if arguments.contains(&"--data-dir") { &[] } else { &["--data-dir", "data"] };
        Victim::without_state(folder, &[own, arguments].concat())
    }

    /// The same with nothing that lasts, unless the arguments say where.
    pub fn without_state(folder: &'f Folder, arguments: &[&str]) -> Victim<'f> {
        let output =
            |name: &str| File::options().append(true).create(true).open(folder.path().join(name)).unwrap();
        let mut command = headwater(folder.path(), &["run", "p.yaml"]);
        command.args(arguments).stdout(output("stdout")).stderr(output("stderr"));
        Victim { folder, child: command.spawn().unwrap() }
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }

    /// Ends it at once.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Asks it to end, which it must do well. Returns all that was said in this folder.
    pub fn stop(mut self) -> String {
        // Before it listens to the signal it would just be killed by it.
        while !self.heeds_signals() && !self.has_ended() {
            pause(1);
        }
        self.signal(Signal::TERM);
        self.succeeded()
    }

    /// Whether it has said what is to be done at SIGTERM.
    fn heeds_signals(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask >> (Signal::TERM.as_raw() - 1) & 1 == 1)
    }

    /// Waits until it ends, which it must do well. Returns all that was said in this folder.
    pub fn succeeded(&mut self) -> String {
        let status = crate::common::wait(&mut self.child);
        let said = self.folder.read("stderr");
        assert!(status.success(), "{status}\n{said}");
        said
    }

    /// Whether it has ended, which it must do well.
    pub fn has_ended(&mut self) -> bool {
        let Some(status) = self.child.try_wait().unwrap() else { return false };
        assert!(status.success(), "{status}\n{}", self.folder.read("stderr"));
        true
    }

    /// Lets it live for so long; false if it has come to its end before.
    pub fn live(&mut self, milliseconds: u64) -> bool {
        for _ in 0..milliseconds {
            if self.has_ended() {
                return false;
            }
            pause(1);
        }
        !self.has_ended()
    }
}

impl Drop for Victim<'_> {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An undisturbed run to the end of input, with state of its own.
pub fn undisturbed(folder: &Folder, arguments: &[&str]) -> Ran {
    let all = [&["run", "-q", "--data-dir", "undisturbed", "p.yaml"], arguments].concat();
    folder.run(&all).succeeded()
}

/// Lines, sorted, by the name of the folder of outputs that they stand in.
pub type Outputs = BTreeMap<String, Vec<String>>;

/// The lines of all files below a folder of outputs. Every line must be whole.
pub fn outputs(folder: &Path) -> Outputs {
    whole_outputs(folder).unwrap()
}

/// The same while somebody writes: a fault where a line is not all there.
pub fn whole_outputs(folder: &Path) -> Result<Outputs, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let mut lines = Vec::new();
        gather(&entry.path(), &mut lines)?;
        lines.sort_unstable();
        all.insert(entry.file_name().into_string().unwrap(), lines);
    }
    Ok(all)
}

fn gather(path: &Path, lines: &mut Vec<String>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if path.is_dir() {
        let mut entries = fs::read_dir(path).map_err(failed)?;
        return entries.try_for_each(|entry| gather(&entry.map_err(failed)?.path(), lines));
    }
    let mut bytes = fs::read(path).map_err(failed)?;
    if path.extension().is_some_and(|extension| extension == "zst") {
        bytes = zstd::decode_all(&*bytes).map_err(failed)?;
    }
    let text = String::from_utf8(bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    if !(text.is_empty() || text.ends_with('\n')) {
        return Err(format!("{}: the last line is torn", path.display()));
    }
    for line in text.lines() {
        if serde_json::from_str::<serde_json::Value>(line).is_err() {
            return Err(format!("{}: a torn line: {line}", path.display()));
        }
        lines.push(line.to_owned());
    }
    Ok(())
}

/// Fails with what is missing and what is too much.
pub fn same(what: &str, expected: &Outputs, actual: &Outputs, said: &str) {
    let names: Vec<_> = expected.keys().chain(actual.keys()).collect();
    let mut faults = String::new();
    for name in names {
        let none = Vec::new();
        let (expected, actual) = (expected.get(name).unwrap_or(&none), actual.get(name).unwrap_or(&none));
        let (missing, surplus) = difference(expected, actual);
        if !(missing.is_empty() && surplus.is_empty()) {
            faults += &format!(
                "{name}: of {} lines {} are missing, {} are too many\n  missing {:?}\n  too many {:?}\n",
                expected.len(),
                missing.len(),
                surplus.len(),
                &missing[..missing.len().min(5)],
                &surplus[..surplus.len().min(5)]
            );
        }
    }
    let tail = said.len().saturating_sub(6000);
    assert!(faults.is_empty(), "{what}\n{faults}\n{}", said.get(tail..).unwrap_or(said));
}

/// What is only in the first and only in the second of two sorted lists.
fn difference(expected: &[String], actual: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut missing, mut surplus, mut i, mut j) = (Vec::new(), Vec::new(), 0, 0);
    while i < expected.len() || j < actual.len() {
        match (expected.get(i), actual.get(j)) {
            (Some(e), Some(a)) if e == a => (i, j) = (i + 1, j + 1),
            (Some(e), a) if a.is_none_or(|a| e < a) => {
                missing.push(e.clone());
                i += 1;
            }
            (_, a) => {
                surplus.extend(a.cloned());
                j += 1;
            }
        }
    }
    (missing, surplus)
}
