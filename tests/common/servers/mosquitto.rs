//! A real mosquitto for tests that need no more than an open broker; see `tests/servers/mosquitto.sh`.

use super::{Server, free_port, is_there};
use crate::common::until;
use rustix::process::Signal;
use std::net::TcpStream;
use std::process::Command;

/// A broker that anybody may use and that keeps sessions.
pub struct Mosquitto {
    server: Server,
    /// Where it listens.
    pub port: u16,
}

impl Mosquitto {
    /// A broker of one's own; None where there is none.
    pub fn start() -> Option<Mosquitto> {
        let find = "PATH=$PATH:/usr/sbin; command -v mosquitto >/dev/null";
        if !is_there("mosquitto", Command::new("sh").args(["-c", find]).status().unwrap().success()) {
            return None;
        }
        // A port may be taken between looking and starting.
        (0..3).find_map(|_| {
            let port = free_port();
            let mut mosquitto =
                Mosquitto { server: Server::start("mosquitto.sh", vec![port.to_string()]), port };
            mosquitto.becomes_ready().then_some(mosquitto)
        })
    }

    fn becomes_ready(&mut self) -> bool {
        let mut alive = true;
        until("mosquitto listens", || {
            alive = self.server.is_alive();
            !alive || TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        alive
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Ends it in good order: it writes down what it keeps.
    pub fn stop(&mut self) {
        self.server.end(Signal::TERM);
    }

    /// Starts it again after [`Mosquitto::stop`], and waits until it listens.
    pub fn start_again(&mut self) {
        self.server.run();
        assert!(self.becomes_ready(), "{}", self.server.log());
    }
}
