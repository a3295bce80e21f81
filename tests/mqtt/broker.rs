//! A broker for one test.

use crate::common::Folder;
use crate::process::{end, patiently};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// A mosquitto with a configuration of its own.
pub struct Broker {
    /// Where it listens.
    pub port: u16,
    folder: Folder,
    child: Option<Child>,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Debian keeps the server where not every user looks.
fn mosquitto() -> Command {
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("mosquitto");
    command.env("PATH", path);
    command
}

/// Whether there is a broker to test with. Without one tests are skipped, loudly; in CI that is a failure.
fn is_there() -> bool {
    let there = mosquitto().arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "mosquitto is missing: tests/setup.sh");
        eprintln!("SKIPPED: there is no mosquitto here, nothing is tested; tests/setup.sh installs it");
    }
    there
}

impl Broker {
    /// A broker that anybody may use.
    pub fn open() -> Option<Broker> {
        let port = free_port();
        Broker::start(port, port, &format!("listener {port} 127.0.0.1\nallow_anonymous true\n"))
    }

    /// A broker that keeps sessions over its own restarts.
    pub fn persistent() -> Option<Broker> {
        let port = free_port();
        let listener = format!("listener {port} 127.0.0.1\nallow_anonymous true\n");
        let keep = "persistence true\nmax_queued_messages 0\nautosave_interval 1800\n";
        Broker::start(port, port, &format!("{listener}{keep}persistence_location FOLDER/\n"))
    }

    /// A broker with these lines of configuration, in which FOLDER stands for its folder.
    pub fn start(port: u16, plain_port: u16, config: &str) -> Option<Broker> {
        Broker::prepare(port, config).map(|mut broker| {
            broker.run();
            broker.await_port(plain_port);
            broker
        })
    }

    /// The same that does not run yet.
    pub fn prepare(port: u16, config: &str) -> Option<Broker> {
        if !is_there() {
            return None;
        }
        let folder = Folder::empty();
        let place = folder.path().display().to_string();
        // It would give up the rights that it needs in a folder of ours.
        let config = format!("user root\n{}", config.replace("FOLDER", &place));
        folder.write("mosquitto.conf", config);
        Some(Broker { port, folder, child: None })
    }

    /// Its folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Starts it.
    pub fn run(&mut self) {
        let config = self.folder.path().join("mosquitto.conf");
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = mosquitto();
        command.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Starts it and waits until it listens.
    pub fn run_and_wait(&mut self) {
        self.run();
        self.await_port(self.port);
    }

    fn await_port(&self, port: u16) {
        patiently(|| TcpStream::connect(("127.0.0.1", port)).ok(), || self.folder.read("log"));
    }

    /// Ends it in good order: it writes down what it keeps.
    pub fn stop(&mut self) {
        if let Some(child) = &mut self.child.take() {
            end(child, rustix::process::Signal::TERM);
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Publishes with further arguments of `mosquitto_pub`.
    pub fn publish_with(&self, topic: &str, payload: &str, arguments: &[&str]) {
        let port = self.port.to_string();
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &port, "-t", topic, "-m", payload]).args(arguments);
        assert!(command.status().unwrap().success());
    }

    /// Publishes with QoS 1.
    pub fn publish(&self, topic: &str, payload: &str) {
        self.publish_with(topic, payload, &["-q", "1"]);
    }

    /// Publishes each line.
    pub fn publish_lines(&self, topic: &str, lines: &str, qos: &str) {
        let port = self.port.to_string();
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &port, "-t", topic, "-q", qos, "-l"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}
