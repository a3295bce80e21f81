//! The PostgreSQL sink against a real server.

#[path = "../common/mod.rs"]
pub mod common;
#[path = "../mqtt/process.rs"]
pub mod process;
#[path = "../common/servers/mod.rs"]
pub mod servers;
#[path = "../durability/victim.rs"]
pub mod victim;

mod away;
mod cut;
mod exact;
mod refused;
mod rows;
mod table;
mod wrong;

use common::{Folder, Ran};

/// A pipeline from lines in `in.ndjson` to a table; `options` stand beside the URL, `beside` beside the connector.
fn pipeline(url: &str, options: &str, beside: &str) -> String {
    format!(
        "pipeline: p\nsources: {{ in: {{ file: {{ path: in.ndjson }} }} }}\nsinks:\n  out:\n    from: in\n    postgres:\n      \
         url: {url}\n      {options}\n{beside}"
    )
}

/// Runs a pipeline over lines to its end.
fn run(pipeline: &str, lines: &[&str]) -> (Ran, Folder) {
    let folder = Folder::empty();
    folder.write("in.ndjson", lines.join("\n") + "\n");
    folder.write("p.yaml", pipeline);
    (folder.run(&["run", "p.yaml", "--data-dir", "data"]), folder)
}
