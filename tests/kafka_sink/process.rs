//! Runs of the program beside a test.

use crate::common::{Folder, headwater, until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::process::{Child, ExitStatus};

/// A run of `p.yaml` in a folder; it ends with its value.
pub struct Gateway<'f> {
    folder: &'f Folder,
    child: Child,
}

impl<'f> Gateway<'f> {
    /// Starts it with its state in `data`, and further arguments.
    pub fn start(folder: &'f Folder, arguments: &[&str]) -> Gateway<'f> {
        let output = File::options().append(true).create(true).open(folder.path().join("stderr")).unwrap();
        let mut command = headwater(folder.path(), &["run", "p.yaml", "--data-dir", "data"]);
        command.args(arguments).stdout(output.try_clone().unwrap()).stderr(output);
        Gateway { folder, child: command.spawn().unwrap() }
    }

    /// Waits until it has said something.
    pub fn until_said(&mut self, text: &str) {
        let mut ended = None;
        until(&format!("`{text}`, said:\n{}", self.folder.read("stderr")), || {
            ended = self.child.try_wait().unwrap();
            self.said().contains(text) || ended.is_some()
        });
        assert!(self.said().contains(text), "{ended:?}, said:\n{}", self.said());
    }

    /// All that was said in its folder.
    pub fn said(&self) -> String {
        self.folder.read("stderr")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended meanwhile.
        let _ = kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal);
    }

    /// Ends it at once.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, which it must do well.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert!(status.success(), "{status}\n{}", self.said());
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        crate::common::wait(&mut self.child)
    }
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
