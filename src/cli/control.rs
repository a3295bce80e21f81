//! `pause`, `resume` and `stop`: what a running pipeline is told.

use super::args::StopArgs;
use super::exit::Exit;
use super::remote;
use super::terminal::Terminal;
use crate::time::{Clock, Millis, SystemClock};
use serde_json::{Value, json};
use std::path::{Path, absolute};

/// How often the end of a pipeline is looked for.
const LOOK_EVERY: Millis = Millis(50);
/// How long it may take.
const PATIENCE: Millis = Millis(120_000);

/// Has a pipeline of the process do `what`: `pause` or `resume`.
///
/// # Errors
/// No process listens, or it refuses.
pub fn tell(pipeline: &str, what: &str, data_dir: Option<&Path>, terminal: &Terminal) -> Result<(), Exit> {
    let said = ask(pipeline, what, json!({}), data_dir)?;
    show(&said, terminal);
    Ok(())
}

/// Stops a pipeline, and waits for its end.
///
/// # Errors
/// No process listens, it refuses, or the pipeline fails or does not end.
pub fn stop(args: &StopArgs, data_dir: Option<&Path>, terminal: &Terminal) -> Result<(), Exit> {
    let pipeline = args.pipeline.as_str();
    if let Some(file) = &args.savepoint {
        let file = absolute(file).map_err(|error| Exit::usage(format!("`{}`: {error}", file.display())))?;
        // Nothing goes past the savepoint.
        ask(pipeline, "pause", json!({}), data_dir)?;
        let saved = ask(pipeline, "savepoint", json!({ "file": file.display().to_string() }), data_dir);
        if let Err(refused) = saved {
            ask(pipeline, "resume", json!({}), data_dir)?;
            return Err(refused);
        }
    }
    let mut said = ask(pipeline, "stop", json!({ "drain": args.drain }), data_dir)?;
    let clock = SystemClock::new();
    while said["state"] == "stopping" {
        if clock.elapsed() > PATIENCE {
            return Err(Exit::failed(format!("pipeline `{pipeline}` has not ended yet")));
        }
        clock.wait(LOOK_EVERY);
        let path = format!("/api/v1/pipelines/{pipeline}");
        let gone = json!({ "name": pipeline, "state": "ended" });
        // The process ends with its last pipeline.
        said = remote::ask_some(remote::whose(data_dir)?, "GET", &path, String::new())?.unwrap_or(gone);
    }
    if let Some(error) = said["error"].as_str() {
        return Err(Exit::failed(format!("pipeline `{pipeline}`: {error}")));
    }
    show(&said, terminal);
    Ok(())
}

fn ask(pipeline: &str, what: &str, body: Value, data_dir: Option<&Path>) -> Result<Value, Exit> {
    let path = format!("/api/v1/pipelines/{pipeline}/{what}");
    let body = if body == json!({}) { String::new() } else { body.to_string() };
    remote::ask_with_body(data_dir, "POST", &path, body)
}

fn show(said: &Value, terminal: &Terminal) {
    if terminal.json {
        terminal.print(&format!("{}\n", json!({ "name": said["name"], "state": said["state"] })));
    } else if !terminal.quiet {
        let word = |what: &str| said[what].as_str().unwrap_or_default().to_owned();
        terminal.say(&format!("{}: {}\n", word("name"), word("state")));
    }
}
