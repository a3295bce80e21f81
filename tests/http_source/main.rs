//! The `http` source of the built binary, as clients see it.

#[path = "../common/mod.rs"]
pub mod common;
#[path = "../mqtt/process.rs"]
pub mod process;
#[path = "../common/servers/mod.rs"]
pub mod servers;
#[path = "../durability/victim.rs"]
pub mod victim;

mod answers;
mod bodies;
mod client;
mod durable;
mod kills;
mod limits;
mod secure;

use common::Folder;
use process::Running;
use servers::free_port;

/// A run of a source that listens, and what it puts out as lines; what it rejects goes to `rejected`.
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The run.
    pub running: Running,
}

impl Listener {
    /// Starts one, with further options of `http`, keys beside it, and arguments.
    pub fn start(options: &str, beside: &str, arguments: &[&str]) -> Listener {
        Listener::start_in(Folder::empty(), options, beside, arguments)
    }

    /// The same in a folder that has files in it.
    pub fn start_in(folder: Folder, options: &str, beside: &str, arguments: &[&str]) -> Listener {
        let port = free_port();
        let running = Running::start_in(folder, &pipeline(port, options, beside), arguments);
        running.until_said("listens on");
        Listener { port, running }
    }

    /// The lines that came out, once there are so many, sorted.
    pub fn lines(&self, count: usize) -> Vec<String> {
        let mut lines = self.running.until_lines(count);
        lines.sort();
        lines
    }
}

fn pipeline(port: u16, options: &str, beside: &str) -> String {
    format!(
        "sources:
  in:
    http: {{ listen: '127.0.0.1:{port}', path: /in{options} }}
{beside}
sinks:
  out: {{ from: in, stdout: {{}} }}
  rejected: {{ from: in.rejected, file: {{ path: rejected.ndjson }} }}
"
    )
}
