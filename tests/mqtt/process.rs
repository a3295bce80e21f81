//! The program as it runs beside a test.

use crate::common::{Folder, headwater};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// How long something may take that should take no time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until there is an answer; after too long the test fails with what `why` says.
#[expect(clippy::disallowed_methods, reason = "processes of their own live in real time")]
pub fn patiently<T>(mut ask: impl FnMut() -> Option<T>, why: impl Fn() -> String) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {}", why());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How long something takes.
#[expect(clippy::disallowed_methods, reason = "processes of their own live in real time")]
pub fn time_of(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Lets time pass in which nothing should happen.
#[expect(clippy::disallowed_methods, reason = "processes of their own live in real time")]
pub fn pass(span: Duration) {
    std::thread::sleep(span);
}

/// Ends a process by a signal and waits for it.
pub fn end(child: &mut Child, signal: Signal) -> ExitStatus {
    if let Some(pid) = Pid::from_raw(child.id() as i32) {
        // One that is gone already needs no signal.
        let _ = kill_process(pid, signal);
    }
    child.wait().unwrap()
}

/// A run of the program.
pub struct Running {
    name: String,
    folder: Folder,
    child: Child,
}

impl Running {
    /// Runs a pipeline in a folder of its own.
    pub fn start(pipeline: &str) -> Running {
        Running::start_in(Folder::empty(), pipeline, &[])
    }

    /// Runs a pipeline in a folder, with further arguments.
    pub fn start_in(folder: Folder, pipeline: &str, arguments: &[&str]) -> Running {
        folder.write("p.yaml", pipeline);
        let output = |name: &str| File::create(folder.path().join(name)).unwrap();
        let mut command = headwater(folder.path(), &["run", "p.yaml"]);
        command.args(arguments).stdout(output("stdout")).stderr(output("stderr"));
        let child = command.spawn().unwrap();
        Running { name: pipeline.to_owned(), folder, child }
    }

    /// Waits until its messages hold a text.
    pub fn until_said(&self, text: &str) -> &Running {
        let said = || self.folder.read("stderr").contains(text).then_some(());
        patiently(said, || format!("for `{text}`, found:\n{}", self.all()));
        self
    }

    /// Waits until it has subscribed.
    pub fn until_connected(&self) -> &Running {
        self.until_said("connected to");
        pass(Duration::from_millis(100));
        self
    }

    /// Waits until its output has so many lines, and returns them.
    pub fn until_lines(&self, count: usize) -> Vec<String> {
        let lines = || self.lines().len() >= count;
        patiently(|| lines().then_some(()), || format!("for {count} lines, found:\n{}", self.all()));
        self.lines()
    }

    /// The lines of its output.
    pub fn lines(&self) -> Vec<String> {
        self.read("stdout").lines().map(str::to_owned).collect()
    }

    /// What a file in its folder says.
    pub fn read(&self, name: &str) -> String {
        self.folder.read(name)
    }

    /// Its folder.
    pub fn place(&self) -> std::path::PathBuf {
        self.folder.path().to_owned()
    }

    fn all(&self) -> String {
        let (out, err) = (self.folder.read("stdout"), self.folder.read("stderr"));
        let shown = out.get(..4000).unwrap_or(&out);
        format!("{}\n---\n{shown}\n---\n{err}", self.name)
    }

    /// Stops it, which must end well; returns its messages and its folder.
    pub fn stop(self) -> (String, Folder) {
        let (status, said, folder) = self.stop_anyhow();
        assert!(status.success(), "{said}");
        (said, folder)
    }

    /// Stops it, however that ends.
    pub fn stop_anyhow(mut self) -> (ExitStatus, String, Folder) {
        let status = end(&mut self.child, Signal::INT);
        let folder = std::mem::replace(&mut self.folder, Folder::empty());
        (status, folder.read("stderr"), folder)
    }

    /// Waits until it ends by itself.
    pub fn finish(mut self) -> (Option<i32>, String) {
        let (child, folder) = (&mut self.child, &self.folder);
        let status = patiently(|| child.try_wait().unwrap(), || folder.read("stderr"));
        (status.code(), self.folder.read("stderr"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
