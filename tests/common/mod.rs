//! What tests of the built binary share: a folder of files, a run of the program, texts kept as files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a run may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A new, empty folder that goes away with the value.
pub struct Folder(PathBuf);

impl Folder {
    /// A folder that no other test has.
    pub fn empty() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, with its parent folders, and returns where it is.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The text of a file; empty if there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// Runs the program here.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run_in(&self.0, arguments)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be removed lies in the build folder, where it does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// The exit status; None if a signal ended the process.
    pub status: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Ran {
    /// The same run, known to have ended well.
    pub fn succeeded(self) -> Ran {
        assert_eq!(self.status, Some(0), "{}", self.stderr);
        self
    }
}

/// The program with its arguments and a folder to work in, without settings from outside.
pub fn headwater(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    let ours = |name: &str| name.starts_with("HEADWATER_") || name.starts_with("OTEL_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    // Tests run side by side, and there is one such address.
    command.env("HEADWATER_LISTEN", "none");
    command
}

/// Runs the program in a folder until it ends.
pub fn run_in(folder: &Path, arguments: &[&str]) -> Ran {
    let outputs = Folder::empty();
    let output = |name: &str| File::create(outputs.path().join(name)).unwrap();
    let mut command = headwater(folder, arguments);
    let mut child = command.stdout(output("stdout")).stderr(output("stderr")).spawn().unwrap();
    let status = wait(&mut child).code();
    let text = |name: &str| String::from_utf8(fs::read(outputs.path().join(name)).unwrap()).unwrap();
    Ran { status, stdout: text("stdout"), stderr: text("stderr") }
}

/// Waits for the end of a process; one that outlasts our patience is ended, and the test fails.
#[expect(clippy::disallowed_methods, reason = "a process of its own lives in real time")]
pub fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    panic!("still running after {PATIENCE:?}");
}

/// Waits until something holds; if it never does, the test fails.
#[expect(clippy::disallowed_methods, reason = "a process of its own lives in real time")]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "after {PATIENCE:?} not yet: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets some milliseconds pass.
#[expect(clippy::disallowed_methods, reason = "a process of its own lives in real time")]
pub fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Whether kept texts are to be rewritten: `UPDATE=1` in the environment.
pub fn updating() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

/// Compares a text with the one kept in a file, or rewrites the file.
pub fn compare_kept(kept: &Path, actual: &str) -> Result<(), String> {
    if updating() {
        fs::write(kept, actual).unwrap();
        return Ok(());
    }
    let name = kept.file_name().unwrap().to_string_lossy();
    let expected = fs::read_to_string(kept)
        .map_err(|_| format!("{name}: not there; run with UPDATE=1 and review it. Actual:\n{actual}"))?;
    first_difference(&expected, actual).map_or(Ok(()), |difference| Err(format!("{name}:{difference}")))
}

/// Fails with all that went wrong in a folder of cases, and says how to accept the new texts.
pub fn none_failed(failures: &[String]) {
    let advice = "UPDATE=1 rewrites what is expected; review the change";
    assert!(failures.is_empty(), "{} failed ({advice}):\n\n{}", failures.len(), failures.join("\n\n"));
}

/// The files of a folder with an extension, by name.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    paths
}

/// A folder of the project.
pub fn project(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// The line (from 1) where two texts part, with both; None if they are equal.
fn first_difference(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let line = expected.lines().zip(actual.lines()).take_while(|(e, a)| e == a).count();
    let show =
        |text: &str| text.lines().nth(line).map_or("(ends here)".to_string(), |line| format!("{line:?}"));
    Some(format!(
        "{}: expected {}\n    actual   {}\nwhole:\n{actual}",
        line + 1,
        show(expected),
        show(actual)
    ))
}
