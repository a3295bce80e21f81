//! The sinks that post: `http`, `influx` and `prometheus`, against servers that answer what a test says.

#[path = "../common/mod.rs"]
pub mod common;
#[path = "../mqtt/process.rs"]
pub mod process;
#[path = "../durability/victim.rs"]
pub mod victim;

mod faults;
mod kills;
mod points;
mod requests;
mod samples;
mod server;

use common::{Folder, Ran};
use server::Server;

/// A pipeline from lines in `in.ndjson` to a server; `options` stand beside the URL, `beside` beside the connector.
fn pipeline(url: &str, options: &str, beside: &str) -> String {
    format!(
        "pipeline: p\nsources: {{ in: {{ file: {{ path: in.ndjson }} }} }}\nsinks:\n  out:\n    from: in\n    http:\n      \
         url: \"{url}\"\n      {options}\n    retry: {{ first: 10ms, max: 50ms }}\n    {beside}\n"
    )
}

/// Runs a pipeline over lines to its end.
fn run(pipeline: &str, lines: &[&str]) -> (Ran, Folder) {
    let folder = Folder::empty();
    folder.write("in.ndjson", lines.join("\n") + "\n");
    folder.write("p.yaml", pipeline);
    (folder.run(&["run", "p.yaml", "--data-dir", "data"]), folder)
}

/// What was taken: path and body of each request.
fn taken(server: &Server) -> Vec<(String, String)> {
    server.taken().iter().map(|seen| (seen.path.clone(), seen.text())).collect()
}

/// The dead letters of a run.
fn dead_letters(folder: &Folder) -> String {
    folder.run(&["dlq", "list", "--data-dir", "data"]).succeeded().stdout
}
