//! Real servers for tests, on ports of 127.0.0.1. What a test binary shares it starts once, as `Kafka::shared()`.
//!
//! Where a server is missing, tests are skipped, loudly; in CI that is a failure. A server ends with its value, or with
//! the test's process, however that ends: see `tests/servers/keep.sh`.

pub mod kafka;
pub mod mosquitto;
pub mod postgres;
pub mod records;

use crate::common::{Folder, project, until};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// One server process, started by a script of `tests/servers`.
pub struct Server {
    script: &'static str,
    arguments: Vec<String>,
    folder: Folder,
    /// The script; while it lives, the server does. The server ends with our end of its standard input.
    keeper: Option<Child>,
}

/// Whether tests can have a server. If not, that is said, and fails in CI.
pub fn is_there(what: &str, there: bool) -> bool {
    if !there {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what} is missing: tests/setup.sh");
        eprintln!("SKIPPED: there is no {what} here, nothing is tested; tests/setup.sh brings it");
    }
    there
}

/// A port that is free, and that no connection gets by chance while a server that had it is away: below those that the
/// system deals out.
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Processes that run side by side start looking at different places.
    let start = (std::process::id() as u16).wrapping_mul(37);
    loop {
        let offset = start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind(("127.0.0.1", FIRST + offset)).is_ok() {
            return FIRST + offset;
        }
    }
}

impl Server {
    /// Starts `tests/servers/SCRIPT FOLDER ARGUMENTS…`, with a new folder.
    pub fn start(script: &'static str, arguments: Vec<String>) -> Server {
        let mut server = Server { script, arguments, folder: Folder::empty(), keeper: None };
        server.run();
        server
    }

    /// Its folder: data, certificates, `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.folder.read("log")
    }

    /// Starts it, or starts it again; it is not ready yet.
    pub fn run(&mut self) {
        assert!(self.keeper.is_none(), "it runs");
        let mut command = Command::new(project("tests/servers").join(self.script));
        command.arg(self.folder()).args(&self.arguments).stdin(Stdio::piped());
        let said = std::fs::File::create(self.folder().join("started")).unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said);
        self.keeper = Some(command.spawn().unwrap());
        until(self.script, || {
            let ended = self.keeper.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{} ended: {}{}", self.script, self.folder.read("started"), self.log());
            self.pid().is_some()
        });
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.folder.read("pid").trim().parse().ok()?)
    }

    /// Whether its process still is there; a server that cannot use its port or its data ends by itself.
    pub fn is_alive(&mut self) -> bool {
        self.keeper.as_mut().is_some_and(|keeper| keeper.try_wait().unwrap().is_none())
    }

    /// Sends a signal to the server's process.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid().expect("it runs"), signal).unwrap();
    }

    /// Ends it by a signal and waits for that; its folder stays.
    pub fn end(&mut self, signal: Signal) {
        self.signal(signal);
        let mut keeper = self.keeper.take().expect("it runs");
        // Not `wait`, which would close the standard input by which we keep it.
        until("the server has ended", || keeper.try_wait().unwrap().is_some());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            // Whatever came of it, it is over.
            let _ = keeper.wait();
        }
    }
}
